"""The figures that NVIDIA published for StyleGAN2 config F on FFHQ at 1024 px, by the names of this tool.

From the README of NVlabs/stylegan2 (means of ten runs, ± their spread).
"""

from __future__ import annotations

from dataclasses import dataclass

NETWORK = "StyleGAN2 config F, FFHQ 1024"
SOURCE = "README of NVlabs/stylegan2"
SEPARABILITY = (
    "ls over 40 attributes of CelebA-HQ: 154.2 in z, 4.27 in w; over other attributes it does not compare"
)


@dataclass(frozen=True)
class Figure:
    """A published number and, where it was published too, the spread between runs."""

    value: float
    spread: float | None = None

    def text(self) -> str:
        return f"{self.value}" if self.spread is None else f"{self.value} ± {self.spread}"


FIGURES = {
    "fid50k": Figure(2.84, 0.03),
    "pr50k3_precision": Figure(0.689),
    "pr50k3_recall": Figure(0.492),
    "ppl_zfull_tf": Figure(348.0, 3.8),
    "ppl_wfull_tf": Figure(126.9, 0.2),
    "ppl_zend_tf": Figure(348.6, 3.0),
    "ppl_wend_tf": Figure(129.4, 0.8),
    "ppl2_wend": Figure(145.0, 0.5),
}
