"""Gender and age by the network of face-api: a second opinion, of a network that does not select data sets here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from distill.attributes.crops import Crop
from distill.attributes.protocol import Kind, Scores, score_faces
from distill.errors import DistillError
from distill.faces.alignment import Pixels
from distill.faces.detection import Face
from distill.networks.face_api import SHA256, SIDE, load_face_api
from distill.weights.registry import entry_of

NAME = "face-api"
ENTRY = "face-api-age-gender"  # of `distill weights`
# dlib's chip by five points (corners of the eyes, base of the nose). On 217 portraits whose gender is on record it
# is right for all of them with a padding of 0.1 to 0.3, for 200 without; the ages agree best with 0.2 (correlation
# 0.79, 3.8 years too low on average, 6.4 around that). Of 879 portraits, most of them labelled by another network
# and by eye, it is right for 878. The package's own crop, the box around all 68 landmarks, does as well; its ages
# correlate by 0.76.
CROP = Crop(kind="chip", height=SIDE, width=SIDE, padding=0.2, points=5)


class FaceApiScorer:
    """The age and gender network of @vladmandic/face-api 1.7.15, on dlib's face chips of 112 px.

    Images: uint8 [N, H, W, 3], or one [H, W, 3] of its own size each. Scores: `gender`, the probability of female
    (0 to 1), as the network gives it; `age` in years.

    Raises DistillError for a file that is missing or not the published one.
    """

    names: Sequence[str] = ("gender", "age")
    sha256 = SHA256
    needs_face = True

    def __init__(self, file: Path | None = None, *, device: str | torch.device = "cpu") -> None:
        self.device = torch.device(device)
        self.network = load_face_api(file or face_api_file()).to(self.device)

    @property
    def kinds(self) -> Mapping[str, Kind]:
        return {"gender": "probability", "age": "value"}

    @property
    def crops(self) -> Mapping[str, Crop]:
        return {NAME: CROP}

    def __call__(
        self, images: Sequence[Pixels] | Pixels, faces: Sequence[Face | None], /
    ) -> dict[str, Scores]:
        return score_faces(self, images, faces)

    @torch.inference_mode()
    def score_chips(self, chips: Sequence[Mapping[str, Pixels]]) -> dict[str, Scores]:
        """Score faces [N] by their chips [112, 112, 3], as `crops` cuts them; black where they leave the image."""
        chips_NHWC = np.stack([chip[NAME] for chip in chips])
        chips_NCHW = torch.from_numpy(chips_NHWC).to(self.device).permute(0, 3, 1, 2).float()
        years, logits_N2 = self.network(chips_NCHW)
        female = torch.softmax(logits_N2.double(), dim=1)[:, 1].float()
        return {"gender": female.cpu().numpy(), "age": years.float().cpu().numpy()}


def face_api_file() -> Path:
    """Return the fetched file. Raises DistillError where it was not fetched."""
    entry = entry_of(ENTRY)
    if entry is None or not entry.path.is_file():
        raise DistillError(
            f"the scorer {NAME} is not on this machine: run distill weights fetch {ENTRY} (0.4 MiB), or name"
            f" model/age_gender_model.bin of the npm package @vladmandic/face-api 1.7.15 as {NAME}=FILE"
        )
    return entry.path
