"""The keys of a recipe as a user knows them, by their dotted names: for the line that says how two recipes differ."""

from __future__ import annotations

import re

from distill.shards.digest import INFORMATIVE

# Settings that `distill generate` has an option for under another name.
OPTIONS = {
    "edit.attributes": "--attributes",
    "edit.attribute": "--attribute",
    "edit.strength": "--strength",
    "edit.direction": "--direction",
    "edit.crossover.lo": "--crossover",
    "edit.crossover.hi": "--crossover",
    "select.min_changes": "--min-change",
    "select.min_gap": "--min-gap",
    "select.min_confidence": "--min-confidence",
    "select.scorer": "--scorer",
    "edit.second_draws": "the role of the second generator",
    "edit.pairing.name": "--pairing",
    "edit.pairing.space": "--space",
    "edit.pairing.steps": "--steps",
    "edit.part": "--part",
    "edit.shares.name": "--shares",
    "edit.shares.settings.steps": "--steps",
    "filters.region.min_inside": "--min-inside-change",
    "filters.region.max_outside": "--max-outside-change",
    "filters.likeness.min_ssim": "--min-ssim",
    "filters.identity.max_distance": "--max-identity-distance",
    "filters.outside.max_change": "--max-outside-change",
}
# Settings that are the sha256 of a file.
FILES = {
    "generator.sha256": "the generator",
    "edit.second_generator.sha256": "the second generator",
    "edit.pairing.features_sha256": "the network of perceptual features",
    "edit.sha256": "the direction",
    "edit.regions_sha256": "the file of regions",
    "edit.shares.sha256": "the file of shares",
    "edit.shares.features_sha256": "the network of perceptual features",
    "select.scorer_sha256": "the scorer",
    "faces.landmarks_sha256": "the model of landmarks",
    "filters.identity.descriptor_sha256": "the model of faces' descriptors",
}
INFORMED = tuple(
    f"{place}.{name}" for place in ("generator", "edit.second_generator") for name in INFORMATIVE
)


def option_of(key: str) -> str | None:
    """Name the option of `distill generate` that sets a key, or a list whose keys end in numbers."""
    return OPTIONS.get(re.sub(r"\.\d+$", "", key))


def file_of(key: str) -> str | None:
    """Name the file whose sha256 a key is; None for a key that is something else."""
    if several := re.fullmatch(r"edit\.directions\.(.+)\.sha256", key):
        return f"the direction of {several[1]}"
    return FILES.get(key)
