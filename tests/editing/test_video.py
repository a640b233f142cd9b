"""A video through a student: the right faces in the right frames, everything else as it was."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from video_clips import HEIGHT, WIDTH, astronaut, frame_with, read_clip, sound_packets, swaying, write_clip

from distill.editing.photos_and_videos import split_files, translate_files
from distill.editing.translate import TranslateRequest
from distill.editing.translator import Translator
from distill.editing.video.find import is_video
from distill.editing.video.follow import follow_faces
from distill.editing.video.read import Frame, VideoReader
from distill.editing.video.results import TranslatedVideo
from distill.editing.video.smooth import bridged, chosen_tracks, crops_of, smooth
from distill.faces.paste import FaceEdit, paste_back
from distill.networks.pix2pixhd import Architecture
from distill.networks.student import Student, StudentFacts


class Green(nn.Module):
    """A network whose every output is green."""

    architecture = Architecture(inputs=3, downsamplings=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tensor([-1.0, 1.0, -1.0]).view(1, 3, 1, 1).expand_as(x)


@pytest.fixture(scope="module")
def ready() -> Translator:
    student = Student(
        network=Green(), facts=StudentFacts(), path=Path("student.pth"), device=torch.device("cpu")
    )
    return Translator(student=student, size=64, batch=4)


def run(ready, out, *files, **options):
    request = TranslateRequest(photos=files, model=Path("student.pth"), out=out, **options)
    return translate_files(request, split_files(request), ready)


def one(ready, out, clip, **options) -> TranslatedVideo:
    (result,) = run(ready, out, clip, **options).videos.results
    assert isinstance(result, TranslatedVideo), result
    return result


def green(pixels):
    """Where a frame is green, [H, W]."""
    red, green, blue = (pixels[..., channel].astype(int) for channel in range(3))
    return (green > red + 90) & (green > blue + 90)


def followed(pictures, rate=25):
    return follow_faces(
        (Frame(index=n, pts=n, pixels=one) for n, one in enumerate(pictures)), seconds=1 / rate
    )


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", swaying(12))


def test_the_face_of_every_frame_is_translated_and_the_sound_stays(clip, ready, tmp_path):
    video = one(ready, tmp_path, clip)
    assert (video.frames, video.with_faces, video.people, video.notes) == (12, 12, 1, ())
    assert video.output == tmp_path / "clip.mp4"
    before, times = read_clip(clip)
    after, times_after = read_clip(video.output)
    assert times_after == times
    for old, new in zip(before, after, strict=True):
        assert old.shape == new.shape
        share = green(new).mean()
        assert 0.01 < share < 0.2
        assert np.abs(new[-40:].astype(int) - old[-40:]).mean() < 4, (
            "away from the face it is the same picture"
        )
    assert sound_packets(video.output) == sound_packets(clip) != []
    with av.open(video.output) as container:
        assert container.metadata["comment"].startswith("Partly drawn by a neural network: ")


def test_a_video_and_a_photo_of_one_name_both_have_a_place_and_a_second_run_replaces_them(ready, tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    clip = write_clip(folder / "clip.mp4", swaying(2))
    astronaut().save(folder / "clip.png")
    (folder / "broken.mp4").write_bytes(clip.read_bytes()[:-1000])
    out.mkdir()
    (out / ".clip.mp4.4194305-0a.tmp").write_bytes(
        b"of a run that was killed"
    )  # no process has such a number
    for again in (False, True):
        found = run(ready, out, folder)
        assert [face.output.name for face in found.photos.done] == ["clip.png"]
        assert [video.output.name for video in found.videos.done] == ["clip-2.mp4"]
        assert [skip.photo.name for skip in found.videos.skipped] == ["broken.mp4"]
        assert found.videos.replaced == again
        assert not list(out.glob("*.tmp"))
    found = run(ready, tmp_path / "more", tmp_path)
    assert len(found.videos.done) == 1, "what the command made is no input"


def test_frames_at_no_steady_rate_keep_their_times(ready, tmp_path):
    times = [0, 40, 50, 130, 133, 250, 400, 420]
    clip = write_clip(tmp_path / "clip.mkv", swaying(8), times=times, sounds=())
    video = one(ready, tmp_path / "out", clip)
    assert video.output.name == "clip.mkv"
    assert [round(time * 1000) for time in read_clip(video.output)[1]] == times


def test_a_video_on_its_side_is_translated_upright(ready, tmp_path):
    sideways = [np.ascontiguousarray(np.rot90(frame, -1)) for frame in swaying(4)]
    clip = write_clip(tmp_path / "phone.mov", sideways, turned=90)
    video = one(ready, tmp_path / "out", clip)
    frames, _ = read_clip(video.output)
    assert video.output.suffix == ".mov"
    assert [frame.shape for frame in frames] == [(HEIGHT, WIDTH, 3)] * 4
    assert np.abs(frames[0][-30:].astype(int) - swaying(1)[0][-30:]).mean() < 6


@pytest.mark.parametrize("turned", [0, 90, 180, 270])
def test_a_mirrored_video_is_shown_as_players_show_it(tmp_path, turned):
    upright = swaying(1)[0]
    # Stored is what a turn to the left by so much, mirrored left to right, brings back.
    stored = np.ascontiguousarray(np.rot90(np.fliplr(upright), -turned // 90))
    clip = write_clip(tmp_path / "mirrored.mov", [stored], turned=turned, mirrored=True)
    with VideoReader(clip) as reader:
        facts = reader.facts()
    assert (facts.height, facts.width) == (HEIGHT, WIDTH)
    with VideoReader(clip) as reader:
        (frame,) = reader.frames(facts)
    assert np.abs(frame.pixels.astype(int) - upright).mean() < 6


def test_mpeg_ts_is_read(ready, tmp_path):
    clip = write_clip(tmp_path / "tv.ts", swaying(3))
    video = one(ready, tmp_path / "out", clip)
    assert (video.output.name, video.frames, video.notes) == ("tv.mp4", 3, ())
    (tmp_path / "code.ts").write_text("export const x = 1;")
    assert not is_video(tmp_path / "code.ts")


UNSTEADY = [0, 40, 80, 120, 900, 1700, 1710, 1720]


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.mkv", {}), ("a.flv", {}), ("a.avi", {"codec": "mpeg4"})],
)
def test_frames_at_no_steady_rate_are_not_called_missing(ready, tmp_path, name, options):
    clip = write_clip(tmp_path / name, swaying(8), times=UNSTEADY, sounds=(), **options)
    assert one(ready, tmp_path / "out", clip).notes == ()


def test_frames_that_an_edit_list_leaves_out_are_not_called_missing(ready, tmp_path):
    part = after(write_clip(tmp_path / "whole.mp4", swaying(20), sounds=()), 0.4, tmp_path / "part.mp4")
    video = one(ready, tmp_path / "out", part)
    assert (video.frames, video.notes) == (10, ())


def after(clip, seconds, path):
    """The video from a time on, cut without encoding it anew: what comes before is there, and not to be shown."""
    with av.open(str(clip)) as source, av.open(str(path), "w") as output:
        stream = source.streams.video[0]
        copied = output.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.dts is not None:
                packet.pts -= round(seconds / stream.time_base)
                packet.dts -= round(seconds / stream.time_base)
                packet.stream = copied
                output.mux(packet)
    return path


@pytest.mark.parametrize("name", ["a.mkv", "a.flv", "a.avi"])
def test_a_video_that_breaks_off_says_so(ready, tmp_path, name):
    """Between two packets, or within one, which is then a broken one; where the packets end hangs on the encoder."""
    clip = write_clip(tmp_path / name, swaying(30))
    clip.write_bytes(clip.read_bytes()[: round(0.6 * clip.stat().st_size)])
    video = one(ready, tmp_path / "out", clip)
    assert video.frames < 25
    (note,) = (note for note in video.notes if "sound" not in note)
    assert note.startswith(("cut short: ", "damaged: "))


def test_odd_sides_and_sound_that_the_container_does_not_take(ready, tmp_path):
    """The picture grows by a pixel, as H.264 wants it; the sound is encoded anew, and both are there in full."""
    odd = [np.ascontiguousarray(frame[:-1, :-1]) for frame in swaying(4)]
    clip = write_clip(
        tmp_path / "old.avi", odd, codec="ffv1", pixel_format="bgr0", sounds=("pcm_u8", "libmp3lame")
    )
    video = one(ready, tmp_path / "out", clip)
    frames, _ = read_clip(video.output)
    assert video.output.name == "old.mp4"
    assert [frame.shape for frame in frames] == [(HEIGHT, WIDTH, 3)] * 4
    assert np.abs(frames[0][-30:-1, :-1].astype(int) - odd[0][-29:]).mean() < 6
    assert video.notes == ("sound encoded anew, pcm_u8 to aac: the container does not take it as it is",)


def test_who_is_missed_for_some_frames_is_bridged_and_who_is_gone_is_not(ready, tmp_path):
    face, empty = astronaut(), frame_with(None, 0, 0)
    frames = [frame_with(face, 30 + number, -10) for number in range(36)]
    frames[5:8] = [blurred(one) for one in frames[5:8]]
    found = followed([*frames, *[empty] * 6])
    (track,) = found.tracks
    assert (track.first, track.last) == (0, 35)
    assert not {5, 6, 7} & track.seen.keys()
    centres = bridged(track, np.array(found.times)).mean(axis=1)[:, 0]
    assert np.abs(np.diff(centres) - 1).max() < 0.6


def blurred(pixels):
    """A frame in which no face is seen, of the same colours."""
    picture = Image.fromarray(pixels).resize((16, 12), Image.Resampling.BOX)
    return np.asarray(picture.resize(pixels.shape[1::-1], Image.Resampling.BILINEAR))


def test_a_face_that_comes_between_two_searches_is_followed_back(ready):
    face, empty = astronaut(), frame_with(None, 0, 0)
    near = blurred(frame_with(face, 30, -10))
    found = followed([near] * 6 + [frame_with(face, 30, -10)] * 12)
    (track,) = found.tracks
    assert (track.first, found.shots) == (6, [0])
    found = followed([empty] * 6 + [frame_with(face, 30, -10)] * 6)
    assert found.shots == [0, 6], "a cut"
    assert [track.first for track in found.tracks] == [6]


def test_an_edit_fades_where_a_face_turns_up_within_a_shot_and_not_at_a_cut():
    face = frame_with(astronaut(), 30, -10)
    found = followed([blurred(face)] * 4 + [face] * 20)
    assert found.shots == [0]
    opacity = [one.opacity for (one,) in crops_of(found, found.tracks).values()]
    assert opacity[:6] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1])
    assert opacity[-1] == 1
    whole = paste_back(
        face, [FaceEdit(quad=found.tracks[0].seen[10].quad, pixels=np.zeros((64, 64, 3), np.uint8))]
    )
    half = paste_back(
        face,
        [FaceEdit(quad=found.tracks[0].seen[10].quad, pixels=np.zeros((64, 64, 3), np.uint8), opacity=0.5)],
    )
    assert np.abs((face.astype(int) + whole) / 2 - half).max() <= 1


def test_a_cut_begins_new_tracks_and_nothing_is_smoothed_across_it():
    left, right = frame_with(astronaut(), 10, -10), brighter(frame_with(astronaut(), 40, 0))
    found = followed([left] * 8 + [right] * 8)
    assert found.shots == [0, 8]
    assert [(track.first, track.last) for track in found.tracks] == [(0, 7), (8, 15)]
    crops = crops_of(found, found.tracks)
    for first in (0, 8):
        assert (
            max(
                np.abs(crops[number][0].quad - crops[first][0].quad).max()
                for number in range(first, first + 8)
            )
            < 3
        )


def brighter(pixels):
    return np.clip(pixels.astype(int) + 60, 0, 255).astype(np.uint8)


def test_one_face_a_frame_or_all():
    small, large = astronaut(180), astronaut(240)
    canvas = [frame_with(large, 0 + number, 10, size=(480, 260)) for number in range(6)]
    for number, frame in enumerate(canvas):
        frame[20:200, 280 - number : 460 - number] = np.asarray(small)
    found = followed(canvas)
    assert len(found.tracks) == 2
    (first,) = chosen_tracks(found, all_faces=False, face_index=0)
    (second,) = chosen_tracks(found, all_faces=False, face_index=1)
    assert first.seen[0].middle[0] < 240 < second.seen[0].middle[0]
    assert chosen_tracks(found, all_faces=False, face_index=2) == []
    assert [len(several) for several in crops_of(found, found.tracks).values()] == [2] * 6


def test_smoothing_takes_out_shaking_and_leaves_motion():
    times = np.cumsum(np.random.default_rng(0).uniform(0.02, 0.05, 120))
    motion = np.stack([50 * times, 40 * np.sin(3 * times)], axis=1)
    shaken = motion + np.random.default_rng(1).normal(0, 1, motion.shape)
    left = smooth(shaken, times, 0.13) - motion
    assert np.diff(left, axis=0).std() < 0.2 * np.diff(shaken - motion, axis=0).std()
    assert np.abs(smooth(motion, times, 0.13) - motion).max() < 0.4, "no lag, at the ends neither"
    assert (smooth(shaken[:1], times[:1], 0.13) == shaken[:1]).all()


def test_smoothing_makes_crops_of_a_moving_face_steadier():
    """dlib's landmarks are whole pixels; the truth moves by fractions."""
    pictures = swaying(40)
    found = followed(pictures)
    (track,) = found.tracks
    true = np.array([[12 * np.sin(n / 6), 5 * np.cos(n / 7)] for n in range(40)])

    def shaking(sigma):
        quads = np.array([one.quad for (one,) in crops_of(found, [track], sigma=sigma).values()])
        return np.diff(quads - true[:, None], axis=0).std()

    assert shaking(0.13) < 0.5 * shaking(0)


def test_a_frame_is_held_only_a_while(clip):
    """Only the frames since the last search stay in memory."""
    import weakref

    alive: list[weakref.ref[Frame]] = []
    most = 0

    def watched():
        nonlocal most
        with VideoReader(clip) as reader:
            facts = reader.facts()
        for _ in range(3):
            with VideoReader(clip) as reader:
                for frame in reader.frames(facts):
                    alive.append(weakref.ref(frame))
                    most = max(most, sum(ref() is not None for ref in alive))
                    yield frame

    follow_faces(watched(), seconds=0.04)
    assert len(alive) == 36
    assert most < 16
