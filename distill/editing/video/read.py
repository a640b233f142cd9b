"""A video file of unknown origin → upright RGB frames in order, or the reason why not.

FFmpeg (by PyAV) may open containers alone, never lists of other files or addresses. What cannot be used raises
PhotoError, as of a photo. Times are `pts`, in units of the video's `time_base`, in seconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import av
import numpy as np
from av.stream import Disposition
from av.video.reformatter import ColorRange, Colorspace

from distill.editing.video.find import refusal
from distill.faces.alignment import Pixels
from distill.faces.decode import PhotoError
from distill.faces.formats import HEAD
from distill.files import open_regular

if TYPE_CHECKING:
    from av import AudioStream, Packet, VideoFrame, VideoStream

# Demuxers of one file each: those of play lists would open others.
INSIDE = {"format_whitelist": "mov,matroska,avi,mpeg,mpegts,asf,flv,ogg", "protocol_whitelist": ""}
LARGEST_FRAME = 36_000_000  # pixels: 8192×4320, the most that H.264 allows, and some
USUAL_RATE = Fraction(25)  # frames a second, where a file does not tell
HD = 720  # rows: from here on a video that does not tell has the colours of BT.709, else those of BT.601
UNSPECIFIED = 2  # of a colour matrix


@dataclass(frozen=True, kw_only=True)
class VideoFacts:
    """What a file says of its video; `height` and `width` are those of the upright frames, with square pixels.

    About `expected` frames will come, in about `length` seconds, 0 where it does not say. A stored frame becomes
    upright where it is `mirrored` left to right, if at all, and then turned by `turned` quarters to the left.
    `matrix` is that of the colours; `bits` a channel are stored.
    """

    height: int
    width: int
    mirrored: bool
    turned: int
    rate: Fraction
    time_base: Fraction
    expected: int
    length: float
    matrix: int
    primaries: int
    transfer: int
    bits: int
    square: bool

    @property
    def stored(self) -> tuple[int, int]:
        """Height and width of a frame before it is turned."""
        return (self.width, self.height) if self.turned % 2 else (self.height, self.width)


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """One upright frame [H, W, 3], the `index`-th from 0, shown at `pts`."""

    index: int
    pts: int
    pixels: Pixels


class VideoReader:
    """An open video, as a context manager: `facts`, then `frames` once. Raises PhotoError for what is unusable."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged = 0  # packets of pictures that are broken, or gave no frame
        self.reached = 0.0  # s, where the last packet of pictures or sound ends
        self._held = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            try:
                file = stack.enter_context(open_regular(self.path))
                # Old files have titles that are no UTF-8.
                opened = av.open(file, "r", options=dict(INSIDE), metadata_errors="replace")
                self.container = stack.enter_context(opened)
            except av.FFmpegError as error:
                file.seek(0)
                raise PhotoError(self.path, *refusal(self.path, file.read(HEAD))) from error
            except OSError as error:
                raise PhotoError(self.path, "unreadable", error.strerror or str(error)) from error
            self.stream = self._video()
            self._held = stack.pop_all()
        return self

    def __exit__(self, *rest: object) -> None:
        self._held.close()

    @property
    def sound(self) -> list[AudioStream]:
        """The streams of sound, without those of a codec that is not known."""
        return [stream for stream in self.container.streams.audio if _is_known(stream)]

    def facts(self) -> VideoFacts:
        """Decode the first frame, which `frames` then leaves out, and tell what it and the file say."""
        context = self.stream.codec_context
        if context.width * context.height > LARGEST_FRAME:
            most = f"{LARGEST_FRAME // 10**6} million pixels at most"
            raise PhotoError(self.path, "too large", f"{context.width}×{context.height}; {most}")
        frame = next(self._decoded(None), None)
        if frame is None:
            raise PhotoError(self.path, "damaged" if self.damaged else "empty", "no frame can be read")
        aspect, rate = self.stream.sample_aspect_ratio or Fraction(1), self.stream.average_rate or USUAL_RATE
        length = (self.container.duration or 0) / av.time_base
        if self.container.format.name == "avi":
            # The duration of one that breaks off is that of the rest; its header still counts all frames.
            length = max(length, float(self.stream.frames / rate))
        height, width = frame.height, max(1, round(frame.width * aspect))
        mirrored, turned = _orientation(frame)
        unknown = Colorspace.ITU709 if height >= HD else Colorspace.ITU601
        return VideoFacts(
            height=width if turned % 2 else height,
            width=height if turned % 2 else width,
            mirrored=mirrored,
            turned=turned,
            rate=rate,
            time_base=self.stream.time_base or 1 / USUAL_RATE,
            expected=self.stream.frames or round(length * float(rate)),
            length=length,
            matrix=unknown if frame.colorspace == UNSPECIFIED else frame.colorspace,
            primaries=frame.color_primaries,
            transfer=frame.color_trc,
            bits=max(part.bits for part in frame.format.components),
            square=aspect == 1,
        )

    def frames(
        self,
        facts: VideoFacts,
        *,
        scale: float = 1.0,
        heard: Callable[[Packet[AudioStream]], None] | None = None,
    ) -> Iterator[Frame]:
        """Yield the frames, reduced by `scale`; `heard` gets the packets of all sound as they come."""
        height, width = (max(1, round(side * scale)) for side in facts.stored)
        step = max(1, round(1 / (facts.rate * facts.time_base)))
        pts = None
        for index, frame in enumerate(self._decoded(heard)):
            given = frame.pts if frame.pts is not None else 0 if pts is None else pts + step
            pts = given if pts is None else max(given, pts + 1)  # two frames are never shown at once
            picture = frame.to_ndarray(
                format="rgb24",
                height=height,
                width=width,
                src_colorspace=facts.matrix if frame.colorspace == UNSPECIFIED else None,
                dst_color_range=ColorRange.JPEG,
            )
            picture = np.fliplr(picture) if facts.mirrored else picture
            pixels: Pixels = np.ascontiguousarray(np.rot90(picture, facts.turned), dtype=np.uint8)
            yield Frame(index=index, pts=pts, pixels=pixels)

    def _video(self) -> VideoStream:
        """The first video stream that is no picture of a cover."""
        for stream in self.container.streams.video:
            if not stream.disposition & Disposition.attached_pic:
                if not _is_known(stream):
                    raise PhotoError(self.path, "damaged", "how its pictures are stored cannot be told")
                return stream
        raise PhotoError(
            self.path, "not a video", "it has only sound" if self.sound else "nothing to see in it"
        )

    def _decoded(self, heard: Callable[[Packet[AudioStream]], None] | None) -> Iterator[VideoFrame]:
        """Yield what can be decoded; packets that cannot are counted, an end before its time is an end."""
        wanted: list[Any] = [self.stream, *self.sound]
        packets: Iterator[Packet[Any]] = self.container.demux(wanted)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.FFmpegError, OSError):
                self.damaged += 1
                return
            if packet.pts is not None:
                self.reached = max(
                    self.reached, float((packet.pts + (packet.duration or 0)) * packet.time_base)
                )
            if packet.stream is not self.stream:
                if heard is not None and packet.size:
                    heard(packet)
                continue
            try:
                frames = packet.decode()
            except av.FFmpegError:
                self.damaged += 1
                continue
            self.damaged += packet.is_corrupt  # and concealed, as where a file ends within it
            yield from frames


def _orientation(frame: VideoFrame) -> tuple[bool, int]:
    """Return whether a frame is to be mirrored left to right, and the quarter turns to the left that follow.

    A stored point (x, y) is shown at (a x + c y, b x + d y).
    """
    try:
        data: Any = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # another kind of data beside the frame, of which PyAV does not know
        return False, round(frame.rotation / 90) % 4 if abs(frame.rotation) <= 360 else 0
    if data is None:
        return False, 0
    (a, b, _), (c, d, _), _ = np.frombuffer(data, np.int32).reshape(3, 3).astype(float).tolist()
    if a * d == b * c:
        return False, 0  # such as zeros
    mirrored = a * d < b * c
    angle = math.atan2(-b, -a) if mirrored else math.atan2(b, a)  # to the right
    return mirrored, round(-angle / (math.pi / 2)) % 4


def _is_known(stream: AudioStream | VideoStream) -> bool:
    """Tell whether there is a decoder, against what the types of PyAV say."""
    context: object = stream.codec_context
    return context is not None
