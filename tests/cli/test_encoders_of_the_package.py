"""Encoders that come with the package read what their generators draw, and are used without being named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import distill
from distill.cli.main import run
from distill.networks.encoder_files import load_encoder
from distill.stylegan2.encoding import encode, start_of
from distill.weights.by_name import encoder_of
from distill.weights.registry import entry_of, resolve_entry, weights_entries, weights_folder

PHOTO = Path(__file__).parents[1] / "golden" / "alignment" / "astronaut.png"
ENCODERS = weights_entries("encoder")
MIB = 1 << 20


def test_the_default_generator_has_one(tmp_path):
    assert encoder_of(entry_of("portraits").sha256)
    assert run(["project", str(PHOTO), "--space", "encoder", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "astronaut.npz").is_file()


@pytest.mark.parametrize("entry", ENCODERS, ids=lambda entry: entry.name)
def test_an_encoder_is_small_has_a_card_and_is_of_a_known_generator(entry):
    assert entry.path.stat().st_size <= 6 * MIB
    assert entry.card
    assert (weights_folder() / entry.card).is_file()
    generator = entry_of(entry.generator)
    assert generator.kind == "generator"
    load_encoder(resolve_entry(entry)).check_fits(entry.name, generator.sha256)


@pytest.mark.parametrize("entry", ENCODERS, ids=lambda entry: entry.name)
def test_samples_are_drawn_again_much_nearer_than_the_mean(entry):
    generator = distill.load_generator(entry.generator, device="cpu", precision="fp32")
    z = torch.randn(8, generator.z_dim, generator=torch.Generator().manual_seed(5))
    images = generator.synthesize(generator.map(z, truncation_psi=1.0)).clone()
    encoder = load_encoder(entry.path)
    drawn = encode(encoder.network, generator, images, rounds=encoder.rounds).images
    mean = start_of(generator).image
    assert (drawn - images).abs().mean() < 0.7 * (mean - images).abs().mean()
