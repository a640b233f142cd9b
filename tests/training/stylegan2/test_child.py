"""A child of a generator: what it keeps of the parent, what a run tells of that, and that it resumes exactly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from state_differences import differences

from distill.cli.train import training_command
from distill.errors import DistillError
from distill.stylegan2.facts import parent_in
from distill.stylegan2.load import load_generator
from distill.stylegan2.networks import GeneratorNetwork
from distill.training.checkpoint import load_checkpoint
from distill.training.position import RunPosition
from distill.training.settings import changed
from distill.training.stats import read_stats
from distill.training.stylegan2.export import save_generator
from distill.training.stylegan2.parent import (
    ParentLikeness,
    colour_distance,
    landmark_drift,
    structure_distance,
)
from distill.training.stylegan2.settings import PRESETS, settle
from distill.training.stylegan2.step import StyleGAN2Step
from distill.training.stylegan2.transfer import read_start
from distill.weights.checkpoint import file_sha256, read_checkpoint

TINY, SIDE = PRESETS["tiny"], 16


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(5)
    path = tmp_path_factory.mktemp("parent") / "parent.safetensors"
    save_generator(path, GeneratorNetwork(TINY.shape(SIDE)), {})
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen images of 32 px: the child is of 16."""
    folder = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for i in range(16):
        Image.fromarray(random.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / f"{i:02d}.png")
    return folder


def invoke(folder: Path, out: Path, *more: object) -> str:
    options = ["--data", folder, "--out", out, "--preset", "tiny", "--device", "cpu", "--precision", "fp32"]
    options += ["--features", "none", "--batch", 8, "--set", "head_start_kimg=0.016", *more]
    result = CliRunner().invoke(
        training_command("stylegan2"),
        [str(o) for o in options],
        standalone_mode=False,
        catch_exceptions=True,
    )
    if result.exception is not None:
        raise result.exception
    return result.output


def failure(folder: Path, out: Path, *more: object) -> str:
    with pytest.raises(DistillError) as caught:
        invoke(folder, out, *more)
    assert caught.value.exit_code == 2
    assert not out.exists()
    return str(caught.value)


@pytest.fixture
def no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the search for faces: there are none, and the pictures are not what is asked about."""
    monkeypatch.setattr(ParentLikeness, "_landmarks", lambda self, images: [None] * len(images))


def child_step(parent: Path, **changes: Any) -> StyleGAN2Step:
    asked = {"init": str(parent), "child": True, "head_start_kimg": 0.0, "freeze_d": 0, "batch": 8}
    asked |= {"structure_weight": 0, "colour_weight": 0}
    step = StyleGAN2Step(settle(TINY, asked | changes), SIDE, seed=0)
    step.begin_from(read_start(parent, step.settings, SIDE))
    return step


def learn(step: StyleGAN2Step, updates: int, *, samples: int = 0) -> dict[str, float]:
    """Updates with white images."""
    reals = torch.ones(step.share, 3, SIDE, SIDE)
    report: dict[str, Any] = {}
    for number in range(updates):
        report = dict(step.update(reals, RunPosition(seed=0, updates=number, samples=samples)))
    return {name: float(value) for name, value in report.items()}


@pytest.mark.usefixtures("no_search")
def test_the_mapping_and_its_mean_stay_and_all_else_learns(
    folder: Path, parent: Path, tmp_path: Path
) -> None:
    """Path length too, which needs gradients of w."""
    options = ["--init", parent, "--child", "--kimg", 0.064, "--set", "path_weight=2"]
    invoke(folder, tmp_path / "run", *options)
    was, now = (read_checkpoint(file).state for file in (parent, tmp_path / "run" / "generator.safetensors"))
    same = {name for name in was if torch.equal(was[name], now[name])}
    assert {name for name in was if name.startswith("mapping.")} <= same
    left = {name for name in was if "mapping" not in name} - same
    assert {"synthesis.b4.const", "synthesis.b16.torgb.weight", "synthesis.b8.conv0.affine.weight"} <= left
    generator, first = (load_generator(file) for file in (tmp_path / "run" / "generator.safetensors", parent))
    z = torch.randn(3, TINY.latent)
    assert torch.equal(generator.map(z, truncation_psi=0.5), first.map(z, truncation_psi=0.5))


def test_each_snapshot_stays_beside_its_picture_and_tells_of_the_parent(
    folder: Path, parent: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    invoke(folder, out, "--init", parent, "--child", "--kimg", 0.048, "--snapshot-kimg", 0.016)
    names = {path.name for path in out.iterdir()}
    for samples in (16, 32, 48):
        assert {f"generator-{samples:09d}.safetensors", f"samples-{samples:09d}.png"} <= names
    first, last = (read_checkpoint(out / f"generator-{n:09d}.safetensors") for n in (16, 48))
    name = "synthesis.b4.const"
    assert torch.equal(first.state[name], read_checkpoint(parent).state[name])  # the head start
    assert not torch.equal(first.state[name], last.state[name])
    found = parent_in(last.facts)
    assert found is not None
    assert (found.name, found.sha256) == (parent.name, file_sha256(parent))
    stats = read_stats(out)[-1]
    assert 0 < stats["parent_ssim"] < 1
    assert (stats["without_face"], stats["parent_without_face"]) == (64, 64)  # noise is no face
    assert "landmark_drift" not in stats
    assert last.facts["parent_ssim"] == pytest.approx(stats["parent_ssim"], abs=1e-4)
    picture = np.asarray(Image.open(out / "samples-000000016.png")).reshape(8, SIDE, 8 * SIDE, 3)
    assert np.array_equal(picture[::2], picture[1::2])  # rows of the parent, and of a child that is its equal
    picture = np.asarray(Image.open(out / "samples-000000048.png")).reshape(8, SIDE, 8 * SIDE, 3)
    assert not np.array_equal(picture[::2], picture[1::2])


def test_a_generator_that_is_no_child_has_no_parent(parent: Path) -> None:
    assert parent_in(read_checkpoint(parent).facts) is None
    assert parent_in({"parent": "a", "parent_sha256": "no hash"}) is None


@pytest.mark.usefixtures("no_search")
@pytest.mark.parametrize("critic", ["stylegan2", "projected"])
def test_pieces_give_the_weights_of_the_whole(
    folder: Path, parent: Path, tmp_path: Path, critic: str
) -> None:
    """The first layers of the discriminator freeze between the pieces; R1 and the structure are in both."""
    options = ["--init", parent, "--child", "--critic", critic, "--set", "r1_every=2", "--resume", "--kimg"]
    for name, parts in (("whole", [0.064]), ("pieces", [0.024, 0.064])):
        for kimg in parts:
            invoke(folder, tmp_path / name, *options, kimg)
    whole, pieces = (load_checkpoint(tmp_path / name) for name in ("whole", "pieces"))
    assert whole is not None
    assert pieces is not None
    assert differences(whole[0], pieces[0]) == []
    assert whole[0]["settings"]["init_sha256"] == file_sha256(parent)


@pytest.mark.usefixtures("no_search")
def test_a_child_resumes_with_its_own_parent_alone(folder: Path, parent: Path, tmp_path: Path) -> None:
    invoke(folder, tmp_path / "run", "--init", parent, "--child", "--kimg", 0.016)
    torch.manual_seed(6)
    other = tmp_path / "other.safetensors"
    save_generator(other, GeneratorNetwork(TINY.shape(SIDE)), {})
    with pytest.raises(DistillError, match="init_sha256 is "):
        invoke(folder, tmp_path / "run", "--init", other, "--child", "--kimg", 0.032, "--resume")
    with pytest.raises(DistillError, match="child is True there and False now"):
        invoke(folder, tmp_path / "run", "--init", parent, "--kimg", 0.032, "--resume")


def test_the_first_layers_of_the_discriminator_freeze_once_the_head_start_is_over(parent: Path) -> None:
    step = child_step(parent, head_start_kimg=1.0, freeze_d=4, r1_every=1)
    layers = step.critic.network.layers_from_image()  # type: ignore[operator]

    def moved(samples: int) -> list[bool]:
        before = [{n: p.detach().clone() for n, p in layer.named_parameters()} for layer in layers]
        learn(step, 2, samples=samples)
        return [
            any(not torch.equal(p, was[n]) for n, p in layer.named_parameters())
            for layer, was in zip(layers, before, strict=True)
        ]

    assert moved(0) == [True] * 7
    assert moved(1000) == [False] * 4 + [True] * 3


def distance_to_parent(step: StyleGAN2Step) -> float:
    assert step.parent is not None
    ws = step.parent.mapping(torch.randn(16, TINY.latent, generator=torch.Generator().manual_seed(0)))
    with torch.no_grad():
        wide = ws[:, None].expand(-1, 6, -1)
        return float(structure_distance(step.generator.synthesis, step.parent.synthesis, wide, "none"))


def test_structure_holds_a_child_where_its_parent_is(parent: Path) -> None:
    """White images pull every child towards white; the held one stays nearer to its parent."""
    apart = {}
    for weight in (0.0, 100.0):
        step = child_step(parent, structure_weight=weight, lr=0.01)
        assert ("loss_structure" in learn(step, 25)) is (weight > 0)
        apart[weight] = distance_to_parent(step)
    assert 0 < apart[100.0] < 0.3 * apart[0.0]


def test_colours_hold_a_child_where_finer_layers_would_repaint_it(parent: Path) -> None:
    """White images pull the child; by 16 px, and in whole, it stays nearer to its parent's pictures."""
    apart = {}
    for weight in (0.0, 100.0):
        step = child_step(parent, colour_weight=weight, lr=0.01)
        assert ("loss_colour" in learn(step, 25)) is (weight > 0)
        assert step.parent is not None
        with torch.no_grad():
            ws = torch.randn(16, 6, TINY.latent, generator=torch.Generator().manual_seed(0))
            images = step.generator.synthesis(ws, "none")
            apart[weight] = float(colour_distance(images, step.parent.synthesis, ws, "none"))
    assert 0 < apart[100.0] < 0.3 * apart[0.0]


def test_colours_are_compared_by_16_px() -> None:
    """Of 32 px: a chequered pattern of pixels is no difference, a shift of all is."""
    network = GeneratorNetwork(TINY.shape(32)).synthesis
    ws = torch.randn(2, 8, TINY.latent)
    with torch.no_grad():
        images = network(ws, "none")
    pattern = (torch.arange(32)[:, None] + torch.arange(32)) % 2 - 0.5
    assert float(colour_distance(images + pattern, network, ws, "none")) < 1e-9
    assert float(colour_distance(images + 0.5, network, ws, "none")) == pytest.approx(0.25, rel=1e-4)


@pytest.mark.parametrize(("size", "least", "most"), [(16, 0.25, 0.25), (8, 0.4, 0.5), (4, 0.5, 0.75)])
def test_structure_is_the_sum_over_the_three_coarsest_pictures(
    parent: Path, size: int, least: float, most: float
) -> None:
    """Half a unit of colour shows in the picture of its own resolution and in the larger ones, borders aside."""
    step = child_step(parent)
    with torch.no_grad():
        step.generator.synthesis.get_parameter(f"b{size}.torgb.bias").add_(0.5)
    assert least - 1e-4 <= distance_to_parent(step) <= most + 1e-4


def test_likeness_of_a_child_that_is_its_parent_and_of_one_that_is_not() -> None:
    network = load_generator("portraits", precision="fp32").network
    likeness = ParentLikeness(network, seed=0, psi=0.7)
    equal = likeness.of(network)
    assert equal["parent_ssim"] == pytest.approx(1)
    assert equal["landmark_drift"] == 0
    assert equal["without_face"] == equal["parent_without_face"] < 3
    other = load_generator("portraits", precision="fp32").network
    with torch.no_grad():
        other.synthesis.get_parameter("b8.conv1.weight").mul_(0.8)
        other.synthesis.get_parameter("b8.conv1.bias").add_(0.2)
    found = likeness.of(other)
    assert found["parent_ssim"] < 0.99
    assert found["landmark_drift"] > 0.005


def test_drift_is_measured_in_distances_of_the_eyes() -> None:
    marks = np.zeros((68, 2))
    marks[36:42, 0], marks[42:48, 0] = 10, 30
    assert landmark_drift(marks, marks + np.array([0, 5])) == pytest.approx(0.25)


def test_defaults_of_a_child() -> None:
    asked = {"init": "portraits", "child": True}
    plain, projected = (
        settle(PRESETS["small"], asked),
        settle(PRESETS["small"], asked | {"critic": "projected"}),
    )
    assert (plain.kimg, plain.freeze_d, plain.lr) == (20, 4, 2e-3)
    assert (projected.freeze_d, projected.lr) == (0, 5e-4)
    assert settle(PRESETS["small"], asked | {"kimg": 7, "freeze_d": 2}).freeze_d == 2
    assert settle(PRESETS["small"], {"init": "portraits"}).kimg == 1000


def test_a_dry_run_tells_of_a_child_in_the_resolution_of_its_parent(
    folder: Path, parent: Path, tmp_path: Path
) -> None:
    options = ["--init", parent, "--child", "--dry-run", "--json"]
    facts = json.loads(invoke(folder, tmp_path / "run", *options))
    assert (facts["child"], facts["resolution"], facts["kimg"]) == (True, SIDE, 20)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--child"], "--child needs --init FILE|NAME"),
        (
            ["--init", "PARENT", "--child", "--resolution", 32],
            "parent.safetensors draws 16 px and the run 32",
        ),
        (
            ["--init", "PARENT", "--set", "structure_weight=1"],
            "only a child is held to a parent; add --child",
        ),
        (
            ["--init", "PARENT", "--child", "--set", "freeze_d=8"],
            "freeze_d 8: at 16 px the discriminator has 7",
        ),
        (["--set", "freeze_d=1", "--set", "head_start_kimg=0"], "these layers would never learn"),
        (
            ["--init", "PARENT", "--child", "--critic", "projected", "--set", "freeze_d=4"],
            "freeze_d 4: a projected critic rests on frozen features already; leave it out",
        ),
        (["--init", "PARENT", "--child", "--set", "latent=16"], "width of z 32 there, 16 in the network"),
        (["--init", "PARENT", "--set", "child=perhaps"], "setting child: "),
    ],
)
def test_what_does_not_fit_is_one_line(
    folder: Path, parent: Path, tmp_path: Path, options: list[object], words: str
) -> None:
    given = [parent if option == "PARENT" else option for option in options]
    assert words in failure(folder, tmp_path / "run", *given)


def test_settings_can_be_text() -> None:
    assert settle(TINY, {"init": "portraits", "child": "true"}).structure_weight > 0
    assert changed(TINY, {"child": "false"}).child is False
