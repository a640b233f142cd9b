"""The published figures for FFHQ, reproduced with the published networks: `make check-weights`.

    distill weights fetch ffhq-1024-tf && distill weights fetch features
    DISTILL_FFHQ=data/ffhq-1024 make check-weights

DISTILL_FFHQ: FFHQ at 1024 px, a folder or a data set of distill prepare-images, for FID, precision and recall.
DISTILL_CHECK_SAMPLES: fewer samples than 50,000 for path lengths, which are then held to their own standard error.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
import torch

from distill.evaluation.generator_metrics.names import PUBLISHED, counted, read_names
from distill.evaluation.generator_metrics.plan import prepare
from distill.evaluation.generator_metrics.published import FIGURES
from distill.evaluation.generator_metrics.request import MetricsRequest
from distill.evaluation.generator_metrics.results import measure
from distill.evaluation.generator_metrics.run import StageBars, read_missing
from distill.weights.registry import entry_of

pytestmark = pytest.mark.weights

NETWORK = "ffhq-1024-tf"
SAMPLES = int(os.environ.get("DISTILL_CHECK_SAMPLES", PUBLISHED))
PATHS = ("ppl_zfull", "ppl_wfull", "ppl_zend", "ppl_wend", "ppl2_wend")


def require(*names: str) -> None:
    """Skip where weights were not fetched, and where it would take days."""
    for name in names:
        entry = entry_of(name)
        assert entry is not None
        if not entry.path.is_file():
            pytest.skip(f"{name} is not on this machine: distill weights fetch {name}")
    if not torch.cuda.is_available():
        pytest.skip("no GPU: on a CPU 50,000 images of 1024 px take days")


def figures_of(request: MetricsRequest) -> dict[str, tuple[float, float]]:
    """Measure; return value and standard error by name."""
    run = prepare(request)
    with StageBars(run, quiet=False) as bars:
        read_missing(run, stop=threading.Event(), count=bars.count, note=print)
    return {one.base: (one.value, one.error or 0.0) for one in measure(run).results}


def test_path_lengths(tmp_path: Path) -> None:
    require(NETWORK, "vgg16-lpips")
    found = figures_of(
        MetricsRequest(source=NETWORK, metrics=counted(read_names(PATHS), SAMPLES), out=tmp_path)
    )
    for name, figure in FIGURES.items():
        if not name.startswith("ppl"):
            continue
        value, error = next(pair for base, pair in found.items() if base.startswith(name))
        assert value == pytest.approx(figure.value, abs=4 * error + 3 * (figure.spread or 0)), name


def test_distance_precision_and_recall(tmp_path: Path) -> None:
    require(NETWORK, "inception", "vgg16-lpips")
    data = os.environ.get("DISTILL_FFHQ")
    if not data:
        pytest.skip("FFHQ at 1024 px is not named: set DISTILL_FFHQ to its folder or data set")
    found = figures_of(
        MetricsRequest(
            source=NETWORK,
            metrics=counted(read_names(["fid50k", "pr50k3"]), None),
            data=Path(data),
            out=tmp_path,
        )
    )
    assert found["fid50k"][0] == pytest.approx(FIGURES["fid50k"].value, abs=0.15)
    for name in ("pr50k3_precision", "pr50k3_recall"):
        assert found[name][0] == pytest.approx(FIGURES[name].value, abs=0.02), name
