"""The Inception network of FID against pytorch-fid's own, and what is said of files that are not its weights."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from distill.errors import DistillError, UnsupportedCheckpoint
from distill.metrics.features import load_features, nvidia_inception
from distill.metrics.frechet import score_name
from distill.networks import inception
from distill.networks.inception import InceptionV3, average
from distill.weights.registry import entry_of

# `names` and `shapes` of pytorch-fid 0.3.0's network (566 tensors, with those of the classifier), and `features` [2,
# 2048] of it in float32 with `numbers` as weights and `pictures` as input.
GOLDEN = Path(__file__).parents[1] / "golden" / "inception_fid.npz"


def uniform(number: int, shape: tuple[int, ...]) -> Tensor:
    """Numbers in [-1, 1) that are the same for any version of any library: the raw bits of Philox, 24 each."""
    count = math.prod(shape)
    raw = np.random.Philox(key=number).random_raw(-(-count // 2)).view(np.uint32)[:count]
    return torch.from_numpy(((raw >> 8).astype(np.float32) / 2**23 - 1).reshape(shape))


def numbers() -> dict[str, Tensor]:
    """A state of the whole network in which no channel dies or explodes."""
    state = {}
    with np.load(GOLDEN) as stored:
        names, shapes = stored["names"].tolist(), stored["shapes"].tolist()
    for i, (name, padded) in enumerate(zip(names, shapes, strict=True)):
        shape = tuple(size for size in padded if size)
        u = uniform(i, shape)
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(0)
        elif len(shape) == 4:
            state[name] = u * math.sqrt(6 / math.prod(shape[1:]))
        elif name.endswith(("running_var", "bn.weight")):
            state[name] = 1 + u / 2
        else:
            state[name] = u / 10
    return state


def pictures() -> Tensor:
    """Two images of 40x48 px, uint8: patches of 8 px."""
    patches = ((uniform(999, (2, 5, 6, 3)) + 1) * 128).to(torch.uint8)
    return patches.repeat_interleave(8, dim=1).repeat_interleave(8, dim=2)


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return numbers()


@pytest.fixture(scope="module")
def published(state: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as the published one is: torch's format before zip archives."""
    path = tmp_path_factory.mktemp("inception") / inception.FILE
    torch.save(state, path, _use_new_zipfile_serialization=False)
    return path


def test_features_are_those_of_pytorch_fid(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inception, "SHA256", hashlib.sha256(published.read_bytes()).hexdigest())
    features = load_features(f"inception={published}")
    assert score_name(features.name) == "frechet_inception"
    found = features.of(picture[None] for picture in pictures())
    with np.load(GOLDEN) as stored:
        expected = stored["features"]
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()
    assert expected.std(axis=0).mean() > 0.01 * expected.mean()  # the two pictures differ


def test_nvidias_form_takes_the_images_in_another_way(
    published: Path, state: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inception, "SHA256", hashlib.sha256(published.read_bytes()).hexdigest())
    features = nvidia_inception(published, "cpu")
    assert features.name == "inception", "the same network: its score is called FID"
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 299, 299, 3), dtype=np.uint8))
    x = (images.permute(0, 3, 1, 2).float() - 128) / 128  # nothing to resize
    with torch.inference_mode():
        expected = InceptionV3(state).pooled(x).numpy()
    assert features.of([images]) == pytest.approx(expected, abs=1e-3 * float(np.abs(expected).max()))


def test_no_file_but_the_published_one_is_read(published: Path, tmp_path: Path) -> None:
    with pytest.raises(
        DistillError,
        match=r"6726825d\.pth as published \(its sha256 starts with .*distill weights fetch inception",
    ) as e:
        load_features(f"inception={published}")
    assert "\n" not in str(e.value)
    page = tmp_path / inception.FILE
    page.write_text("<html>please log in</html>")
    with pytest.raises(DistillError, match=f"^{page}: not pt_inception"):
        load_features(f"inception={page}")
    with pytest.raises(DistillError, match=r"missing\.pth: cannot be read \(no such file"):
        load_features(f"inception={tmp_path / 'missing.pth'}")


def test_the_file_of_the_table_is_taken_once_it_is_fetched(
    published: Path, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setenv("DISTILL_CACHE", str(tmp_path))
    entry = entry_of("inception")
    assert entry is not None
    assert (entry.path.name, entry.sha256) == (inception.FILE, inception.SHA256)
    for name in ("inception", "inception="):
        with pytest.raises(DistillError, match="run distill weights fetch inception, or give its path"):
            load_features(name)
    entry.path.parent.mkdir()
    entry.path.write_bytes(published.read_bytes())
    monkeypatch.setattr(inception, "SHA256", hashlib.sha256(published.read_bytes()).hexdigest())
    assert load_features("inception").name == "inception"


def test_tensors_of_another_network_are_named(state: dict[str, Tensor]) -> None:
    other = {**state, "Mixed_6b.branch7x7_2.conv.weight": torch.zeros(128, 128, 7, 1)}
    with pytest.raises(UnsupportedCheckpoint, match=r"Mixed_6b\.branch7x7_2\.conv\.weight has shape"):
        InceptionV3(other)
    with pytest.raises(UnsupportedCheckpoint, match=r"Mixed_7c\.branch_pool\.bn\.running_var is missing"):
        InceptionV3({name: t for name, t in state.items() if name != "Mixed_7c.branch_pool.bn.running_var"})


def test_pooling_is_that_of_the_old_graph(state: dict[str, Tensor]) -> None:
    corner = average()(torch.tensor([[[[4.0, 8.0], [0.0, 0.0]]]]))[0, 0, 0, 0]
    assert float(corner) == 3  # of four numbers: the five outside do not count
    last, before = (
        [type(module) for module in block.modules() if isinstance(module, (nn.AvgPool2d, nn.MaxPool2d))]
        for block in (InceptionV3(state).mixed[-1], InceptionV3(state).mixed[-2])
    )
    assert (last, before) == ([nn.MaxPool2d], [nn.AvgPool2d])
