"""The names of measures: what a user asks for, and what a result is called.

A published name (fid50k, kid50k, pr50k3, ppl_wend, …) is given only to what was measured as published: by the same
features, on as many samples. All else carries its features and its count in the name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from distill.errors import DistillError
from distill.metrics.manifold import NEIGHBOURS
from distill.metrics.path_length import KINDS as PATHS

OVERVIEW = "overview"  # score, variety, faces and copies: what is measured without --metrics
FID, KID, PR, LS = "fid", "kid", "pr", "ls"
WITH_PICTURES = (FID, KID, PR)
PUBLISHED, PUBLISHED_LS = 50_000, 200_000  # samples of the published figures
LEAST = {FID: 100, KID: 100, PR: 10, LS: 100, **dict.fromkeys(PATHS, 10)}  # samples
LEAST_PICTURES = {FID: 100, KID: 2, PR: NEIGHBOURS + 1}
MOST = 10_000_000
SHOWN = 40  # characters of a word that is refused
DIGITS = 8  # of MOST, as a name may write it

_COUNT = r"([1-9][0-9]*k?)"
_FORMS = tuple(
    re.compile(form)
    for form in (
        rf"(fid|kid){_COUNT}?(_full)?",
        rf"(pr)(?:{_COUNT}3)?(_full)?",
        rf"({'|'.join((*PATHS, LS))})(?:_{_COUNT})?",
    )
)


@dataclass(frozen=True, kw_only=True)
class MetricName:
    """A measure as it is asked for, and on how many samples or steps between latents (None: left open).

    `full`: beside all pictures, not at most as many as there are samples.
    """

    measure: str
    count: int | None = None
    full: bool = False


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A measure, and on how many samples."""

    measure: str
    count: int
    full: bool


def split_overview(text: str) -> tuple[bool, tuple[MetricName, ...]]:
    """Read names with commas between: whether the overview is among them, and the others."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    others = [word for word in words if word != OVERVIEW]
    return OVERVIEW in words, read_names(others) if others or not words else ()


def read_names(texts: Sequence[str]) -> tuple[MetricName, ...]:
    """Read names such as fid, fid50k, kid5k_full, pr50k3, ppl_wend, ppl_wend_5k and ls_20k.

    Raises DistillError for another.
    """
    if not texts:
        raise DistillError(f"--metrics names nothing; known are {known()}")
    return tuple(dict.fromkeys(_read(text) for text in texts))


def known() -> str:
    return ", ".join((OVERVIEW, "fid50k", "kid50k", "pr50k3", *PATHS, LS))


def _read(text: str) -> MetricName:
    for form in _FORMS:
        if match := form.fullmatch(text):
            measure, count, *full = match.groups()
            if count and len(count.removesuffix("k")) > DIGITS:
                raise DistillError(f"--metrics {shortened(text)}: at most {MOST:,} samples are drawn")
            return MetricName(measure=str(measure), count=number_of(count) if count else None, full=any(full))
    raise DistillError(
        f"--metrics {shortened(text)} is not a measure; known are {known()}, with any count, such as fid5k"
    )


def shortened(text: str) -> str:
    """Quote what a user wrote, cut where it is very long."""
    return repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}…")


def counted(names: Sequence[MetricName], asked: int | None) -> tuple[Metric, ...]:
    """Settle how many samples each takes: what is asked for of all, else what its name says, else as published.

    Raises DistillError for fewer than a measure needs, and for too many.
    """
    return tuple(dict.fromkeys(_counted_metric(name, asked) for name in names))


def _counted_metric(name: MetricName, asked: int | None) -> Metric:
    count = asked or name.count or (PUBLISHED_LS if name.measure == LS else PUBLISHED)
    if count < (least := LEAST[name.measure]):
        raise DistillError(f"{name.measure} needs at least {least} samples, not {count}: raise --samples")
    if count > MOST:
        raise DistillError(f"{name.measure}: {count:,} samples; at most {MOST:,} are drawn")
    return Metric(measure=name.measure, count=count, full=name.full)


def number_of(text: str) -> int:
    """Read a count: 5k is 5000."""
    return int(text[:-1]) * 1000 if text.endswith("k") else int(text)


def count_text(count: int) -> str:
    """Write a count as names have it: 50k, 2048."""
    return f"{count // 1000}k" if count % 1000 == 0 else str(count)


# ---- Names of results


def frechet_name(features: str, count: int, *, full: bool, unbiased: bool) -> str:
    """Call it FID by Inception's features alone; `unbiased`: by the covariance over N - 1."""
    if features == "inception":
        return f"fid{_counted(count, full)}{'_unbiased' if unbiased else ''}"
    return f"frechet_{features}_{_counted(count, full)}"


def kernel_name(features: str, count: int, *, full: bool) -> str:
    return f"{'kid' if features == 'inception' else f'kernel_{features}_'}{_counted(count, full)}"


def manifold_name(part: str, features: str, count: int, *, full: bool) -> str:
    """`part` is precision or recall."""
    if features == "vgg16":
        return f"pr{count_text(count)}{NEIGHBOURS}{'_full' if full else ''}_{part}"
    return f"{part}_{features}_{_counted(count, full)}"


def path_name(kind: str, distance: str, count: int, *, form: str) -> str:
    """`distance` is that of images, `form` which of the two public programs it follows; "" where they agree."""
    ending = f"_{form}" if form else ""
    if distance == "lpips_vgg16":
        return f"{kind}{ending}{'' if count == PUBLISHED else f'_{count_text(count)}'}"
    features = distance.removeprefix("perceptual_")
    return f"{kind.replace('ppl', 'path_length')}{ending}_{features}_{count_text(count)}"


def separability_name(attributes: int, space: str, count: int) -> str:
    return f"ls_{attributes}_{space}{'' if count == PUBLISHED_LS else f'_{count_text(count)}'}"


def at_psi(name: str, psi: float) -> str:
    """Tell the ψ where it is not 1."""
    return name if psi == 1 else f"{name}_psi{psi:g}"


def _counted(count: int, full: bool) -> str:
    return f"{count_text(count)}{'_full' if full else ''}"
