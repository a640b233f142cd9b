"""The teacher: StyleGAN2 networks, checkpoint readers and the table of known weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distill.stylegan2.generator import Generator
    from distill.stylegan2.load import load_generator

__all__ = ["Generator", "load_generator"]


def __getattr__(name: str) -> Any:
    # Deferred, so that the table of weights can be read without importing torch.
    if name == "load_generator":
        from distill.stylegan2.load import load_generator

        return load_generator
    if name == "Generator":
        from distill.stylegan2.generator import Generator

        return Generator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
