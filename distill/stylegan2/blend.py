"""One generator out of two of the same shape: the coarse layers of the first, the fine ones of the second.

Pinkney and Adler 2020, "Resolution Dependent GAN Interpolation for Controllable Image Synthesis Between Domains".
The mapping and the mean of w are the first's, so a w of its own draws in the blend too. That makes sense where one of
the two was fine-tuned from the other, or both from a third: features of other networks have nothing in common.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor

from distill.errors import DistillError
from distill.files import check_file, made_folder, path_text
from distill.stylegan2.facts import Parent, parent_in
from distill.stylegan2.networks import GeneratorShape, shape_of_state
from distill.weights.checkpoint import Checkpoint, file_sha256, save_safetensors
from distill.weights.registry import cached_checkpoint, entry_of, resolve

Name = str | PathLike[str]
# Cosine of the weights below which networks are no relatives: fine-tuning leaves it near 1, strangers have about 0.
UNRELATED = 0.5


@dataclass(frozen=True, kw_only=True)
class BlendedGenerator:
    """A file, and the second network's share of it: of each resolution (px) that of both its positions.

    `warning` is "" or says why the blend may draw nonsense.
    """

    path: Path
    sha256: str
    shares: Mapping[int, tuple[float, float]]
    warning: str


def blend(
    low: Name, high: Name, *, at: int, out: Name, width: float | None = None, overwrite: bool = False
) -> BlendedGenerator:
    """Write a generator with the layers of `high` from `at` px on, all others those of `low`, as safetensors.

    Sources as `load_generator` takes them. `width`: change over softly, see `high_shares`. Raises DistillError for
    generators whose layers have not the same shapes, for a switch outside of them, and where `out` is there already
    or cannot be written.
    """
    check_file(Path(out), overwrite=overwrite)
    first, second = (_Source.read(str(source)) for source in (low, high))
    _check_shapes(first, second)
    shares = high_shares(first.shape.resolution, at, width)
    facts = {
        **{name: first.checkpoint.facts.get(name) for name in ("mapping_lr_multiplier", "conv_clamp")},
        "architecture": "skip",
        "origin": "distill blend",
        "blend_low": first.itself.name,
        "blend_low_sha256": first.itself.sha256,
        "blend_high": second.itself.name,
        "blend_high_sha256": second.itself.sha256,
        "blend_at": at,
        "blend_width": width,
    }
    if parent := first.common_parent(second):
        facts |= parent.facts()
    state = blended(first.checkpoint.state, second.checkpoint.state, shares)
    content = Checkpoint(state=state, facts=facts, format="safetensors", sha256="0" * 64)
    with made_folder(Path(out).parent):
        save_safetensors(Path(out), content)
    return BlendedGenerator(
        path=Path(out), sha256=file_sha256(Path(out)), shares=shares, warning=_warning(first, second)
    )


def high_shares(resolution: int, at: int, width: float | None = None) -> dict[int, tuple[float, float]]:
    """Return the share of the second network at the two positions of each resolution.

    Positions are numbered from 4 px up: the constant, or the convolution that doubles; then the other convolution
    with ToRGB. With x the number of positions above the switch, which is the first one of `at` / 2, the share is
    [x > 1], so that all of `at` comes from the second network; with a `width` it is 1 / (1 + e^(-x / width)), a half
    at the switch (as in the authors' blend_models.py). Raises DistillError for an `at` or a `width` that cannot be.
    """
    sizes = [4 << i for i in range(int(math.log2(resolution)) - 1)]
    if at not in sizes[1:]:
        allowed = ", ".join(map(str, sizes[1:]))
        raise DistillError(f"--at {at}: the generators draw {resolution} px, so it must be one of {allowed}")
    if width is not None and not 0 < width < math.inf:
        raise DistillError(
            f"--width {width}: a number of positions above 0 is needed; left out, the swap is hard"
        )
    switch = 2 * (sizes.index(at) - 1)

    def share(position: int) -> float:
        x = torch.tensor(float(position - switch), dtype=torch.float64)
        return float(x > 1) if width is None else float(torch.sigmoid(x / width))

    return {size: (share(2 * i), share(2 * i + 1)) for i, size in enumerate(sizes)}


def blended(
    low: Mapping[str, Tensor], high: Mapping[str, Tensor], shares: Mapping[int, tuple[float, float]]
) -> dict[str, Tensor]:
    """Interpolate the synthesis layer by layer; shares of 0 and 1 leave tensors as they are, to the bit."""
    state = dict(low)
    for name, tensor in low.items():
        kind, _, rest = name.partition(".")
        if kind == "synthesis":
            block, _, layer = rest.partition(".")
            first, second = shares[int(block.removeprefix("b"))]
            share = first if layer.startswith(("const", "conv0.")) else second
            state[name] = (
                torch.lerp(tensor, high[name], share) if 0 < share < 1 else (low, high)[int(share)][name]
            )
    return state


def likeness(low: Mapping[str, Tensor], high: Mapping[str, Tensor]) -> float:
    """Return the cosine of all weights of the convolutions: near 1 for relatives, near 0 for strangers."""
    names = [name for name in low if ".conv" in name and name.endswith(".weight") and "affine" not in name]
    a, b = (torch.cat([state[name].double().flatten() for name in names]) for state in (low, high))
    return float(torch.nn.functional.cosine_similarity(a, b, dim=0))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Source:
    """A generator as the user named it, read."""

    checkpoint: Checkpoint
    shape: GeneratorShape
    itself: Parent  # as another one's facts would name it

    @classmethod
    def read(cls, source: str) -> _Source:
        path, entry = resolve(source), entry_of(source)
        checkpoint = cached_checkpoint(path)
        name = entry.name if entry else path_text(path.name)
        return cls(
            checkpoint=checkpoint,
            shape=shape_of_state(checkpoint.state),
            itself=Parent(name=name, sha256=checkpoint.sha256),
        )

    def family(self) -> list[Parent]:
        parent = parent_in(self.checkpoint.facts)
        return [self.itself, *([parent] if parent else [])]

    def common_parent(self, other: _Source) -> Parent | None:
        """Find the generator whose latent both read: the one, the other, or the parent of both."""
        others = {one.sha256 for one in other.family()}
        return next((one for one in self.family() if one.sha256 in others), None)


def _check_shapes(low: _Source, high: _Source) -> None:
    """Raise DistillError naming every number in which the parts that are exchanged differ."""
    a, b = low.shape, high.shape
    numbers = {"resolution": (a.resolution, b.resolution), "width of w": (a.w_dim, b.w_dim)} | {
        f"channels at {size} px": (a.channels[size], b.channels[size])
        for size in sorted(a.channels.keys() & b.channels.keys())
    }
    differing = [f"{what} {x} and {y}" for what, (x, y) in numbers.items() if x != y]
    if differing:
        raise DistillError(
            f"{low.itself.name} and {high.itself.name} cannot be blended: {', '.join(differing)};"
            " both must have the same shape, as a generator and one fine-tuned from it do"
        )


def _warning(low: _Source, high: _Source) -> str:
    alike = likeness(low.checkpoint.state, high.checkpoint.state)
    if alike >= UNRELATED:
        return ""
    return (
        f"{low.itself.name} and {high.itself.name} are not related (likeness of their weights {alike:.2f}): the"
        " blend may draw nonsense; blend a generator with one that was fine-tuned from it"
    )
