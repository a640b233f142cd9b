"""The built-in scorer: apparent gender and age of a face by two published networks, smile and yaw by two of ours."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from distill.attributes.crops import FIVE_OF_68, Crop
from distill.attributes.protocol import Kind, Scores, score_faces
from distill.errors import DistillError
from distill.faces.alignment import Pixels
from distill.faces.detection import Face
from distill.networks import age_gender, face_chip
from distill.networks.age_gender import MEANS, SCALE, load_age_gender
from distill.networks.face_chip import load_face_chip
from distill.weights.registry import embedded_entry

# The scores by attribute.
SCORES = {"gender": ("gender",), "age": ("age", "age_spread"), "smile": ("smile",), "yaw": ("yaw",)}
PROBABILITIES = ("gender", "smile")
DEFAULT = ("gender", "age")  # unless others are asked for
ENTRIES = age_gender.ENTRIES | face_chip.ENTRIES
SIDES = age_gender.SIDES | dict.fromkeys(face_chip.ENTRIES, face_chip.SIDE)

# Fitted by likelihood on the 217 of 879 official portraits of the US Congress whose gender is on record. There the
# network is right for 215 (99.1 %); the calibration error (10 bins of confidence) falls from 0.0098 to 0.0080. On
# the other 662, labelled by eye, it is right for 99.2 %, and the error falls from 0.0106 to 0.0092; of the faces
# with a confidence of at least 0.9 it is right for 99.8 %. With so few mistakes the temperature is not well known
# (95 % of resampled fits lie below 1.3), so it says chiefly that the network was calibrated before.
GENDER_TEMPERATURE = 0.94
PADDING = 0.2  # dlib's default of get_face_chip_details, which both networks were trained with
NEWBORN = 0.25  # years that class 0 stands for; class k stands for k years

SMILE_MIDDLE, SMILE_TEMPERATURE = 1.1, 0.66
DEGREES = 10.0  # of yaw for an output of 1
FACE_PADDING = 0.3  # of the chips for smile and yaw


class BuiltinScorer:
    """The embedded networks for gender, age, smile and yaw, on dlib's face chips.

    `attributes` are out of these four; only their networks are opened. Images: uint8 [N, H, W, 3], or one [H, W, 3]
    of its own size each. Scores: `gender`, the calibrated probability of female (0 to 1; its larger side is the
    confidence); `age`, the expected age in years (0.25 to 80); `age_spread`, the standard deviation of the network's
    own distribution; `smile`, the calibrated probability of a smile; `yaw` in degrees, positive where the face looks
    to the right of the picture, true to about 20 either way.

    Age is rough: on 217 portraits of known age it is 7 years too low on average, with an error of 10 years around
    that and a correlation of 0.55, while the spread is 5 years at the median; compare ages, do not believe them.

    Raises DistillError for an unknown attribute, and for embedded files that are missing or changed.
    """

    def __init__(self, attributes: Sequence[str] = DEFAULT, *, device: str | torch.device = "cpu") -> None:
        self.attributes = check_attributes(attributes)
        self.device = torch.device(device)
        self.networks = {name: _load(name).to(self.device) for name in self.attributes}

    @property
    def names(self) -> Sequence[str]:
        return [score for name in self.attributes for score in SCORES[name]]

    @property
    def kinds(self) -> Mapping[str, Kind]:
        return {name: "probability" if name in PROBABILITIES else "value" for name in self.names}

    @property
    def sha256(self) -> str:
        networks = [network_sha256(name) for name in self.attributes]
        settings = [*networks, GENDER_TEMPERATURE, NEWBORN, MEANS, SCALE, PADDING]
        if not set(self.attributes) <= set(DEFAULT):
            settings += [SMILE_MIDDLE, SMILE_TEMPERATURE, DEGREES, FACE_PADDING]
        return hashlib.sha256(json.dumps(settings).encode()).hexdigest()

    @property
    def needs_face(self) -> bool:
        return True

    @property
    def crops(self) -> Mapping[str, Crop]:
        # The networks were trained on chips placed by five points. Placed by all 68, over 879 portraits the
        # probability of female moves by 0.009 on average instead of 0.005 (four faces change sides instead of
        # one), and the age by 2.2 years instead of 1.5.
        return {
            name: Crop(
                kind="chip",
                height=SIDES[name],
                width=SIDES[name],
                padding=PADDING if name in DEFAULT else FACE_PADDING,
                points=len(FIVE_OF_68),
            )
            for name in self.attributes
        }

    def __call__(
        self, images: Sequence[Pixels] | Pixels, faces: Sequence[Face | None], /
    ) -> dict[str, Scores]:
        return score_faces(self, images, faces)

    def score_chips(self, chips: Sequence[Mapping[str, Pixels]]) -> dict[str, Scores]:
        """Score faces [N] by their chips, one for each attribute, as `crops` cuts them."""
        scores: dict[str, Scores] = {}
        for name in self.attributes:
            logits_NK = self.logits(name, np.stack([chip[name] for chip in chips])).double()
            for score, value in zip(SCORES[name], READ[name](logits_NK), strict=True):
                scores[score] = value.float().cpu().numpy()
        return scores

    @torch.inference_mode()
    def logits(self, attribute: str, chips_NHWC: Pixels) -> Tensor:
        """Return what the network gives, before any softmax: float32 [N, K] on the scorer's device."""
        chips_NCHW = torch.from_numpy(chips_NHWC).to(self.device).permute(0, 3, 1, 2).float()
        logits: Tensor = self.networks[attribute](chips_NCHW)
        return logits


def check_attributes(attributes: Sequence[str]) -> list[str]:
    """Return the attributes, each once; DistillError for an unknown one, and for none."""
    unknown = [name for name in attributes if name not in SCORES]
    if unknown or not attributes:
        what = f"unknown attribute {unknown[0]!r}" if unknown else "no attribute is named"
        raise DistillError(f"{what}; known are {', '.join(SCORES)}")
    return list(dict.fromkeys(attributes))


def network_sha256(attribute: str) -> str:
    """Return the sha256 of the embedded network's file."""
    return str(embedded_entry(ENTRIES[attribute]).sha256)


def _load(attribute: str) -> nn.Module:
    return load_age_gender(attribute) if attribute in DEFAULT else load_face_chip(attribute)


def _gender(logits_N2: Tensor) -> tuple[Tensor]:
    return (torch.softmax(logits_N2 / GENDER_TEMPERATURE, dim=1)[:, 0],)


def _age(logits_NK: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of the distribution over ages."""
    shares = torch.softmax(logits_NK, dim=1)
    years = torch.arange(logits_NK.shape[1], device=shares.device, dtype=shares.dtype)
    years[0] = NEWBORN
    mean = shares @ years
    variance = (shares * (years - mean[:, None]) ** 2).sum(dim=1)
    return mean, variance.sqrt()


def _smile(logit_N1: Tensor) -> tuple[Tensor]:
    return (torch.sigmoid((logit_N1[:, 0] - SMILE_MIDDLE) / SMILE_TEMPERATURE),)


def _yaw(number_N1: Tensor) -> tuple[Tensor]:
    return (number_N1[:, 0] * DEGREES,)


READ: Mapping[str, Callable[[Tensor], tuple[Tensor, ...]]] = {
    "gender": _gender,
    "age": _age,
    "smile": _smile,
    "yaw": _yaw,
}
