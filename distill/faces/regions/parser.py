"""A face parser of the user's: an ONNX network that tells the class of every pixel, and a TOML that names it.

Such a TOML, for a network of the 19 classes of CelebAMask-HQ:

    network = "parser.onnx"   # beside this file or below
    output = "logits"         # a value of its graph with the scores of each class; by default its only output

    [input]
    crop = "whole"
    mean = [0.485, 0.456, 0.406]
    std = [0.229, 0.224, 0.225]

    [regions]                 # the numbers of the classes that make each part
    eyes = [2, 3, 4, 5, 6]
    nose = 10
    mouth = [11, 12, 13]
    face = [1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13]
    hair = 17
    background = 0
    clothes = 16

The keys of `input` are those of a scorer's (`InputSettings`), but that a whole picture is scaled to the input.
N pictures, H W px, K classes, h w the size that the network gives.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional as F

from distill.errors import UnsupportedCheckpoint
from distill.faces.regions.parts import PARTS, Mask, PartName, RegionPictures
from distill.networks.input_settings import InputSettings, Text, settings_of
from distill.networks.onnx_network import OnnxNetwork, open_onnx, read_onnx_bytes
from distill.networks.toml_file import read_toml
from distill.networks.user_network import as_input, fitting_sides, network_beside
from distill.schema import Frozen
from distill.weights.checkpoint import file_sha256

AT_ONCE = 4  # pictures
MIDDLE = 0.5  # the grey that a network is tried out with

ClassNumber = Annotated[int, Field(ge=0, le=9999)]


class ParserSettings(Frozen):
    """A face parser: its network, what goes in, and the classes that make each region.

    `given` says what the network gives for each class: logits, or probabilities already.
    """

    network: Annotated[Text, Field(min_length=1)]
    output: Text = ""
    given: Literal["logits", "probabilities"] = "logits"
    input: InputSettings
    regions: Annotated[
        dict[PartName, ClassNumber | Annotated[tuple[ClassNumber, ...], Field(min_length=1)]],
        Field(min_length=1),
    ]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.input.crop != "whole":
            raise ValueError(f'input.crop: {self.input.crop!r}; a parser sees the "whole" picture')
        return self

    @property
    def classes(self) -> Mapping[str, Sequence[int]]:
        """The numbers of the classes of each part."""
        return {
            part: [numbers] if isinstance(numbers, int) else numbers for part, numbers in self.regions.items()
        }


class FaceParser:
    """Regions by a user's network, which takes float32 [N, C, h, w] and gives scores [N, K, h, w].

    Raises UnsupportedCheckpoint where network and settings do not fit.
    """

    face_parts: Sequence[str] = ()

    def __init__(self, settings: ParserSettings, network: OnnxNetwork) -> None:
        self.settings, self.network = settings, network
        self.height, self.width = fitting_sides(settings.input, network)
        if len(network.outputs) != 1:
            raise UnsupportedCheckpoint(
                f"output: the network gives {', '.join(network.outputs)}; name the one with the scores of the classes"
            )
        count = self._scores(torch.full((1, 3, self.height, self.width), MIDDLE)).shape[1]
        for part, numbers in settings.classes.items():
            if max(numbers) >= count:
                raise UnsupportedCheckpoint(
                    f"regions.{part}: class {max(numbers)}; the network has {count}, 0 to {count - 1}"
                )

    @classmethod
    def read(cls, path: Path) -> FaceParser:
        """Open the parser that a TOML describes. Raises DistillError in one line that names the file and the key."""
        settings = settings_of(ParserSettings, read_toml(path), str(path))
        weights = network_beside(path, settings.network)
        outputs = [settings.output] if settings.output else []
        network = open_onnx(read_onnx_bytes(weights), str(weights), outputs=outputs)
        try:
            return cls(settings, network)
        except UnsupportedCheckpoint as error:
            raise UnsupportedCheckpoint(f"{path}: {error}") from error

    @property
    def parts(self) -> Sequence[str]:
        return [part for part in PARTS if part in self.settings.regions]

    @torch.inference_mode()
    def masks(self, pictures: RegionPictures, parts: Sequence[str], /) -> dict[str, Mask]:
        """Return the share of each part's classes, [N, H, W]."""
        found: dict[str, list[Tensor]] = {part: [] for part in parts}
        for images in torch.split(torch.from_numpy(pictures.images), AT_ONCE):
            scores = self._scores(self._scaled(images))
            shares = torch.softmax(scores, dim=1) if self.settings.given == "logits" else scores
            for part in parts:
                share = shares[:, list(self.settings.classes[part])].sum(dim=1, keepdim=True)
                size = pictures.images.shape[1:3]
                found[part].append(
                    F.interpolate(share, size=size, mode="bilinear", align_corners=False)[:, 0]
                )
        return {part: torch.cat(shares).clamp(0, 1).numpy() for part, shares in found.items()}

    def _scaled(self, images_NHWC: Tensor) -> Tensor:
        """Scale whole pictures to the input, uint8 [N, H, W, 3] → values of 0 to 1 [N, 3, h, w]."""
        x = images_NHWC.permute(0, 3, 1, 2).float() / 255
        size = (self.height, self.width)
        return F.interpolate(x, size=size, mode="bilinear", align_corners=False, antialias=True)

    def _scores(self, x_N3hw: Tensor) -> Tensor:
        pixels = (x_N3hw * 255).round().clamp(0, 255).permute(0, 2, 3, 1)
        (scores,) = self.network(as_input(pixels, self.settings.input)).values()
        found: Tensor = scores.float()
        if found.ndim != 4 or found.shape[1] < 2:
            raise UnsupportedCheckpoint(
                f"output: the network gives {list(found.shape[1:])} for a picture; the scores of 2 or more classes"
                " for each pixel are needed, [K, h, w]: name by `output` what comes before the largest is taken"
            )
        return found


def parser_sha256(path: Path) -> str:
    """Return a sha256 of the TOML of a parser and of its network. Raises DistillError as `FaceParser.read`."""
    settings = settings_of(ParserSettings, read_toml(path), str(path))
    files = (path, network_beside(path, settings.network))
    return hashlib.sha256("".join(map(file_sha256, files)).encode()).hexdigest()
