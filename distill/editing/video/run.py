"""Videos through a student, in two passes, of which each holds a few frames at a time.

frames ─► follow_faces ─► chosen_tracks ─► crops_of (bridged, smoothed)           first pass: where the faces are
frames ─► warp_quad ─► Translator (batches) ─► paste_back ─► VideoWriter ◄─ sound  second pass
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import av

from distill.editing.translate import MOST_WAITING, TranslateRequest, mark_of
from distill.editing.translator import Translator
from distill.editing.video.follow import follow_faces
from distill.editing.video.read import Frame, VideoFacts, VideoReader
from distill.editing.video.results import TranslatedVideo, VideoResults
from distill.editing.video.smooth import CropsByFrame, chosen_tracks, crops_of
from distill.editing.video.write import CONTAINERS, VideoWriter, container_suffix
from distill.errors import DistillError
from distill.faces.alignment import Pixels, warp_quad
from distill.faces.decode import PhotoError
from distill.faces.find import check_outputs
from distill.faces.outputs import OutputFolder
from distill.faces.paste import FaceEdit, paste_back
from distill.faces.photo_detection import looks
from distill.faces.photo_results import SkippedPhoto, with_earlier
from distill.files import path_text
from distill.progress import Progress, plural

SEARCHED_SIDE = 1920  # px, long side: what larger frames are reduced to for the search
COMPLETE, SLACK = 0.9, 0.2  # of the length in s that a file gives, and s: what ends before gets a note
HDR = {16: "PQ", 18: "HLG"}  # transfer functions


def check_video_request(request: TranslateRequest, videos: Sequence[Path]) -> None:
    """Raise DistillError for what a video cannot be given, and where an output could replace one."""
    if not videos:
        return
    if request.align == "none":
        raise DistillError(f"{videos[0]} is a video, in which faces are followed: leave out --align none")
    if request.strip:
        raise DistillError(f"{videos[0]} is a video, and strips are made of photos only: leave out --strip")
    check_outputs(videos, request.out, suffixes=tuple(CONTAINERS))


def translate_videos(
    request: TranslateRequest, videos: Sequence[Path], translate: Translator, *, quiet: bool = False
) -> VideoResults:
    """Translate the faces of videos into `request.out`, each as NAME.mp4 (or .mov, .mkv) with its sound.

    What cannot be used, or shows no face, is left out and told. Raises DiskFull, and DistillError as
    `check_video_request` and where `out` cannot be written.
    """
    check_video_request(request, videos)
    if not videos:
        return VideoResults()
    results: list[TranslatedVideo | SkippedPhoto] = []
    with OutputFolder(request.out, "translate", mark_of(request, translate)) as outputs:
        for video, stem in zip(videos, outputs.stems(videos), strict=True):
            try:
                results.append(_translated(request, video, stem, translate, outputs, quiet=quiet))
            except PhotoError as error:
                results.append(SkippedPhoto.of(error))
        results = with_earlier(results, outputs.earlier)
    return VideoResults(results=results, replaced=outputs.replaced)


def _translated(
    request: TranslateRequest,
    video: Path,
    stem: str,
    translate: Translator,
    outputs: OutputFolder,
    *,
    quiet: bool,
) -> TranslatedVideo:
    """Take both passes over one video. Raises PhotoError."""
    started = time.monotonic()
    with VideoReader(video) as reader:
        facts = reader.facts()
    scale = min(1.0, SEARCHED_SIDE / max(facts.height, facts.width))
    with (
        VideoReader(video) as reader,
        _shown(facts.expected or math.inf, video, "looking for faces", quiet) as progress,
    ):
        frames = _counted(reader.frames(facts, scale=scale), progress)
        found = follow_faces(frames, seconds=float(facts.time_base))
        damaged, reached = reader.damaged, reader.reached
    count = len(found.times)
    tracks = chosen_tracks(found, all_faces=request.all_faces, face_index=request.face_index)
    crops = _enlarged(crops_of(found, tracks), scale)
    least = _smallest(facts, scale)
    if not crops:
        raise _no_face(video, request, count=count, least=least, others=bool(found.tracks))
    name = stem + container_suffix(video)
    with _shown(count, video, "translating", quiet) as progress:
        writer = _written(video, name, facts, crops, translate, outputs, progress)
    if writer.frames != count:
        raise PhotoError(video, "changed", f"{count} frames at first, {writer.frames} now")
    return TranslatedVideo(
        photo=video,
        output=outputs.folder / name,
        frames=count,
        with_faces=len(crops),
        people=len(tracks),
        searched=least,
        seconds=time.monotonic() - started,
        notes=(*_notes(facts, count, damaged, reached), *writer.notes()),
    )


def _no_face(video: Path, request: TranslateRequest, *, count: int, least: int, others: bool) -> PhotoError:
    if others and request.face_index:
        return PhotoError(video, "no such face", f"face {request.face_index}, counted from 0")
    return PhotoError(video, "no face", f"no frontal face of {least} px or more in {plural(count, 'frame')}")


def _written(
    video: Path,
    name: str,
    facts: VideoFacts,
    crops: CropsByFrame,
    translate: Translator,
    outputs: OutputFolder,
    progress: Progress,
) -> VideoWriter:
    """Read a video again and write it with its faces translated; return what wrote it. Raises PhotoError."""
    try:
        with (
            VideoReader(video) as reader,
            outputs.writing(name) as file,
            VideoWriter(file, Path(name).suffix, facts, reader.sound, outputs.mark) as writer,
        ):
            frames = _counted(reader.frames(facts, heard=writer.hear), progress)
            for pixels, pts in _pasted(frames, crops, translate):
                writer.write(pixels, pts)
    except av.FFmpegError as error:
        raise PhotoError(video, "cannot be encoded", str(error)) from error
    return writer


def _smallest(facts: VideoFacts, scale: float) -> int:
    """The side of the smallest face that a search of a whole frame sees, px."""
    height, width = (round(side * scale) for side in (facts.height, facts.width))
    return round(looks(height, width)[0].smallest / scale)


def _enlarged(crops: CropsByFrame, scale: float) -> CropsByFrame:
    """Bring crops from the reduced frames that were searched to the frames themselves."""
    return {
        index: [crop._replace(quad=(crop.quad + 0.5) / scale - 0.5) for crop in several]
        for index, several in crops.items()
    }


def _shown(frames: float, video: Path, doing: str, quiet: bool) -> Progress:
    progress = Progress(frames, noun="frame", keep=False, quiet=quiet)
    progress.beside(f"{doing}: {path_text(video.name)}")
    return progress


def _counted(frames: Iterable[Frame], progress: Progress) -> Iterator[Frame]:
    for frame in frames:
        yield frame
        progress.advance()


def _pasted(
    frames: Iterable[Frame], crops: CropsByFrame, translate: Translator
) -> Iterator[tuple[Pixels, int]]:
    """Yield each frame with its faces translated, and its time."""
    for some in _gathered(frames, crops, translate.batch):
        cut = [
            warp_quad(frame.pixels, crop.quad, translate.size)
            for frame in some
            for crop in crops.get(frame.index, ())
        ]
        faces = iter(translate(cut))
        for frame in some:
            edits = [
                FaceEdit(quad=crop.quad, pixels=next(faces), opacity=crop.opacity)
                for crop in crops.get(frame.index, ())
            ]
            yield paste_back(frame.pixels, edits) if edits else frame.pixels, frame.pts


def _gathered(frames: Iterable[Frame], crops: CropsByFrame, batch: int) -> Iterator[list[Frame]]:
    """Gather frames until their faces fill a batch or they hold much memory."""
    waiting: list[Frame] = []
    faces = pixels = 0
    for frame in frames:
        waiting.append(frame)
        faces += len(crops.get(frame.index, ()))
        pixels += frame.pixels.size // 3
        if faces >= batch or pixels >= MOST_WAITING or not faces:
            yield waiting
            waiting, faces, pixels = [], 0, 0
    yield waiting


def _notes(facts: VideoFacts, frames: int, damaged: int, reached: float) -> Iterator[str]:
    """What a person may not expect of the pictures."""
    if damaged:
        yield f"damaged: {plural(damaged, 'broken packet')}, {plural(frames, 'frame')} could be read"
    elif reached + SLACK < COMPLETE * facts.length:
        told = f"{reached:.1f} s of {facts.length:.1f} s"
        yield f"cut short: {plural(frames, 'frame')} could be read, {told}"
    if facts.bits > 8:
        hdr = HDR.get(facts.transfer)
        yield f"8 bits a channel, of {facts.bits}" + (f"; its HDR ({hdr}) is left as it is" if hdr else "")
    if not facts.square:
        yield f"{facts.width}×{facts.height} square pixels: its own were not square"
