"""Weights that are no generator: fetched into the same cache, found by their users, refused as a generator."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from distill.errors import DistillError
from distill.networks import perceptual
from distill.networks.perceptual import load_perceptual
from distill.weights import registry as weights
from distill.weights.fetch import CappedDownload, check_hash
from distill.weights.registry import WeightsEntry, entry_of, resolve, resolve_entry, weights_entries


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DISTILL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def vgg19() -> WeightsEntry:
    entry = entry_of("vgg19")
    assert entry is not None
    return entry


def serving(body: bytes):
    """Stand in for the network: the same download, with a body instead of a server."""

    def stream(self, url, out):
        out.write(body)
        check_hash(url, hashlib.sha256(body).hexdigest(), self.expected)

    return stream


def test_features_stand_apart_and_are_held_to_the_published_sha256():
    assert "vgg19" not in [entry.name for entry in weights_entries()]
    assert [entry.name for entry in weights_entries("features")] == [
        "vgg19",
        "inception",
        "vgg16-lpips",
    ]
    assert vgg19().url == "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"
    assert vgg19().sha256.startswith("dcbb9e9d")  # the suffix of the published name
    with pytest.raises(
        DistillError, match=r"'vgg19' is of the kind features .*, not generator; the generators are port"
    ):
        resolve("vgg19")


def test_a_fetch_keeps_the_published_name_and_refuses_another_content(monkeypatch, cache):
    monkeypatch.setattr(CappedDownload, "_stream", serving(b"other"))
    with pytest.raises(DistillError, match="expected dcbb9e9d"):
        resolve_entry(vgg19())
    assert not vgg19().path.exists()

    own = replace(vgg19(), sha256=hashlib.sha256(b"other").hexdigest())
    assert resolve_entry(own) == cache / "downloads" / "vgg19-dcbb9e9d.pth"


def test_perceptual_features_find_the_fetched_file_and_check_it():
    with pytest.raises(DistillError, match=r"run distill weights fetch vgg19, or choose efficientnet_lite0"):
        load_perceptual("vgg19")
    vgg19().path.parent.mkdir(parents=True)
    vgg19().path.write_bytes(b"half of it")
    with pytest.raises(DistillError, match="damaged: its sha256 starts with"):
        load_perceptual("vgg19")


def test_the_fetched_file_is_the_one_that_is_used(monkeypatch):
    monkeypatch.setattr(perceptual, "_check_published_name", lambda path: None)
    state, inputs = {}, 3
    for level, numbers in enumerate(perceptual.VGG19Features.convolutions):
        for number in numbers:
            outputs = perceptual.VGG19Features.widths[level if number == numbers[-1] else level - 1]
            state[f"features.{number}.weight"] = torch.zeros(outputs, inputs, 3, 3)
            state[f"features.{number}.bias"] = torch.zeros(outputs)
            inputs = outputs
    vgg19().path.parent.mkdir(parents=True)
    torch.save(state, vgg19().path)
    assert len(load_perceptual("vgg19")(torch.zeros(1, 3, 32, 32))) == 5


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (
            'kind = "classifier"\nurl = "https://example.org/x"',
            "kind 'classifier' is not one of generator, student, encoder, features",
        ),
        ('url = "https://example.org/x"', "a generator needs a resolution and a domain"),
        ('kind = "encoder"\nurl = "https://example.org/x"', "an encoder needs a generator"),
        ('kind = "features"', "needs either a file or a url"),
    ],
)
def test_a_wrong_row_of_the_table_is_named(monkeypatch, tmp_path, row, words):
    texts = "".join(f'{key} = "-"\n' for key in ("summary", "licence", "data_licence", "origin"))
    (tmp_path / "manifest.toml").write_text(f'[[weights]]\nname = "x"\n{texts}{row}\n')
    monkeypatch.setattr(weights, "weights_folder", lambda: tmp_path)
    with pytest.raises(DistillError, match=f"'x': {words}"):
        weights._table.__wrapped__()
