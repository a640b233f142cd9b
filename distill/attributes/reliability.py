"""The reliability diagram: how often a classifier is right, over how sure it says it is."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from distill.attributes.calibration import Bin
from distill.shards.inspect.histogram import ticks
from distill.shards.inspect.sheet import FAINT, INK, PAPER, write_line

WIDTH, SIDE = 640, 420  # px of the picture, of the square that is drawn in
LEFT, TOP, BELOW, COUNTS = 84, 78, 62, 110  # px around it, and of the panel of counts below
BAR, SHORT, OVER, GRID = (47, 127, 184), (224, 123, 57), (58, 157, 93), (227, 230, 234)
TEXT, TITLE = 14, 18


def draw_reliability(bins: Sequence[Bin], *, title: str) -> Image.Image:
    """Draw the share that is right in each bin of confidence, its distance to the diagonal, and the counts below.

    Where bars end below the diagonal the classifier is too sure of itself, above it too modest.
    """
    scale = 2  # drawn twice as large, then reduced: Pillow draws lines without smoothing
    size = (WIDTH, TOP + SIDE + BELOW + COUNTS + BELOW)
    sheet = Image.new("RGB", (size[0] * scale, size[1] * scale), PAPER)
    frame = _Frame(ImageDraw.Draw(sheet), scale, low=bins[0].low)
    frame.axes()
    for part in bins:
        if part.count:
            frame.bar(part)
    frame.line((frame.low, frame.low), (1.0, 1.0), FAINT, 2)
    frame.counts(bins)
    sheet = sheet.resize(size, Image.Resampling.LANCZOS)
    _texts(ImageDraw.Draw(sheet), frame, bins, title)
    return sheet


class _Frame:
    """Draws by confidence (x) and share (y), both from `low` or 0 to 1."""

    def __init__(self, pen: ImageDraw.ImageDraw, scale: int, *, low: float) -> None:
        self.pen, self.scale, self.low = pen, scale, low

    def x(self, confidence: float) -> float:
        return LEFT + (confidence - self.low) / (1 - self.low) * (WIDTH - LEFT - 30)

    def y(self, share: float) -> float:
        return TOP + (1 - share) * SIDE

    def box(self, x0: float, y0: float, x1: float, y1: float, ink: tuple[int, int, int]) -> None:
        corners = [value * self.scale for value in (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))]
        self.pen.rectangle(corners, fill=ink)

    def line(
        self, start: tuple[float, float], end: tuple[float, float], ink: tuple[int, int, int], width: int
    ) -> None:
        points = [(self.x(x) * self.scale, self.y(y) * self.scale) for x, y in (start, end)]
        self.pen.line(points, fill=ink, width=width * self.scale)

    def axes(self) -> None:
        for share in ticks(0, 1, 5):
            self.line((self.low, share), (1, share), GRID, 1)

    def bar(self, part: Bin) -> None:
        """A bar up to the share that is right; what is missing or over is another colour."""
        left, right = self.x(part.low) + 2, self.x(part.high) - 2
        low, high = sorted((part.accuracy, part.confidence))
        self.box(left, self.y(0), right, self.y(low), BAR)
        self.box(left, self.y(low), right, self.y(high), SHORT if part.accuracy < part.confidence else OVER)

    def counts(self, bins: Sequence[Bin]) -> None:
        floor, most = TOP + SIDE + BELOW + COUNTS, max(part.count for part in bins)
        for part in bins:
            height = part.count / most * (COUNTS - 20)
            if part.count:
                self.box(self.x(part.low) + 2, floor - max(height, 1), self.x(part.high) - 2, floor, FAINT)
        self.box(LEFT, floor, WIDTH - 30, floor + 1, INK)


def _texts(pen: ImageDraw.ImageDraw, frame: _Frame, bins: Sequence[Bin], title: str) -> None:
    write_line(pen, (LEFT, 14), title, WIDTH - LEFT - 10, size=TITLE)
    legend = (("share right", BAR), ("too sure", SHORT), ("too modest", OVER), ("confidence = share", FAINT))
    left = float(LEFT)
    for text, ink in legend:
        pen.rectangle((left, 48, left + 11, 59), fill=ink)
        pen.text((left + 17, 45), text, fill=INK, font=ImageFont.load_default(TEXT))
        left += 17 + pen.textlength(text, font=ImageFont.load_default(TEXT)) + 22
    for share in ticks(0, 1, 5):
        _placed(pen, f"{share:.0%}", LEFT - 10, frame.y(share) - 8, anchor=1.0)
    floor, most = TOP + SIDE + BELOW + COUNTS, max(part.count for part in bins)
    for confidence in ticks(frame.low, 1, 5):
        for below in (TOP + SIDE, floor):
            _placed(pen, f"{confidence:.0%}", frame.x(confidence), below + 6, anchor=0.5)
    for part in bins:
        if part.count:
            middle, height = frame.x((part.low + part.high) / 2), part.count / most * (COUNTS - 20)
            _placed(pen, str(part.count), middle, floor - max(height, 1) - 19, anchor=0.5)
    _placed(pen, "confidence", (LEFT + WIDTH - 30) / 2, TOP + SIDE + 26, anchor=0.5)
    _placed(pen, "pictures by confidence", (LEFT + WIDTH - 30) / 2, floor + 26, anchor=0.5)


def _placed(pen: ImageDraw.ImageDraw, text: str, x: float, y: float, *, anchor: float) -> None:
    """Write faint text whose share `anchor` lies left of x."""
    font = ImageFont.load_default(TEXT)
    pen.text((x - anchor * pen.textlength(text, font=font), y), text, fill=FAINT, font=font)
