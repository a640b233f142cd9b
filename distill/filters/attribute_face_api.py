"""Gender and age by the network of face-api: a second opinion, of a network that does not select data sets here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from distill.errors import DistillError
from distill.faces.alignment import Pixels
from distill.faces.detection import Face
from distill.filters.attribute_crops import Crop
from distill.filters.attributes import Scores
from distill.models.face_api import SHA256, SIDE, load_face_api
from distill.stylegan2.weights import entry_of

NAME = "face-api"
ENTRY = "face-api-age-gender"  # of `distill weights`
# dlib's chip by five points (corners of the eyes, base of the nose). On 217 portraits whose gender is on record it
# is right for all of them with a padding of 0.1 to 0.3, for 200 without; the ages agree best with 0.2 (correlation
# 0.79, 3.8 years too low on the mean, 6.4 around that). Of 879 portraits, most of them labelled by another network
# and by eye, it is right for 878. The package's own crop, the box around all 68 landmarks, does as well; its ages
# correlate by 0.76.
CROP = Crop(kind="chip", height=SIDE, width=SIDE, padding=0.2, points=5)
BATCH = 64


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
    def kinds(self) -> Mapping[str, Literal["probability", "value"]]:
        """What each score is."""
        return {"gender": "probability", "age": "value"}

    def __call__(
        self, images: Sequence[Pixels] | Pixels, faces: Sequence[Face | None], /
    ) -> dict[str, Scores]:
        if len(images) != len(faces):
            raise DistillError(
                f"{len(images)} images and {len(faces)} faces: one face, or None, an image is needed"
            )
        scores = {name: np.full(len(faces), np.nan, dtype=np.float32) for name in self.names}
        found = [(row, face) for row, face in enumerate(faces) if face is not None]
        for first in range(0, len(found), BATCH):
            part = found[first : first + BATCH]
            rows = [row for row, _ in part]
            chips_NHWC = np.stack([face_api_chip(images[row], face) for row, face in part])
            scores["gender"][rows], scores["age"][rows] = self.score_chips(chips_NHWC)
        return scores

    @torch.inference_mode()
    def score_chips(self, chips_NHWC: Pixels) -> tuple[Scores, Scores]:
        """Score chips [N, 112, 112, 3]: (probability of female, years), [N] each."""
        chips_NCHW = torch.from_numpy(chips_NHWC).to(self.device).permute(0, 3, 1, 2).float()
        years, logits_N2 = self.network(chips_NCHW)
        female = torch.softmax(logits_N2.double(), dim=1)[:, 1].float()
        return female.cpu().numpy(), years.float().cpu().numpy()


def face_api_chip(image: Pixels, face: Face) -> Pixels:
    """Cut what the network sees [112, 112, 3] out of an image [H, W, 3]; black where it leaves the image."""
    return CROP(image, face)


def face_api_file() -> Path:
    """Return the fetched file. Raises DistillError where it was not fetched."""
    entry = entry_of(ENTRY)
    if entry is None or not entry.path.is_file():
        raise DistillError(
            f"the scorer {NAME} is not on this machine: run distill weights fetch {ENTRY} (0.4 MiB), or name"
            f" model/age_gender_model.bin of the npm package @vladmandic/face-api 1.7.15 as {NAME}=FILE"
        )
    return entry.path
