"""Scorers out of files: what a TOML says is what is computed, and what does not fit is told in one line."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx_files import model, node
from PIL import Image
from torch import nn

from distill.attributes import builtin as built_in
from distill.attributes.builtin import GENDER_TEMPERATURE, BuiltinScorer
from distill.attributes.open import open_scorer
from distill.attributes.scorer_files import save_scorer
from distill.attributes.settings import ScorerSettings
from distill.errors import DistillError
from distill.faces.detection import Face, FaceDetector
from distill.networks.age_gender import SIDES, standardised
from distill.networks.classifier import SmallCnn
from distill.networks.input_settings import InputSettings
from distill.networks.user_network import as_input

GOLDEN = Path(__file__).parents[1] / "golden" / "alignment"
SIDE = 16
INPUT = """
[input]
crop = "whole"
mean = 0.0
std = 1.0
"""
SMILE = """
[[scores]]
name = "smile"
kind = "softmax"
labels = ["no", "yes"]
positive = "yes"
"""


def onnx(
    path: Path, weights: np.ndarray[Any, Any], *, ending: str = "", shape: tuple[int, ...] = (3, SIDE, SIDE)
) -> Path:
    """A network that multiplies the mean of each channel [3] by `weights` [3, K]."""
    nodes = [
        node("GlobalAveragePool", ["images"], "mean"),
        node("Flatten", ["mean"], "flat"),
        node("Gemm", ["flat", "w"], "logits"),
        *([node(ending, ["logits"], "shares")] if ending else []),
    ]
    output = "shares" if ending else "logits"
    data = model(nodes, {"w": weights.astype(np.float32)}, ["N", *shape], {output: ["N", weights.shape[1]]})
    path.write_bytes(data)
    return path


def toml(folder: Path, text: str, *, network: str = "net.onnx") -> Path:
    path = folder / "scorer.toml"
    path.write_text(f'network = "{network}"\n{text}')
    return path


def flat(*colours: tuple[int, int, int], side: int = SIDE) -> np.ndarray[Any, np.dtype[np.uint8]]:
    images = np.zeros((len(colours), side, side, 3), np.uint8)
    images[:] = np.array(colours, np.uint8)[:, None, None]
    return images


RED_IS_YES = np.array([[-4.0, 4.0], [0, 0], [4.0, -4.0]])


@pytest.fixture
def red(tmp_path: Path) -> Path:
    onnx(tmp_path / "net.onnx", RED_IS_YES)
    return tmp_path


def test_a_softmax_gives_the_tempered_probability_of_the_positive_label(red: Path) -> None:
    scorer = open_scorer(toml(red, INPUT + SMILE + "temperature = 2.0"))
    assert (list(scorer.names), dict(scorer.kinds)) == (["smile"], {"smile": "probability"})
    assert not scorer.needs_face
    scores = scorer(flat((255, 0, 0), (0, 0, 255), (128, 9, 128)), [None, None, None])
    assert scores["smile"].dtype == np.float32
    expected = 1 / (1 + np.exp(-np.array([8, -8, 0]) / 2))
    np.testing.assert_allclose(scores["smile"], expected, atol=1e-6)


def test_without_a_positive_label_each_has_its_score(red: Path) -> None:
    scorer = open_scorer(toml(red, INPUT + SMILE.replace('positive = "yes"', "")))
    assert list(scorer.names) == ["smile_no", "smile_yes"]
    scores = scorer(flat((200, 0, 100)), [None])
    assert scores["smile_no"][0] + scores["smile_yes"][0] == pytest.approx(1, abs=1e-6)
    assert scores["smile_yes"][0] > 0.9


def test_sigmoids_values_and_expectations(red: Path) -> None:
    onnx(red / "net.onnx", np.array([[1.0, 2.0], [0, 0], [0, -2.0]]))
    two = '[[scores]]\nname = "has"\nkind = "sigmoid"\nlabels = ["hat", "glasses"]\n'
    scorer = open_scorer(toml(red, INPUT + two))
    assert dict(scorer.kinds) == {"has_hat": "probability", "has_glasses": "probability"}
    assert scorer(flat((255, 0, 0)), [None])["has_glasses"][0] == pytest.approx(
        1 / (1 + np.exp(-2)), abs=1e-6
    )
    mean = '[[scores]]\nname = "age"\nkind = "expectation"\nvalues = [0, 10]\n'
    scorer = open_scorer(toml(red, INPUT + mean))
    assert dict(scorer.kinds) == {"age": "value", "age_spread": "value"}
    scores = scorer(flat((0, 0, 0)), [None])
    assert (scores["age"][0], scores["age_spread"][0]) == (pytest.approx(5), pytest.approx(5))
    onnx(red / "net.onnx", np.array([[2.0], [0], [0]]))
    value = '[[scores]]\nname = "pose"\nkind = "value"\nscale = 10\noffset = -1\n'
    assert open_scorer(toml(red, INPUT + value))(flat((255, 0, 0)), [None])["pose"][0] == pytest.approx(19)


def test_given_probabilities_are_tempered_as_their_logits_would_be(red: Path) -> None:
    images = flat((255, 0, 0), (120, 80, 90))
    logits = open_scorer(toml(red, INPUT + SMILE + "temperature = 3.0"))(images, [None] * 2)
    onnx(red / "net.onnx", RED_IS_YES, ending="Softmax")
    given = open_scorer(toml(red, INPUT + SMILE + 'temperature = 3.0\ngiven = "probabilities"'))
    np.testing.assert_allclose(given(images, [None] * 2)["smile"], logits["smile"], atol=1e-5)
    inner = open_scorer(toml(red, INPUT + SMILE + 'temperature = 3.0\noutput = "logits"'))
    np.testing.assert_allclose(inner(images, [None] * 2)["smile"], logits["smile"], atol=1e-6)
    with pytest.raises(
        DistillError, match=r"scores\.0\.given: 'shares' has gone through a softmax already.*'logits'"
    ):
        open_scorer(toml(red, INPUT + SMILE))
    onnx(red / "net.onnx", 40 * RED_IS_YES)
    with pytest.raises(DistillError, match=r"given: no probabilities: from .* say given = 'logits'"):
        open_scorer(toml(red, INPUT + SMILE + 'given = "probabilities"'))


def test_pixels_enter_as_the_file_says() -> None:
    pixels = torch.tensor([[[[255, 51, 0]]]], dtype=torch.uint8)  # one pixel
    mean, std = (0.5, 0.1, 0.0), (0.5, 0.2, 1.0)

    def entered(**settings: Any) -> list[float]:
        given = InputSettings(crop="whole", **settings)
        return [round(value, 4) for value in as_input(pixels, given).flatten().tolist()]

    assert entered(mean=mean, std=std) == [1.0, 0.5, 0.0]
    assert entered(mean=mean, std=std, channels="bgr") == [-1.0, 0.5, 1.0]
    assert entered(mean=1.0, std=2.0, white=255) == [127.0, 25.0, -0.5]
    assert entered(mean=0.0, std=1.0, channels="grey") == [round(0.299 + 0.587 * 0.2, 4)]


class _MeanColour(nn.Module):
    """What `onnx` writes, on pixels as the built-in networks take them."""

    def __init__(self, weights: torch.Tensor) -> None:
        super().__init__()
        self.weights = weights

    def forward(self, faces_NCHW: torch.Tensor) -> torch.Tensor:
        return standardised(faces_NCHW).mean(dim=(2, 3)) @ self.weights


def test_a_chip_scorer_needs_a_face_and_sees_what_the_built_in_one_sees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = np.array([[3.0, -3.0], [1.0, 0], [-2.0, 2.0]])
    onnx(tmp_path / "net.onnx", weights, shape=(3, SIDES["gender"], SIDES["gender"]))

    def same(attribute: str) -> nn.Module:
        return _MeanColour(torch.from_numpy(weights).float())

    monkeypatch.setattr(built_in, "load_age_gender", same)
    text = f"""
[input]
crop = "chip"
padding = 0.2
points = 5
white = 255
mean = [122.782, 117.001, 104.298]
std = 256
[[scores]]
name = "gender"
kind = "softmax"
labels = ["female", "male"]
positive = "female"
temperature = {GENDER_TEMPERATURE}
"""
    scorer = open_scorer(toml(tmp_path, text))
    with Image.open(GOLDEN / "astronaut.png") as opened:
        image = np.array(opened.convert("RGB"))
    faces: list[Face | None] = [None, FaceDetector()(image)[0]]
    own, builtin = (
        scorer([image] * 2, faces),
        BuiltinScorer(["gender"])([image] * 2, faces),
    )
    assert scorer.needs_face
    assert np.isnan(own["gender"][0])
    assert own["gender"][1] == pytest.approx(builtin["gender"][1], abs=1e-6)


def test_the_middle_of_a_picture_of_any_size_is_scored(red: Path) -> None:
    scorer = open_scorer(toml(red, INPUT + SMILE))
    wide = np.zeros((40, 120, 3), np.uint8)
    wide[..., 2] = 255
    wide[:, 40:80] = (255, 0, 0)
    scores = scorer([wide, flat((0, 0, 255), side=5)[0]], [None, None])
    assert scores["smile"][0] > 0.95
    assert scores["smile"][1] < 0.05


def small(path: Path, *, settings: ScorerSettings | None = None, classes: int = 2) -> SmallCnn:
    network = SmallCnn((8, 16), classes)
    network.start(torch.Generator().manual_seed(1))
    if settings is None:
        torch.save(network.state_dict(), path)
    else:
        save_scorer(path, settings, network.state_dict())
    return network


def trained() -> ScorerSettings:
    return ScorerSettings.model_validate(
        {
            "architecture": "small_cnn",
            "input": {"crop": "whole", "size": 32, "mean": 0.5, "std": 0.5},
            "scores": ({"name": "smile", "kind": "softmax", "labels": ("no", "yes"), "positive": "yes"},),
        }
    )


def test_a_state_dict_and_a_trained_file_give_what_the_network_gives(tmp_path: Path) -> None:
    network = small(tmp_path / "net.pth").eval()
    text = INPUT.replace('"whole"', '"whole"\nsize = 32').replace(
        "mean = 0.0\nstd = 1.0", "mean = 0.5\nstd = 0.5"
    )
    by_toml = open_scorer(toml(tmp_path, f'architecture = "small_cnn"\n{text}{SMILE}', network="net.pth"))
    small(tmp_path / "own.safetensors", settings=trained())
    by_file = open_scorer(str(tmp_path / "own.safetensors"))
    image = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), np.uint8)
    x = torch.from_numpy(image).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        expected = torch.softmax(network(x), 1)[0, 1].item()
    for scorer in (by_toml, by_file):
        assert scorer(image, [None])["smile"][0] == pytest.approx(expected, abs=1e-6)


def test_the_hash_follows_weights_and_settings(red: Path) -> None:
    first = open_scorer(toml(red, INPUT + SMILE)).sha256
    assert open_scorer(toml(red, "# a remark\n" + INPUT + SMILE)).sha256 == first
    assert open_scorer(toml(red, INPUT + SMILE + "temperature = 1.5")).sha256 != first
    onnx(red / "net.onnx", RED_IS_YES + 0.1)
    assert open_scorer(toml(red, INPUT + SMILE)).sha256 != first


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("mean = 0.0", ""), r"scorer\.toml: input\.mean: Field required"),
        (("std = 1.0", "std = 0"), r"input\.std: .*greater than 0"),
        (("std = 1.0", "std = inf"), r"input\.std: .*finite"),
        (("std = 1.0", "std = [1, 1]"), r"input: std has 2 numbers, channels 'rgb' are 3"),
        (("std = 1.0", "std = 1.0\nblur = 2"), r"input\.blur: Extra inputs"),
        (("std = 1.0", "std = 1.0\npadding = 0.1"), "padding is for crop 'chip', not 'whole'"),
        (("std = 1.0", "std = 1.0\nsize = 24"), r"input\.size: the network takes \[16, 16\], not \[24, 24\]"),
        (
            ("std = 1.0", 'std = 1.0\nchannels = "grey"'),
            r"input\.channels: the network takes 3 channels .* are 1",
        ),
        (('"whole"', '"face"'), r"input\.crop: "),
        (
            ('["no", "yes"]', '["no", "so", "yes"]'),
            r"scores\.0: the network gives 2 numbers per image, .* 3 labels",
        ),
        (('positive = "yes"', 'positive = "maybe"'), "positive 'maybe' is not one of the labels no, yes"),
        (('positive = "yes"', "temperature = 0"), r"scores\.0\.temperature: .*greater than 0"),
        (('positive = "yes"', "scale = 2.0"), r"scores\.0: scale does not go with kind 'softmax'"),
        (('positive = "yes"', 'output = "hidden"'), "output hidden is"),
        (('"smile"', '"a smile"'), r"scores\.0\.name: "),
        (('"softmax"', '"argmax"'), r"scores\.0\.kind: "),
        (("[[scores]]", "[scores]"), r"scores: "),
        (('"net.onnx"', '"none.onnx"'), r"network: .*none\.onnx: no such file"),
        (('network = "net.onnx"', "x = ["), "not a TOML file"),
        (('network = "net.onnx"', ""), "network: missing"),
        (
            ('network = "net.onnx"', 'network = "net.onnx"\narchitecture = "vgg"'),
            "architecture: an ONNX file",
        ),
    ],
)
def test_what_does_not_fit_is_one_line_with_file_and_key(
    red: Path, change: tuple[str, str], words: str
) -> None:
    path = toml(red, INPUT + SMILE)
    assert change[0] in path.read_text()
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(DistillError, match=words) as caught:
        open_scorer(path)
    assert "\n" not in str(caught.value)
    assert str(red) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (".".join("a" * 40_000) + " = 1", "a key of more than 9 parts"),
        (" . ".join("a" * 40_000) + " = 1", "a key of more than 9 parts"),
        (".".join(['"a"'] * 30_000) + " = 1", "a key of more than 9 parts"),
        ("[" + ".".join("a" * 40_000) + "]", "a key of more than 9 parts"),
        ("x = {" + ".".join("a" * 40_000) + " = 1}", "a key of more than 9 parts"),
        ('x = ["""a"""", {' + ".".join("a" * 9_000) + '= 1}, "b"]', "a key of more than 9 parts"),
        ("x = ['''a''''', {" + ".".join("a" * 9_000) + "= 1}, 'b']", "a key of more than 9 parts"),
        ("x = " + "[" * 5_000, "nested deeper than 16"),
        ("x = " + "{a = " * 5_000, "nested deeper than 16"),
        ("x = " + "1" * 5_000, "more than 300 characters"),
        ("x = 0x" + "f" * 5_000, "more than 300 characters"),
        ('x = """' + '\\"""' * 50_000, "not a TOML file"),
        ("x" * 300_000, "too long for settings"),
        ("x = \x1b[2J", r"not a TOML file of settings \(.*\)$"),
    ],
    ids=lambda value: value[:12],
)
def test_hostile_settings_cost_nothing(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "scorer.toml"
    path.write_text(text)
    started = time.perf_counter()
    with pytest.raises(DistillError, match=words) as caught:
        open_scorer(path)
    assert not {"\n", "\x1b"} & set(str(caught.value))
    assert time.perf_counter() - started < 5


def test_texts_and_comments_may_hold_what_keys_may_not(red: Path) -> None:
    scorer = open_scorer(
        toml(red, f"# {'a.' * 500}\n{INPUT}{SMILE}".replace("no", "a.b.c.d.e.f.g.h.i.j.k [[["))
    )
    assert list(scorer.names) == ["smile"]


@pytest.mark.parametrize(
    "network",
    ["~nosuchuser/x", "~/x.onnx", "/etc/passwd", "../secret/x.pth", "a/../../secret/x.pth", "link.pth"],
)
def test_a_network_lies_beside_its_settings_or_below(tmp_path: Path, network: str) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "x.pth").write_text("the secret")
    folder = tmp_path / "scorer"
    folder.mkdir()
    (folder / "link.pth").symlink_to(tmp_path / "secret" / "x.pth")
    with pytest.raises(DistillError, match=r"lies elsewhere|no such file") as caught:
        open_scorer(toml(folder, 'architecture = "small_cnn"' + INPUT + SMILE, network=network))
    assert not any(word in str(caught.value) for word in ("the secret", "root:"))


def test_a_network_may_lie_below_or_be_a_link_as_its_settings_are(red: Path) -> None:
    (red / "nets").mkdir()
    (red / "net.onnx").rename(red / "nets" / "net.onnx")
    assert open_scorer(toml(red, INPUT + SMILE, network="nets/net.onnx")).names
    store, view = red / "nets", red / "view"
    toml(store, INPUT + SMILE)
    view.mkdir()
    for name in ("net.onnx", "scorer.toml"):  # as a cache keeps what it fetched
        (view / name).symlink_to(store / name)
    assert open_scorer(view / "scorer.toml").names


def test_two_scores_of_one_name_are_refused(red: Path) -> None:
    with pytest.raises(DistillError, match="score 'smile': no two have one name"):
        open_scorer(toml(red, INPUT + SMILE + SMILE))


def test_other_files_are_told_apart(tmp_path: Path) -> None:
    small(tmp_path / "net.pth")
    with pytest.raises(DistillError, match=r"weights without settings: name it in a \.toml"):
        open_scorer(tmp_path / "net.pth")
    with pytest.raises(DistillError, match=r"nowhere: no such file; a scorer is 'builtin'"):
        open_scorer("nowhere")
    onnx(tmp_path / "net.onnx", RED_IS_YES)
    with pytest.raises(DistillError, match=r"name it in a \.toml"):
        open_scorer(tmp_path / "net.onnx")
    for head, words in (
        ("", "architecture: missing"),
        ('architecture = "vgg"', "'vgg' is unknown|vgg is unknown"),
    ):
        text = INPUT.replace('"whole"', '"whole"\nsize = 32')
        with pytest.raises(DistillError, match=words):
            open_scorer(toml(tmp_path, f"{head}\n{text}{SMILE}", network="net.pth"))
    with pytest.raises(
        DistillError, match=r"architecture efficientnet_lite0: the tensor _conv_stem\.weight is missing"
    ):
        open_scorer(toml(tmp_path, f'architecture = "efficientnet_lite0"\n{text}{SMILE}', network="net.pth"))
    with pytest.raises(DistillError, match=r"input\.size: missing"):
        open_scorer(toml(tmp_path, f'architecture = "small_cnn"\n{INPUT}{SMILE}', network="net.pth"))
    small(tmp_path / "net.pth", classes=3)
    with pytest.raises(DistillError, match="gives 3 numbers per image, but the score has 2 labels"):
        open_scorer(toml(tmp_path, f'architecture = "small_cnn"\n{text}{SMILE}', network="net.pth"))
