"""`distill assess-teacher --metrics` as a user calls it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from onnx_files import model, node
from PIL import Image
from scipy.spatial.distance import cdist

from distill.cli.main import run
from distill.evaluation.card_section import marks
from distill.evaluation.generator_metrics.published import FIGURES
from distill.metrics.features import load_features
from distill.metrics.frechet import frechet_distance, moments
from distill.metrics.kernel import kernel_distance
from distill.pixels import to_uint8
from distill.stylegan2.load import load_generator
from distill.stylegan2.sampling import CONTENT, sample_z

BEGIN, END = marks("metrics")
PLOTS = ["manifolds.png", "path-lengths.png"]
ALONE = ("--cluster", "none")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DISTILL_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def pictures(tmp_path):
    """A folder of 120 pictures of colour and noise."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(120):
        colour = random.integers(60, 200, 3)
        image = np.clip(colour + random.normal(0, 30, (32, 32, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(image).save(folder / f"{number:03d}.png")
    return folder


@pytest.fixture
def quiet_weights():
    """The embedded teacher without noise, whose samples a test can draw itself."""
    return "portraits"


def assess(*arguments):
    return run(["assess-teacher", *map(str, arguments)])


def report_in(out):
    return json.loads((out / "metrics.json").read_text())


def values_in(out):
    return {result["name"]: result["value"] for result in report_in(out)["results"]}


QUICK = ("--features", "pixels8", "--samples", 120, *ALONE)


def test_the_numbers_are_those_of_the_measures(pictures, tmp_path, capsys):
    out = tmp_path / "out"
    command = ("portraits", "--data", pictures_of_64(tmp_path), "--metrics", "fid,kid,pr", *QUICK)
    assert assess(*command, "--out", out) == 0
    generator, features = load_generator("portraits", precision="fp32"), load_features("pixels8")
    z = torch.from_numpy(sample_z(0, 0, range(120), [CONTENT], generator.z_dim)[:, 0])
    drawn = features.of([to_uint8(generator.synthesize(generator.map(z)))])
    real = features.of([images_of(tmp_path / "64")])
    found = values_in(out)
    assert found["frechet_pixels8_120"] == pytest.approx(
        frechet_distance(moments(real), moments(drawn)), rel=1e-3
    )
    assert found["kernel_pixels8_120"] == pytest.approx(kernel_distance(drawn, real), rel=0.03)
    radii = np.sort(cdist(real, real), axis=1)[:, 3]
    inside = (cdist(drawn, real) <= radii).any(axis=1).mean()
    assert found["precision_pixels8_120"] == pytest.approx(inside, abs=0.02)
    (first, *_) = report_in(out)["results"]
    assert (first["samples"], first["pictures"], first["psi"]) == (120, 100, 1.0)


def pictures_of_64(tmp_path):
    folder = tmp_path / "64"
    folder.mkdir()
    for number, image in enumerate(np.random.default_rng(1).integers(0, 256, (100, 8, 8, 3), dtype=np.uint8)):
        Image.fromarray(image).resize((64, 64)).save(folder / f"{number:02d}.png")
    return folder


def images_of(folder):
    return torch.from_numpy(np.stack([np.array(Image.open(path)) for path in sorted(folder.iterdir())]))


def test_files_text_and_card_are_written(tiny_weights, pictures, tmp_path, capsys):
    out, card = tmp_path / "out", tmp_path / "tiny.md"
    card.write_text("# tiny\n\nProse.\n")
    names = "fid,kid,pr,ppl_wend,ppl2_wend"
    command = (tiny_weights, "--data", pictures, "--metrics", names, *QUICK, "--out", out, "--card", card)
    assert assess(*command) == 0
    assert sorted(path.name for path in out.glob("[a-z]*")) == [
        "features",
        *PLOTS,
        "metrics.json",
        "metrics.md",
    ][:1] + sorted([*PLOTS, "metrics.json", "metrics.md"])
    text = capsys.readouterr().out
    assert "frechet_pixels8_120 ↓" in text
    assert "path_length2_wend_efficientnet_lite0_120 ↓" in text
    assert "no FID and no KID: by pixels8 instead of Inception (distill weights fetch inception)" in text
    assert "Published for StyleGAN2 config F, FFHQ 1024" in text
    assert "fid50k 2.84 ± 0.03" in text
    assert "ppl_wend_tf 129.4 ± 0.8" in text
    found = report_in(out)
    assert found["pictures"]["used"] == found["pictures"]["total"] == 120
    assert found["path_lengths"]["path_length_wend_efficientnet_lite0_120"]["low"] > 0
    assert not {result["name"] for result in found["results"]} & set(FIGURES), "nothing here was so published"
    written = card.read_text()
    assert written.startswith("# tiny\n\nProse.\n")
    assert written.count(BEGIN) == written.count(END) == 1
    assert "frechet_pixels8_120" in written
    assert str(tmp_path) not in written
    assert assess(*command) == 0
    assert card.read_text() == written, "the section is renewed, not added"


def test_overview_and_measures_stand_side_by_side(tiny_weights, pictures, tmp_path, capsys):
    out = tmp_path / "out"
    command = (tiny_weights, "--data", pictures, "--no-faces", "--metrics", "overview,pr", *QUICK)
    assert assess(*command, "--out", out, "--card", tmp_path / "c.md", "--json") == 0
    both = json.loads(capsys.readouterr().out)
    assert both["overview"]["score"]["name"] == "frechet_pixels8"
    assert both["overview"] == json.loads((out / "report.json").read_text())
    assert both["metrics"] == report_in(out)
    card = (tmp_path / "c.md").read_text()
    assert "## Measured" in card
    assert "## Metrics" in card


def test_a_sweep_of_truncation_shows_quality_against_variety(tiny_weights, pictures, tmp_path, capsys):
    out = tmp_path / "out"
    command = (tiny_weights, "--data", pictures, "--metrics", "fid,pr,ppl_wend", *QUICK, "--psi", "0.5,1")
    assert assess(*command, "--out", out) == 0
    found = values_in(out)
    assert {"frechet_pixels8_120", "frechet_pixels8_120_psi0.5", "recall_pixels8_120_psi0.5"} <= set(found)
    assert len([name for name in found if name.startswith("path_length")]) == 1, "of no truncation"
    assert (out / "truncation-sweep.png").exists()
    assert "| ψ 0.5" in capsys.readouterr().out


def test_full_names_take_all_pictures_and_others_no_more_than_samples(tiny_weights, pictures, tmp_path):
    out = tmp_path / "out"
    command = (tiny_weights, "--data", pictures, "--features", "pixels8", "--metrics", "fid,fid_full,pr")
    assert assess(*command, "--samples", 100, *ALONE, "--out", out) == 0
    counts = {result["name"]: result["pictures"] for result in report_in(out)["results"]}
    assert counts["frechet_pixels8_100"] == counts["recall_pixels8_100"] == 100
    assert counts["frechet_pixels8_100_full"] == 120


def test_measures_may_take_different_counts(tiny_weights, pictures, tmp_path):
    out = tmp_path / "out"
    names = "fid110,pr103,ppl_wend_12,ppl2_wend_20"
    command = (tiny_weights, "--data", pictures, "--features", "pixels8", "--metrics", names, *ALONE)
    assert assess(*command, "--out", out) == 0
    found = report_in(out)["results"]
    assert [one["samples"] for one in found] == [110, 10, 10, 12, 20]
    assert [one["pictures"] for one in found] == [110, 10, 10, None, None]
    assert found[0]["name"] == "frechet_pixels8_110"
    assert found[4]["name"] == "path_length2_wend_efficientnet_lite0_20"


# ---- Linear separability


SMILE = 'kind = "softmax"\nlabels = ["no", "yes"]\npositive = "yes"\n'
VALUE = 'kind = "value"\n'


def write_scorer(folder, weights, kind):
    """A scorer of redness: `weights` [3, K] of the means of the channels."""
    weights = np.array(weights, np.float32)
    nodes = [
        node("GlobalAveragePool", ["images"], "mean"),
        node("Flatten", ["mean"], "flat"),
        node("Gemm", ["flat", "w"], "logits"),
    ]
    data = model(nodes, {"w": weights}, ["N", 3, 32, 32], {"logits": ["N", weights.shape[1]]})
    (folder / "red.onnx").write_bytes(data)
    path = folder / "red.toml"
    path.write_text(
        'network = "red.onnx"\n[input]\ncrop = "whole"\nmean = 0.0\nstd = 1.0\n'
        f'[[scores]]\nname = "red"\n{kind}'
    )
    return path


def test_separability_over_own_attributes_carries_their_number(tiny_weights, tmp_path, capsys):
    out = tmp_path / "out"
    scorer = write_scorer(tmp_path, [[1.0], [0.0], [-1.0]], VALUE)
    command = (tiny_weights, "--metrics", "ls", "--samples", 300, "--scorer", scorer, *ALONE, "--out", out)
    assert assess(*command) == 0
    found = report_in(out)
    (attribute,) = found["attributes"]
    assert (attribute["attribute"], attribute["samples"]) == ("red", 150)
    values = values_in(out)
    assert list(values) == ["ls_1_z_300", "ls_1_w_300"]
    assert values["ls_1_w_300"] == pytest.approx(2 ** attribute["w"]["bits"])
    assert attribute["w"]["accuracy"] > 0.8
    text = capsys.readouterr().out
    assert "published:" not in text.splitlines()[0], (
        "a score over other attributes stands beside no published one"
    )
    assert (out / "separability.png").exists()


# ---- Interruptions and workers


def test_a_killed_run_gives_the_numbers_of_an_undisturbed_one(tiny_weights, pictures, tmp_path):
    command = [str(word) for word in (
        "assess-teacher", tiny_weights, "--data", pictures, "--metrics", "fid,kid,ppl_wend_60",
        "--features", "pixels8", "--samples", 520, *ALONE,
    )]  # fmt: skip
    out = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-m", "distill", *command, "--out", str(out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    parts = []
    deadline = time.monotonic() + 120
    while len(parts) < 3:
        assert process.poll() is None, "it was done before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
        parts = [path for path in out.rglob("*.npy") if not path.name.startswith(".")]
    process.kill()
    process.wait()
    assert not (out / "metrics.json").exists()
    kept = {path: path.stat().st_mtime_ns for path in parts}
    assert run([*command, "--out", str(out)]) == 0
    assert all(path.stat().st_mtime_ns == time_ns for path, time_ns in kept.items()), "read once"
    assert run([*command, "--out", str(tmp_path / "whole")]) == 0
    assert (out / "metrics.json").read_bytes() == (tmp_path / "whole" / "metrics.json").read_bytes()


def test_an_interrupted_run_says_how_to_go_on(tiny_weights, tmp_path, monkeypatch, capsys):
    @contextmanager
    def stopped():
        event = threading.Event()
        event.set()
        yield event

    monkeypatch.setattr("distill.cli.signals.stop_on_signals", stopped)
    out = tmp_path / "out"
    assert assess(tiny_weights, "--metrics", "ppl_wend", "--samples", 20, *ALONE, "--out", out) == 130
    assert capsys.readouterr().err.strip().endswith("0 of 1 parts were read; the same command resumes")
    assert not (out / "metrics.json").exists()


@pytest.mark.cluster
def test_two_workers_give_the_numbers_of_one(tiny_weights, pictures, tmp_path):
    command = (tiny_weights, "--data", pictures, "--metrics", "fid,pr,ppl_wend_40", "--features", "pixels8")
    command = (*command, "--samples", 120, "--psi", "0.7,1")
    assert assess(*command, "--cluster", "none", "--out", tmp_path / "one") == 0
    assert assess(*command, "--workers", 2, "--out", tmp_path / "two") == 0
    assert (tmp_path / "one" / "metrics.json").read_bytes() == (
        tmp_path / "two" / "metrics.json"
    ).read_bytes()


def test_a_dry_run_writes_nothing(tiny_weights, pictures, tmp_path, capsys):
    out = tmp_path / "out"
    command = (tiny_weights, "--data", pictures, "--metrics", "fid5k,ppl_wend", "--features", "pixels8")
    assert assess(*command, "--out", out, "--dry-run") == 0
    text = capsys.readouterr().out
    assert "5,000 samples at ψ 1" in text
    assert "120 pictures" in text
    assert "about " in text
    assert not out.exists()


# ---- Bad input


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--metrics", "fid50k"], "fid compares with training pictures: give --data"),
        (["--metrics", "is50k"], "'is50k' is not a measure; known are overview, fid50k"),
        (["--metrics", ""], "--metrics"),
        (["--metrics", "fid", "--data", "pictures", "--samples", "20"], "fid needs at least 100 samples"),
        (["--metrics", "fid", "--data", "pictures", "--psi", "0.5,x"], "--psi '0.5,x'"),
        (["--metrics", "fid", "--data", "pictures", "--psi", "nan"], "from 0 to 2"),
        (["--metrics", "fid", "--data", "large"], "its pictures have 16×16 px, the generator draws 32"),
        (["--metrics", "fid", "--data", "tall"], "prepare-images --resolution 32"),
        (["--metrics", "fid", "--data", "nowhere"], "no such file or folder"),
        (["--metrics", "pr", "--data", "pictures", "--pictures", "3"], "3 pictures are too few"),
        (["--metrics", "fid", "--data", "pictures", "--features", "taste"], "unknown features"),
        (["--metrics", "fid", "--data", "pictures", "--features", "inception"], "fetch inception"),
        (["--metrics", "fid", "--data", "pictures", "--features", "inception=other.pth"], "not pt_inception"),
        (["--metrics", "ppl_wend", "--lpips", "other.pth"], "not LPIPS by VGG16"),
        (["--metrics", "ppl_wend", "--lpips", "none.pth"], "none.pth"),
        (["--metrics", "ls", "--samples", "255"], "ls needs at least 256 samples"),
        (["--metrics", "ls", "--scorer", "nobody"], "nobody"),
        (["--metrics", "ls", "--scorer", "red.toml", "--scorer", "red.toml"], "two scorers give 'red'"),
        (["--metrics", "ls", "--scorer", "red.toml", "--samples", "300", *ALONE], "'red' is never sure"),
        (["--metrics", "ppl_wend", "--cluster", "none", "--workers", "2"], "--cluster none"),
        (["--metrics", "ppl_wend", "--out", "note.txt"], "a folder is needed"),
        (["--metrics", "ppl_wend", "--card", "note.txt"], "ends in .md"),
        (["--samples", "20000"], "the overview takes 2 to 10,000"),
        (
            ["--metrics", "ppl_wend", "--truncation-psi", "0.5"],
            "--truncation-psi is of the overview, and nothing of that is asked for",
        ),
        (["--psi", "0.5"], "--psi is of fid, kid and pr"),
        (["--metrics", "ls", "--psi", "0.5"], "--psi is of fid, kid and pr"),
        (["--metrics", "ppl_wend", "--scorer", "red.toml"], "--scorer is of ls"),
        (["--metrics", "ppl_wend", "--data", "pictures"], "--data is of the overview, fid, kid and pr"),
        (["--metrics", "ppl_wend", "--pictures", "5"], "--pictures is of"),
        (["--metrics", "ls", "--features", "pixels8"], "--features is of"),
        (["--features", "pixels8"], "--features is of the overview beside --data"),
        (["--metrics", "ls", "--lpips", "other.pth"], "--lpips is of path lengths and pr"),
        (["--metrics", "ls", "--crop-form", "ada"], "--crop-form is of path lengths"),
        (["--workers", "2"], "--workers is of published measures"),
        (["--metrics", "fid" + "9" * 5000, "--data", "pictures"], "at most 10,000,000 samples"),
        (
            ["--metrics", "fid", "--data", "pictures", "--pictures", "99"],
            "99 pictures are too few for fid; 100",
        ),
        (["--metrics", "kid,pr,fid_full", "--data", "few"], "9 pictures are too few for fid; 100 are needed"),
        (["--metrics", "fid", "--data", "pictures", "--psi", "0.5,0.50000001"], "two values are called 0.5"),
        (["--metrics", "fid", "--data", "pictures", "--psi", "0.٥"], "give numbers from 0 to 2"),
        (["--metrics", "ppl_wend", "--card", "half.md"], "half.md: the card needs one line"),
    ],
)
def test_bad_input_is_one_line(tiny_weights, pictures, tmp_path, monkeypatch, capsys, options, said):
    monkeypatch.chdir(tmp_path)
    for name, size in (("large", (16, 16)), ("tall", (32, 40)), ("few", (32, 32))):
        (tmp_path / name).mkdir()
        for number in range(9):
            Image.new("RGB", size, (number, 0, 0)).save(tmp_path / name / f"{number}.png")
    (tmp_path / "note.txt").write_text("a file")
    (tmp_path / "half.md").write_text(END)
    torch.save({"weight": torch.zeros(3, 3, 3, 3)}, tmp_path / "other.pth")
    write_scorer(tmp_path, [[-0.01, 0.01], [0, 0], [0.01, -0.01]], SMILE)
    out = [] if "--out" in options else ["--out", "out"]
    assert assess(tiny_weights, *out, *options) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.err.count("\n") == 1
    assert not (tmp_path / "out" / "metrics.json").exists()


def test_kernel_distances_and_manifolds_take_few_pictures(tiny_weights, pictures, tmp_path):
    command = (tiny_weights, "--data", pictures, "--pictures", 4, "--metrics", "kid,pr", *QUICK)
    assert assess(*command, "--out", tmp_path / "out") == 0
    assert report_in(tmp_path / "out")["pictures"]["used"] == 4


def test_a_scorer_that_sees_nothing_is_not_helped_by_more_samples(tiny_weights, tmp_path, capsys):
    """The pictures of the tiny generator hold no face."""
    command = (tiny_weights, "--metrics", "ls", "--samples", 256, *ALONE, "--out", tmp_path / "out")
    assert assess(*command) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "none of 256 samples has a score; take another --scorer, or a generator" in said
    assert "--samples" not in said


# ---- The folder


def test_a_damaged_part_is_told_and_read_again(tiny_weights, pictures, tmp_path, capsys):
    out = tmp_path / "out"
    command = (tiny_weights, "--data", pictures, "--metrics", "kid", *QUICK, "--out", out)
    assert assess(*command) == 0
    before, (first, *_) = (out / "metrics.json").read_bytes(), sorted(out.rglob("*.npy"))
    data = bytearray(first.read_bytes())
    data[200] ^= 64
    first.write_bytes(data)
    capsys.readouterr()
    assert assess(*command) == 0
    said = capsys.readouterr().err
    assert f"damaged parts are read again: 1, such as {first}" in said
    assert (out / "metrics.json").read_bytes() == before
    assert assess(*command, "--dry-run") == 0
    assert "damaged" not in capsys.readouterr().err


def test_pictures_of_an_earlier_run_do_not_stay_beside_other_numbers(
    tiny_weights, pictures, tmp_path, capsys
):
    out = tmp_path / "out"
    command = (tiny_weights, "--data", pictures, *QUICK, "--out", out)
    assert assess(*command, "--metrics", "pr", "--psi", "0.5,1") == 0
    assert (out / "manifolds.png").exists()
    assert (out / "truncation-sweep.png").exists()
    assert assess(*command, "--metrics", "kid") == 0
    assert sorted(path.name for path in out.glob("[a-z]*")) == ["features", "metrics.json", "metrics.md"]
    assert "of an earlier run" not in capsys.readouterr().err
    assert assess(tiny_weights, "--samples", 3, "--no-faces", "--out", out) == 0
    assert "keeps results of an earlier run: metrics.json, metrics.md" in capsys.readouterr().err
