"""How shares are looked for: every number in one record."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field, ValidationError

from distill.errors import DistillError
from distill.schema import Frozen
from distill.weights.safe_pickle.machine import shown

COARSE_TOO = ("hair",)  # parts that the coarsest layers belong to, as in RetrieveInStyle (Chong et al. 2021)
LIMITS = ("ge", "gt", "le")  # of a field, as pydantic names them


class InterpolationSettings(Frozen):
    """Thresholds of the greedy choice, and weights, by name, of what the optimisation adds up.

    `rho`, `epsilon`: see `greedy`, which takes no channel that reads a w before `first_layer`; the optimisation may,
    for its identity losses see what that does. Weights: `localisation` of the mean share, each channel's times what
    it does outside the region; `garment` and `identity` of the perceptual loss in the region towards the reference,
    and outside towards the person; `..._pixels` of the mean |difference| there. `blur`: standard deviation by which
    masked images are blurred, as a share of the side. `start`: the share from which channels of the greedy choice
    start, the others from the rest to 1. `rate`, `steps`: of Adam.
    """

    rho: float = Field(default=0.1, ge=0, le=1)
    epsilon: float = Field(default=20.0, gt=0, le=1e6)
    first_layer: int = Field(default=3, ge=0, le=1e6)
    localisation: float = Field(default=1.0, ge=0, le=1e6)
    garment: float = Field(default=3.0, ge=0, le=1e6)
    garment_pixels: float = Field(default=0.3, ge=0, le=1e6)
    identity: float = Field(default=1.0, ge=0, le=1e6)
    identity_pixels: float = Field(default=20.0, ge=0, le=1e6)
    blur: float = Field(default=1 / 64, ge=0, le=0.25)
    start: float = Field(default=0.88, ge=0.5, le=0.999)
    rate: float = Field(default=0.15, gt=0, le=100)
    steps: int = Field(default=50, ge=1, le=100_000)


def settings_for(part: str, **chosen: float) -> InterpolationSettings:
    """Return the settings of a part, with those `chosen` in place of the defaults. Raises DistillError."""
    unknown = sorted(chosen.keys() - InterpolationSettings.model_fields.keys())
    if unknown:
        known = ", ".join(InterpolationSettings.model_fields)
        raise DistillError(f"unknown setting {shown(unknown[0])} for moving a part; the settings are {known}")
    coarse = {"first_layer": 0} if part in COARSE_TOO else {}
    try:
        return InterpolationSettings.model_validate({**coarse, **chosen})
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        raise DistillError(f"setting {name}={chosen[name]:g}: {_range_text(name)} is needed") from error


def _range_text(name: str) -> str:
    """Say what a setting may be: "a whole number from 1 to 100,000"."""
    field = InterpolationSettings.model_fields[name]
    limits = {key: getattr(limit, key) for limit in field.metadata for key in LIMITS if hasattr(limit, key)}
    kind = "a whole number" if field.annotation is int else "a number"
    least = f"from {limits['ge']:,g} to" if "ge" in limits else f"above {limits['gt']:,g}, at most"
    return f"{kind} {least} {limits['le']:,.10g}"


def read_settings(part: str, changes: Sequence[str]) -> InterpolationSettings:
    """Read NAME=NUMBER texts as settings of a part, the last of a name counts. Raises DistillError."""
    chosen: dict[str, float] = {}
    for text in changes:
        name, _, number = text.partition("=")
        try:
            value = float(number)
            chosen[name.strip()] = int(value) if value.is_integer() else value
        except ValueError as error:
            raise DistillError(f"--set {shown(text)}: NAME=NUMBER is needed, such as garment=4") from error
    return settings_for(part, **chosen)
