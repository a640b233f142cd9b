"""`distill translate` on videos, good and bad ones."""

from __future__ import annotations

import importlib.util
import json
import shutil

import pytest
from video_clips import GOLDEN, astronaut, frame_with, swaying, write_clip, write_sound

from distill.cli.main import run
from distill.networks.pix2pixhd import Architecture, create
from distill.networks.pix2pixhd_files import save_pth
from distill.networks.student import StudentFacts, save_student


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """clip.mp4, one.pth, and two.safetensors, a student of two inputs."""
    folder = tmp_path_factory.mktemp("place")
    write_clip(folder / "clip.mp4", swaying(3))
    save_pth(folder / "one.pth", create(Architecture(inputs=3, ngf=2, downsamplings=2, blocks=1), seed=0))
    save_student(
        folder / "two.safetensors",
        create(Architecture(inputs=6, ngf=2, downsamplings=2, blocks=1), seed=0),
        StudentFacts(task="style-mix", inputs=("content", "style"), target="mixed", resolution=32),
    )
    return folder


@pytest.fixture
def call(place, tmp_path, capsys):
    def called(*arguments, model="one.pth", out="out"):
        common = ("--model", place / model, "--out", tmp_path / out, "--size", 32, "--device", "cpu")
        code = run(["translate", *map(str, (*arguments, *common))])
        output = capsys.readouterr()
        assert "Traceback" not in output.err
        return code, output.out, output.err

    return called


def test_what_came_of_a_video_is_told(place, tmp_path, call):
    code, text, _ = call(place / "clip.mp4")
    assert code == 0
    assert "3 frames with a face, 0 without (1 face followed)" in text
    assert "frames/s" in text
    code, text, _ = call(place / "clip.mp4", "--json")
    report = json.loads(text)["videos"]
    assert (report["translated"], report["replaced"]) == (1, 1)
    assert report["results"][0]["frames_with_faces"] == 3
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [".distill-outputs.json", "clip.mp4"]


def test_a_style_goes_with_every_frame(place, call):
    style = GOLDEN / "alignment" / "astronaut.png"
    code, text, _ = call(
        place / "clip.mp4", "--style", style, "--all-faces", "--paste-back", model="two.safetensors"
    )
    assert code == 0
    assert "3 frames with a face" in text


@pytest.mark.parametrize(
    ("options", "told"),
    [(("--strip", "age=-30:30:7"), "leave out --strip"), (("--align", "none"), "--align none")],
)
def test_what_a_video_cannot_be_given_is_one_line(place, tmp_path, call, options, told):
    code, _, err = call(place / "clip.mp4", *options)
    assert code == 2
    assert told in err
    assert not (tmp_path / "out").exists()


def test_a_video_is_not_replaced_by_its_translation(place, tmp_path, call):
    shutil.copy(place / "clip.mp4", tmp_path / "clip.mp4")
    before = (tmp_path / "clip.mp4").read_bytes()
    code, _, err = call(tmp_path / "clip.mp4", out=".")
    assert code == 2
    assert "choose another --out" in err
    assert (tmp_path / "clip.mp4").read_bytes() == before


def bad_text(path, clip):
    path.write_text("no video")


def bad_list(path, clip):
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{clip}\n#EXT-X-ENDLIST\n")


def bad_empty(path, clip):
    path.write_bytes(b"")


def bad_cut(path, clip):
    path.write_bytes(clip.read_bytes()[:-900])


def bad_photo(path, clip):
    astronaut().save(path, "JPEG")


def bad_sound(path, clip):
    write_sound(path)


def bad_faces(path, clip):
    write_clip(path, [frame_with(None, 0, 0)] * 3)


@pytest.mark.parametrize(
    ("spoil", "reason", "detail"),
    [
        (bad_text, "not a video", "the formats that are read are MP4, "),
        (bad_list, "not a video", "the formats that are read are MP4, "),
        (bad_empty, "not a video", "the file is empty"),
        (bad_photo, "not a video", "it is a picture (JPEG)"),
        (bad_cut, "damaged", "it begins as a video, but is cut short or broken"),
        (bad_sound, "not a video", "it has only sound"),
        (bad_faces, "no face", "no frontal face of 40 px or more in 3 frames"),
    ],
)
def test_a_bad_video_is_one_line_and_leaves_nothing(place, tmp_path, call, spoil, reason, detail):
    spoil(tmp_path / "bad.mp4", place / "clip.mp4")
    code, text, err = call(tmp_path / "bad.mp4")
    assert code == 1
    assert f"none of 1 file gave a face ({reason} 1)" in err
    assert f"  {reason}: {tmp_path / 'bad.mp4'} ({detail}" in text
    assert not (tmp_path / "out").exists()


def test_a_bad_video_does_not_stop_the_others(place, tmp_path, call):
    (tmp_path / "in").mkdir()
    bad_cut(tmp_path / "in" / "a.mp4", place / "clip.mp4")
    shutil.copy(place / "clip.mp4", tmp_path / "in" / "b.mp4")
    astronaut().save(tmp_path / "in" / "me.png")
    code, text, _ = call(tmp_path / "in")
    assert code == 0
    assert "translated 1 face from 1 of 1 photo" in text
    assert "skipped 1 video: damaged 1" in text
    assert (tmp_path / "out" / "b.mp4").is_file()


def test_json_counts_videos_by_themselves(place, tmp_path, call):
    (tmp_path / "in").mkdir()
    bad_cut(tmp_path / "in" / "a.mp4", place / "clip.mp4")
    shutil.copy(place / "clip.mp4", tmp_path / "in" / "b.mp4")
    astronaut().save(tmp_path / "in" / "me.png")
    _, text, _ = call(tmp_path / "in", "--json")
    report = json.loads(text)
    assert (report["translated"], report["skipped"], len(report["results"])) == (1, {}, 1)
    videos = report["videos"]
    assert (videos["translated"], videos["skipped"]) == (1, {"damaged": 1})
    assert [one["video"] for one in videos["results"]] == [
        str(tmp_path / "in" / name) for name in ("a.mp4", "b.mp4")
    ]
    _, text, _ = call(tmp_path / "in" / "me.png", "--json")
    assert json.loads(text)["videos"]["translated"] == 0


def test_what_a_run_cannot_do_again_is_told_to_be_of_an_earlier_run(place, tmp_path, call):
    (tmp_path / "in").mkdir()
    shutil.copy(place / "clip.mp4", tmp_path / "in" / "clip.mp4")
    astronaut().save(tmp_path / "in" / "me.png")
    code, text, _ = call(tmp_path / "in")
    assert (code, "earlier run" in text) == (0, False)
    bad_cut(tmp_path / "in" / "clip.mp4", place / "clip.mp4")
    bad_text(tmp_path / "in" / "me.png", None)
    code, text, _ = call(tmp_path / "in")
    assert code == 1
    assert "; clip.mp4 there is of an earlier run)" in text
    assert "; me.png there is of an earlier run)" in text


def test_without_pyav_the_command_to_install_it_is_told(place, tmp_path, call, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "distill.editing.video.find.find_spec", lambda name: None if name == "av" else find(name)
    )
    code, _, err = call(place / "clip.mp4")
    assert code == 2
    assert "pip install 'distill[video]'" in err
    (tmp_path / "in").mkdir()
    shutil.copy(place / "clip.mp4", tmp_path / "in" / "clip.mp4")
    astronaut().save(tmp_path / "in" / "me.png")
    code, text, _ = call(tmp_path / "in")
    assert code == 0
    assert "format not read" in text
    assert "pip install 'distill[video]'" in text


def test_ctrl_c_leaves_no_half_of_a_video(place, tmp_path, call, monkeypatch):
    from distill.editing.video.write import VideoWriter

    def interrupted(self, pixels, pts):
        raise KeyboardInterrupt

    monkeypatch.setattr(VideoWriter, "write", interrupted)
    code, _, _ = call(place / "clip.mp4")
    assert code == 130
    assert not (tmp_path / "out").exists()
