"""The fast way through the synthesis network: the reference's images, in fewer and cheaper steps."""

from __future__ import annotations

from distill.stylegan2.fused.synthesis import FusedSynthesis

__all__ = ["FusedSynthesis"]
