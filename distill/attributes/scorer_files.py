"""Scorers out of files: what `distill train-classifier` wrote, or a TOML that describes a network of the user's.

Such a TOML, for a network that tells from a face of 64 px whether it smiles:

    network = "smile.onnx"  # beside this file or below; or a state dict (.pth, .safetensors) with an `architecture`

    [input]
    crop = "chip"           # "whole", "chip" (dlib's, with padding) or "ffhq"
    channels = "rgb"        # "rgb", "bgr" or "grey"
    mean = [0.485, 0.456, 0.406]
    std = [0.229, 0.224, 0.225]

    [[scores]]
    name = "smile"
    kind = "softmax"        # "softmax", "sigmoid", "expectation" or "value"
    labels = ["neutral", "smiling"]
    positive = "smiling"
    temperature = 1.3

All keys: `InputSettings` and `ScoreSettings`. Nothing in any of these files is ever executed.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch
from torch import Tensor, nn

from distill.attributes.network import NetworkScorer
from distill.attributes.settings import ScorerSettings
from distill.errors import DistillError, UnsupportedCheckpoint
from distill.files import check_regular
from distill.networks.classifier import ARCHITECTURES
from distill.networks.input_settings import settings_of
from distill.networks.onnx_network import open_onnx, read_onnx_bytes
from distill.networks.toml_file import read_toml
from distill.networks.user_network import network_beside
from distill.schema import canonical_json
from distill.weights.checkpoint import file_sha256
from distill.weights.safe_pickle.machine import shown
from distill.weights.safetensors_file import write_tensors
from distill.weights.state_files import StateFile, read_state

FORMAT = "distill-scorer"
HELP = (
    "a scorer is 'builtin', 'face-api', a .toml that names a network, or a file of distill train-classifier"
)


def read_scorer(path: Path, device: str | torch.device = "cpu") -> NetworkScorer:
    """Return the scorer of a TOML, or of a file of `distill train-classifier`.

    Raises DistillError in one line that names the file and the key for settings that are missing, unknown or do not
    fit the network, and for a network that cannot be read.
    """
    try:
        check_regular(path)
    except OSError as error:
        raise DistillError(f"{path}: {error.strerror}; {HELP}") from error
    if path.suffix.lower() == ".toml":
        return _of_toml(path, device)
    if path.suffix.lower() in (".onnx", ".csv"):
        what = "a table of scores is not a network" if path.suffix.lower() == ".csv" else "name it in a .toml"
        raise DistillError(f"{path}: {what}; {HELP}")
    return _of_trained(path, device)


def save_scorer(path: Path, settings: ScorerSettings, tensors: dict[str, Tensor]) -> None:
    """Write settings and weights into one safetensors file that `read_scorer` reads; whole or not at all.

    Raises DistillError where it cannot be written, DiskFull.
    """
    texts = {"format": FORMAT, "scorer": settings.model_dump_json(exclude_defaults=True)}
    write_tensors(path, tensors, texts)


def _of_toml(path: Path, device: str | torch.device) -> NetworkScorer:
    settings = settings_of(ScorerSettings, read_toml(path), str(path))
    if not settings.network:
        raise DistillError(f'{path}: network: missing; the file with the weights, such as "smile.onnx"')
    weights = network_beside(path, settings.network)
    if weights.suffix.lower() == ".onnx":
        if settings.architecture:
            raise DistillError(f"{path}: architecture: an ONNX file has its own; leave the key out")
        data = read_onnx_bytes(weights)
        asked = tuple(dict.fromkeys(score.output for score in settings.scores if score.output))
        network: nn.Module = open_onnx(data, str(weights), outputs=asked)
        sha256 = hashlib.sha256(data).hexdigest()
    else:
        network, sha256 = _of_state(path, settings, read_state(weights)), file_sha256(weights)
    return _scorer(path, settings, network, sha256, device)


def _of_trained(path: Path, device: str | torch.device) -> NetworkScorer:
    file = read_state(path)
    if file.metadata.get("format") != FORMAT:
        raise UnsupportedCheckpoint(f"{path}: weights without settings: name it in a .toml; {HELP}")
    try:
        values = json.loads(file.metadata.get("scorer", ""))
    except (ValueError, RecursionError) as error:
        raise UnsupportedCheckpoint(f"{path}: broken settings ({type(error).__name__})") from error
    settings = settings_of(ScorerSettings, values, str(path))
    return _scorer(path, settings, _of_state(path, settings, file), file_sha256(path), device)


def _of_state(path: Path, settings: ScorerSettings, file: StateFile) -> nn.Module:
    name = settings.architecture
    if name not in ARCHITECTURES:
        what = f"{shown(name)!r} is unknown" if name else "missing: weights alone do not say what to compute"
        raise DistillError(f"{path}: architecture: {what}; known are {', '.join(ARCHITECTURES)}")
    try:
        return ARCHITECTURES[name](file.tensors)
    except UnsupportedCheckpoint as error:
        raise UnsupportedCheckpoint(f"{path}: architecture {name}: {error}") from error


def _scorer(
    path: Path, settings: ScorerSettings, network: nn.Module, weights_sha256: str, device: str | torch.device
) -> NetworkScorer:
    facts = settings.model_dump(mode="json", exclude={"network"}) | {"weights": weights_sha256}
    sha256 = hashlib.sha256(canonical_json(facts).encode()).hexdigest()
    try:
        return NetworkScorer(settings, network, sha256=sha256, device=device)
    except UnsupportedCheckpoint as error:
        raise UnsupportedCheckpoint(f"{path}: {error}") from error
