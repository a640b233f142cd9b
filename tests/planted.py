"""A teacher whose pictures show its w, and a scorer that reads attributes off them: what is true is known."""

from __future__ import annotations

from types import MappingProxyType, SimpleNamespace

import numpy as np
import torch

from distill.directions.look import Studio
from distill.faces.detection import Face

D, L, SIDE = 6, 4, 8  # latent width, layers, pixels
REACH = 6.0  # of a number of w in its pixel
NO_FACE = 3.5  # the largest number of w that still shows a face
MIXING = torch.diag(torch.tensor([1.0, 0.8, 0.6, 1.0, 0.5, 0.9]))


class PlantedTeacher:
    """w is z times a matrix; each number of each layer's w is the brightness of a pixel."""

    z_dim = w_dim = D
    num_ws = L
    resolution = SIDE
    sha256 = "ab" * 32
    device = torch.device("cpu")
    precision = "fp32"
    w_avg = torch.zeros(D)

    def map(self, z_NZ, *, truncation_psi=1.0):
        return (z_NZ @ MIXING * truncation_psi)[:, None].repeat(1, L, 1)

    def synthesize(self, ws_NLD):
        images = torch.zeros(len(ws_NLD), 3, SIDE, SIDE)
        images[:, :, :L, :D] = (ws_NLD / REACH)[:, None]
        return images.clamp(-1, 1)


def w_of(images_NHWC):
    """Read w+ [N, L, D] off the pictures."""
    return (images_NHWC[:, :L, :D, 0].astype(np.float64) / 127.5 - 1) * REACH


def planted_direction(*numbers):
    vector = np.zeros(D)
    vector[: len(numbers)] = numbers
    return vector / np.linalg.norm(vector)


GENDER = planted_direction(1, 2, 0, 1)
AGE = planted_direction(1, -1, 1)


class PlantedScorer:
    """gender: a logistic function of w along GENDER; age: linear in w along AGE."""

    names = ("gender", "age")
    kinds = MappingProxyType({"gender": "probability", "age": "value"})
    sha256, needs_face = "ab" * 32, True

    def __call__(self, images, faces):
        w = w_of(np.asarray(images)).mean(axis=1)
        there = np.array([face is not None for face in faces])
        gender = 1 / (1 + np.exp(-6 * (w @ GENDER)))
        age = 40 + 12 * (w @ AGE)
        return {
            name: np.where(there, values, np.nan).astype(np.float32)
            for name, values in (("gender", gender), ("age", age))
        }


def find_face(image):
    """A face wherever no number of w is too large."""
    if np.abs(w_of(image[None])).max() > NO_FACE:
        return []
    return [Face(box=(0, 0, 8, 8), confidence=1.0, landmarks=np.zeros((68, 2)))]


def describe(image, landmarks):
    """The person is the third number of w."""
    return np.full(128, w_of(image[None])[0, :, 2].mean() / np.sqrt(128))


def planted_studio(**changes):
    settings = {"threads": 1, "find": find_face, "describe": describe} | changes
    return Studio(
        settings.pop("generator", PlantedTeacher()), settings.pop("scorer", PlantedScorer()), **settings
    )


def planted_teacher_facts():
    return SimpleNamespace(name="planted.pkl", sha256=PlantedTeacher.sha256, licence="none")
