"""Encoders as files: safetensors, with the generator that they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import torch

from distill.errors import DistillError, UnsupportedCheckpoint
from distill.networks.encoder import EncoderNetwork, EncoderShape, shape_facts
from distill.weights.safe_pickle.machine import shown
from distill.weights.safetensors_file import read_tensors, write_tensors

FORMAT = "distill-encoder-1"
GENERATOR, ROUNDS = "generator_sha256", "rounds"
MOST_SIDE, MOST_WIDTH, MOST_ROUNDS = 1024, 1024, 5


@dataclass(frozen=True, kw_only=True, eq=False)
class Encoder:
    """An encoder's network, its generator's sha256, the rounds that it was trained for, and other facts."""

    network: EncoderNetwork
    generator_sha256: str
    rounds: int
    facts: Mapping[str, str]

    def check_fits(self, path: Path | str, sha256: str) -> None:
        """Raise DistillError where the generator is another one."""
        if sha256 != self.generator_sha256:
            raise DistillError(
                f"{path}: an encoder of another generator (sha256 {self.generator_sha256[:12]}, this one has"
                f" {sha256[:12]}): train one with distill train-encoder"
            )


def save_encoder(path: Path, encoder: Encoder, *, half: bool = False) -> None:
    """Write an encoder, `half` in float16: whole or not at all. Raises as `write_tensors`."""
    texts = {
        **encoder.facts,
        **shape_facts(encoder.network.shape),
        "format": FORMAT,
        GENERATOR: encoder.generator_sha256,
        ROUNDS: str(encoder.rounds),
    }
    dtype = torch.float16 if half else torch.float32
    state = {name: tensor.detach().float().cpu() for name, tensor in encoder.network.state_dict().items()}
    write_tensors(path, state, texts, dtype=dtype)


def load_encoder(path: Path, *, device: str | torch.device = "cpu") -> Encoder:
    """Read an encoder. Raises UnsupportedCheckpoint for any other file, and what reading it raises."""
    try:
        tensors, texts = read_tensors(path)
        if texts.get("format") != FORMAT:
            raise UnsupportedCheckpoint("no encoder of distill train-encoder")
        numbers = {name: _number(texts, name) for name in (*_shape_names(), ROUNDS)}
        rounds = numbers.pop(ROUNDS)
        shape = EncoderShape(**numbers)
        _check(shape, rounds)
        with torch.device("meta"):
            network = EncoderNetwork(shape)
        expected = network.state_dict()
        for name, tensor in expected.items():
            if name not in tensors or tensors[name].shape != tensor.shape:
                raise UnsupportedCheckpoint(f"{name} is missing, or its shape is not {list(tensor.shape)}")
        network.load_state_dict({name: tensors[name].float() for name in expected}, strict=True, assign=True)
    except UnsupportedCheckpoint as error:
        raise UnsupportedCheckpoint(f"{path}: {error}") from error
    own = {"format", GENERATOR, ROUNDS, *_shape_names()}
    return Encoder(
        network=network.eval().requires_grad_(False).to(device),
        generator_sha256=texts.get(GENERATOR, ""),
        rounds=rounds,
        facts={name: text for name, text in texts.items() if name not in own},
    )


def _shape_names() -> tuple[str, ...]:
    return tuple(field.name for field in fields(EncoderShape))


def _number(texts: Mapping[str, str], name: str) -> int:
    text = texts.get(name, "")
    if not text.isdecimal() or len(text) > 6:
        raise UnsupportedCheckpoint(f"{name} is {shown(text)}, not a number")
    return int(text)


def _check(shape: EncoderShape, rounds: int) -> None:
    side = shape.resolution
    fits = 8 <= side <= MOST_SIDE and not side & (side - 1) and 1 <= rounds <= MOST_ROUNDS
    if not fits or not 8 <= shape.width <= MOST_WIDTH or shape.width % 8 or not 0 < shape.num_ws <= 18:
        raise UnsupportedCheckpoint(f"not a possible shape of an encoder: {shape}, {rounds} rounds")
