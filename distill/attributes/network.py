"""A network and what its numbers mean, as a scorer. N images, C channels, H W px, K numbers of one output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from distill.attributes.crops import Crop
from distill.attributes.outputs import check_endings, check_output, chosen_output, read_output
from distill.attributes.protocol import Kind, Scores, score_faces
from distill.attributes.settings import ScorerSettings
from distill.errors import UnsupportedCheckpoint
from distill.faces.alignment import Pixels
from distill.faces.detection import Face
from distill.networks.user_network import as_input, fitting_sides

ONLY = "image"  # the name of the one crop
AT_ONCE = 2**21  # pixels that go through the network together: 41 images of 224 px
MIDDLE = 127  # the grey that a network is tried out with


class NetworkScorer:
    """A network of the user's and its settings as a scorer: see `AttributeScorer`.

    `network` takes float32 [N, C, H, W] and gives a tensor [N, K], or several by name. `sha256` is that of weights
    and settings together. Raises UnsupportedCheckpoint where the network fits the input or the scores that the
    settings tell of no better than by other numbers; both are named, behind the key of the file.
    """

    def __init__(
        self,
        settings: ScorerSettings,
        network: nn.Module,
        *,
        sha256: str,
        device: str | torch.device = "cpu",
    ) -> None:
        self.settings, self.sha256 = settings, sha256
        self.network = network.eval().requires_grad_(False)
        given = settings.input
        height, width = fitting_sides(given, network)
        self.crops = {
            ONLY: Crop(
                kind=given.crop, height=height, width=width, padding=given.padding, points=given.points
            )
        }
        check_endings(settings.scores, network)
        self.device = torch.device("cpu")
        self._try_out()
        self.device = torch.device(device)
        self.network.to(self.device)

    @property
    def names(self) -> Sequence[str]:
        return list(self.settings.kinds)

    @property
    def kinds(self) -> Mapping[str, Kind]:
        return self.settings.kinds

    @property
    def needs_face(self) -> bool:
        return self.crops[ONLY].needs_face

    def __call__(
        self, images: Sequence[Pixels] | Pixels, faces: Sequence[Face | None], /
    ) -> dict[str, Scores]:
        return score_faces(self, images, faces)

    def score_chips(self, chips: Sequence[Mapping[str, Pixels]]) -> dict[str, Scores]:
        """Score images [N] by what `crops` cuts out of them."""
        outputs = self.outputs(np.stack([chip[ONLY] for chip in chips]))
        scores: dict[str, Scores] = {}
        for number, score in enumerate(self.settings.scores):
            output_NK = chosen_output(score, outputs, f"scores.{number}")
            for name, values_N in read_output(score, output_NK).items():
                scores[name] = values_N.float().cpu().numpy()
        return scores

    @torch.inference_mode()
    def outputs(self, chips_NHWC: Pixels) -> dict[str, Tensor]:
        """Return what the network gives, float64 [N, K] each, on the scorer's device."""
        count = max(1, AT_ONCE // (chips_NHWC.shape[1] * chips_NHWC.shape[2]))
        parts = [self._part(chips_NHWC[first : first + count]) for first in range(0, len(chips_NHWC), count)]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def _part(self, chips_NHWC: Pixels) -> dict[str, Tensor]:
        found = self.network(as_input(torch.from_numpy(chips_NHWC).to(self.device), self.settings.input))
        by_name = found if isinstance(found, dict) else {"": found}
        return {name: value.flatten(1).double() for name, value in by_name.items() if value.ndim > 1}

    def _try_out(self) -> None:
        """Let one grey image through, and look at what comes out."""
        crop = self.crops[ONLY]
        try:
            outputs = self.outputs(np.full((1, crop.height, crop.width, 3), MIDDLE, dtype=np.uint8))
        except RuntimeError as error:
            detail = " ".join(str(error).split())[:160]
            raise UnsupportedCheckpoint(
                f"input.size: the network does not run on {crop.height}×{crop.width} px ({detail})"
            ) from error
        for number, score in enumerate(self.settings.scores):
            key = f"scores.{number}"
            check_output(score, chosen_output(score, outputs, key), key)
