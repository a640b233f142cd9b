"""How long an image takes: from the student, from its teacher, and from the teacher by way of embedding a photo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from distill.devices import device_text
from distill.errors import DistillError
from distill.networks.image_distance import FeatureDistance
from distill.networks.perceptual import PerceptualFeatures
from distill.networks.student import Student
from distill.schema import validated
from distill.stylegan2.generator import Generator, Noise
from distill.stylegan2.interpolation.optimise import optimised_shares
from distill.stylegan2.interpolation.pairs import region_pairs
from distill.stylegan2.interpolation.settings import InterpolationSettings
from distill.stylegan2.load import load_generator
from distill.stylegan2.projection import STEPS, project
from distill.stylegan2.spread import measure_spread
from distill.timing import ImageTime, milliseconds_per_image
from distill.weights.registry import entry_of

PROBE_STEPS = 10  # of a search, whose time stands for that of all
PROBE_PAIRS = 4


def student_time(student: Student, inputs_NCHW: Tensor) -> ImageTime:
    """Time the student on a batch that is on its device already."""
    N, side = len(inputs_NCHW), inputs_NCHW.shape[-1]
    took = milliseconds_per_image(lambda: student(inputs_NCHW), images=N, device=student.device)
    return ImageTime(took, f"batch {N}, {side} px, {student.precision}, {device_text(student.device)}")


def teacher_times(
    recipe: Mapping[str, Any], teacher: Generator | str, *, batch: int, perceptual: PerceptualFeatures
) -> dict[str, ImageTime]:
    """Time the teacher's edit where w+ is known, and where a photo must be embedded first; see `open_teacher`.

    Raises DistillError for settings in the recipe that cannot be.
    """
    if isinstance(teacher, str):
        return dict.fromkeys(
            ("teacher_edit", "embedding_and_edit"), ImageTime(None, f"not measured: {teacher}")
        )
    settings = settings_of_search(recipe)
    if settings:
        edit = search_time(teacher, settings, perceptual)
    else:
        edit = edit_time(teacher, batch=batch, noise=recipe.get("noise", "const"))
    return {"teacher_edit": edit, "embedding_and_edit": embedding_time(teacher, edit, perceptual)}


def open_teacher(recipe: Mapping[str, Any], source: str | None, device: str) -> Generator | str:
    """Load the recipe's generator, or say why it is not timed. Nothing is fetched.

    `source`: a name or file; by default the recipe's generator, where it is on this machine. Raises DistillError for
    another generator than the recipe's.
    """
    facts = recipe.get("generator")
    if not isinstance(facts, dict) or not isinstance(facts.get("name"), str):
        return "the recipe names no generator"
    name = facts["name"]
    if source is None:
        entry = entry_of(name)
        if entry is None:
            return f"the generator {name} is a file, not a known name; say where it is with --teacher"
        if not entry.path.is_file():
            return f"{name} is not on this machine; distill weights fetch {name}"
    generator = load_generator(source or name, device=device)
    if generator.sha256 != facts.get("sha256"):
        what = f"{source or name} has sha256 {generator.sha256[:12]}…, the recipe's {str(facts.get('sha256'))[:12]}…"
        if source is not None:
            raise DistillError(f"--teacher {what}: another generator than the one that made this data set")
        return what
    return generator


def edit_time(generator: Generator, *, batch: int, noise: Noise) -> ImageTime:
    """Time one drawn image for each triplet, the target."""
    z_NZ = torch.randn(batch, generator.z_dim, generator=torch.Generator().manual_seed(0))
    ws_NLD = generator.map(z_NZ)
    took = milliseconds_per_image(
        lambda: generator.synthesize(ws_NLD, noise=noise), images=batch, device=generator.device
    )
    how = f"one image of known w+, batch {batch}, {generator.resolution} px, {generator.precision}"
    return ImageTime(took, f"{how}, {device_text(generator.device)}")


def settings_of_search(recipe: Mapping[str, Any]) -> InterpolationSettings | None:
    """Return how the shares of each pair were looked for, where the data set moves a part of a face; else None."""
    edit = recipe.get("edit")
    shares = edit.get("shares") if isinstance(edit, dict) else None
    settings = shares.get("settings") if isinstance(shares, dict) else None
    return validated(InterpolationSettings, settings) if isinstance(settings, dict) else None


def search_time(
    generator: Generator, settings: InterpolationSettings, perceptual: PerceptualFeatures
) -> ImageTime:
    """Time the search for the shares of a pair: a few steps, with the upper half as the part."""
    if not perceptual.weights:
        return ImageTime(
            None, "not measured: the search compares perceptual features; name some with --perceptual"
        )
    z_NZ = torch.randn(2 * PROBE_PAIRS, generator.z_dim, generator=torch.Generator().manual_seed(0))
    masks_NHW = torch.zeros(PROBE_PAIRS, generator.resolution, generator.resolution)
    masks_NHW[:, : generator.resolution // 2] = 1
    persons_NLD, references_NLD = generator.map(z_NZ).chunk(2)
    pairs = region_pairs(generator, persons_NLD, references_NLD, masks_NHW, masks_NHW)
    few, distance = settings.model_copy(update={"steps": PROBE_STEPS}), FeatureDistance(perceptual)
    took = milliseconds_per_image(
        lambda: optimised_shares(generator, pairs, few, distance=distance, batch=PROBE_PAIRS),
        images=PROBE_PAIRS,
        device=generator.device,
    )
    how = f"{settings.steps} steps by the time of {PROBE_STEPS}, batch {PROBE_PAIRS}, {generator.resolution} px, fp32"
    return ImageTime(took * settings.steps / PROBE_STEPS, f"{how}, {device_text(generator.device)}")


def embedding_time(generator: Generator, edit: ImageTime, perceptual: PerceptualFeatures) -> ImageTime:
    """Time what a student saves: the search for a photo's w+ (`distill.stylegan2.projection`), and then the edit."""
    if not perceptual.weights or edit.milliseconds is None:
        return ImageTime(
            None, "not measured: embedding compares perceptual features; name some with --perceptual"
        )
    target = generator.synthesize(generator.w_avg.expand(1, generator.num_ws, -1))
    distance, spread = FeatureDistance(perceptual), measure_spread(generator)
    took = milliseconds_per_image(
        lambda: project(generator, target, distance=distance, steps=PROBE_STEPS, spread=spread),
        images=1,
        device=generator.device,
    )
    how = f"{STEPS} steps by the time of {PROBE_STEPS}, batch 1, {generator.resolution} px, fp32"
    return ImageTime(
        took * STEPS / PROBE_STEPS + edit.milliseconds, f"{how}, {device_text(generator.device)}"
    )
