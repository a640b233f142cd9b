"""Frames and sound → a video file: H.264, yuv420p, at the times of the source; sound as it was, packet by packet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self

import av
import numpy as np
from av.video.reformatter import ColorRange

from distill.editing.video.read import VideoFacts
from distill.errors import DistillError
from distill.faces.alignment import Pixels
from distill.pixels import Mark

if TYPE_CHECKING:
    from av import AudioStream, Packet

CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}  # others become MP4
QUALITY = {"crf": "18", "preset": "medium"}  # hardly distinguishable from the input


def container_suffix(video: Path) -> str:
    """Return the suffix of the file that is made of a video: its own, or .mp4."""
    suffix = video.suffix.lower()
    return suffix if suffix in CONTAINERS else ".mp4"


class VideoWriter:
    """Writes frames and sound into an open file, as a context manager; complete only where it ends well.

    `frames` were written. `sounds` says what became of each stream of sound: ("aac", "aac") was copied, ("vorbis",
    "aac") encoded anew.
    """

    def __init__(
        self, file: BinaryIO, suffix: str, facts: VideoFacts, sound: list[AudioStream], mark: Mark | None
    ) -> None:
        """Raises DistillError where PyAV has no encoder for it."""
        self.facts, self.frames = facts, 0
        self.output = av.open(file, "w", format=CONTAINERS[suffix])
        if mark:
            self.output.metadata["comment"] = replace(mark, partly=True).texts()["Comment"]
        try:
            self.video = self.output.add_stream("libx264", rate=facts.rate, options=dict(QUALITY))
        except av.FFmpegError as error:
            raise DistillError(
                f"this PyAV cannot write H.264 ({error}): pip install --force-reinstall av"
            ) from error
        # H.264 has colours for squares of four pixels.
        self.video.height, self.video.width = (side + side % 2 for side in (facts.height, facts.width))
        self.video.pix_fmt = "yuv420p"
        context = self.video.codec_context
        context.time_base = facts.time_base
        context.colorspace, context.color_range = facts.matrix, ColorRange.MPEG
        context.color_primaries, context.color_trc = facts.primaries, facts.transfer
        self._sound = {stream.index: self._sound_stream(stream) for stream in sound}
        self._heard: dict[int, int] = {}  # by a source's stream, the time of its last packet
        self.sounds = [(stream.name, self._sound[stream.index][0].name) for stream in sound]

    def write(self, pixels: Pixels, pts: int) -> None:
        """Encode one upright frame [H, W, 3]."""
        height, width = pixels.shape[:2]
        if height % 2 or width % 2:
            pixels = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame = picture.reformat(
            format="yuv420p",
            src_color_range=ColorRange.JPEG,
            dst_colorspace=self.facts.matrix,
            dst_color_range=ColorRange.MPEG,
        )
        frame.pts, frame.time_base = pts, self.facts.time_base
        self.output.mux(self.video.encode(frame))
        self.frames += 1

    def hear(self, packet: Packet[AudioStream]) -> None:
        """Write a packet of sound: as it is, or encoded anew."""
        index = packet.stream.index
        stream, copied = self._sound[index]
        if copied:
            if packet.dts is None or packet.dts <= self._heard.get(index, packet.dts - 1):
                return  # damaged: a container takes packets at rising times alone
            self._heard[index] = packet.dts
            packet.pts = max(packet.dts, packet.dts if packet.pts is None else packet.pts)
            packet.stream = stream
            self.output.mux(packet)
            return
        with suppress(av.FFmpegError):  # damaged: a moment without sound
            for frame in packet.decode():
                self.output.mux(stream.encode(frame))

    def notes(self) -> Iterator[str]:
        """What a person may not expect of the sound."""
        for before, after in self.sounds:
            if before != after:
                yield f"sound encoded anew, {before} to {after}: the container does not take it as it is"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is not None:
            with suppress(Exception):  # what it would complain of was reported before
                self.output.close()
            return
        self.output.mux(self.video.encode(None))
        for stream, copied in self._sound.values():
            if not copied:
                self.output.mux(stream.encode(None))
        self.output.close()

    def _sound_stream(self, source: AudioStream) -> tuple[AudioStream, bool]:
        """Return the stream that takes a source's sound, and whether as it is."""
        if source.codec_context.name in self.output.supported_codecs:
            return self.output.add_stream_from_template(source), True
        stream: AudioStream = self.output.add_stream("aac", rate=source.rate)  # every container takes it
        return stream, False
