"""Small videos made of one photo: a face under a motion that is known, with a sine for sound."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

GOLDEN = Path(__file__).parent / "golden"
HEIGHT, WIDTH = 240, 320
SECOND = 48000  # samples of sound

Pixels = NDArray[np.uint8]


def astronaut(side: int = 256) -> Image.Image:
    """A face of about a fifth of the side."""
    with Image.open(GOLDEN / "alignment" / "astronaut.png") as image:
        return image.convert("RGB").resize((side, side), Image.Resampling.LANCZOS)


def frame_with(
    face: Image.Image | None, x: float, y: float, *, size: tuple[int, int] = (WIDTH, HEIGHT)
) -> Pixels:
    """A frame with the picture's upper left corner at (x, y), to a fraction of a pixel."""
    if face is None:
        return np.full((size[1], size[0], 3), (70, 80, 95), np.uint8)
    data = (1, 0, -x, 0, 1, -y)
    moved = face.transform(
        size, Image.Transform.AFFINE, data, Image.Resampling.BICUBIC, fillcolor=(70, 80, 95)
    )
    return np.array(moved)


def swaying(count: int, *, side: int = 256) -> list[Pixels]:
    """Frames of a face that sways to the left and the right."""
    face = astronaut(side)
    return [
        frame_with(face, 30 + 12 * np.sin(number / 6), -10 + 5 * np.cos(number / 7))
        for number in range(count)
    ]


def write_clip(
    path: Path,
    frames: Iterable[Pixels],
    *,
    rate: int = 25,
    times: Sequence[int] | None = None,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    sounds: Sequence[str] = ("aac",),
    turned: int = 0,
    mirrored: bool = False,
    options: dict[str, str] | None = None,
) -> Path:
    """Write frames as a video; `times` in milliseconds, of frames at no steady rate."""
    with av.open(path, "w", options=options or {}) as output:
        video = output.add_stream(codec, rate=rate, options={"crf": "15"} if codec == "libx264" else {})
        streams = [output.add_stream(name, rate=SECOND) for name in sounds]
        started = False
        count = 0
        for number, pixels in enumerate(frames):
            if not started:
                video.height, video.width, video.pix_fmt = *pixels.shape[:2], pixel_format
                if times is not None:
                    video.codec_context.time_base = Fraction(1, 1000)
                if turned or mirrored:
                    video.set_display_rotation(turned, hflip=mirrored)
                started = True
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[number], Fraction(1, 1000)
            output.mux(video.encode(frame))
            count += 1
        output.mux(video.encode(None))
        for stream in streams:
            _write_sine(output, stream, count / rate)
    return path


def write_sound(path: Path) -> Path:
    """Write a file of sound alone."""
    with av.open(path, "w") as output:
        _write_sine(output, output.add_stream("aac", rate=SECOND), 0.2)
    return path


def _write_sine(output: av.container.OutputContainer, stream: av.AudioStream, seconds: float) -> None:
    samples = np.sin(np.arange(int(seconds * SECOND)) * (2 * np.pi * 440 / SECOND)) * 0.3
    for start in range(0, len(samples), 1024):
        part = np.ascontiguousarray(samples[None, start : start + 1024], dtype=np.float32)
        frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = SECOND, start
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))


def read_clip(path: Path) -> tuple[list[Pixels], list[float]]:
    """The frames of a video as they are stored, and their times in seconds."""
    with av.open(path) as container:
        frames = list(container.decode(video=0))
        return [frame.to_ndarray(format="rgb24") for frame in frames], [frame.time for frame in frames]


def sound_packets(path: Path) -> list[bytes]:
    """The packets of the sound of a video, stream by stream."""
    with av.open(path) as container:
        packets = [packet for packet in container.demux(container.streams.audio) if packet.size]
        return [bytes(one) for one in sorted(packets, key=lambda one: one.stream.index)]
