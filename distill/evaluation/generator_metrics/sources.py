"""Where numbers come from: drawn samples, the pictures beside them, and steps between latents.

Each is plain values that travel to a worker, and reads any of its rows. What is drawn depends on the row alone, never
on who draws it. N rows, Z latent width, H W image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill.errors import DistillError
from distill.evaluation.generator_metrics.readers import Floats, Reader, open_reader, open_step_distance
from distill.evaluation.training_pictures import averaged, chosen_numbers
from distill.metrics.path_length import KINDS, CropForm, PathEnds, draw_steps, step_distances
from distill.pixels import to_uint8
from distill.stylegan2 import sampling
from distill.stylegan2.generator import Generator
from distill.stylegan2.load import load_generator
from distill.stylegan2.projector import draw_with
from distill.training.images import Images, open_images
from distill.training.stored_images import StoredPixels, is_data_set

After = Callable[[int], None]  # hears of rows that are done; may raise Interrupted


@dataclass(frozen=True, kw_only=True)
class Output:
    """Numbers that are read off the first `rows` rows: by which reader and, of steps, for which measure."""

    reader: Reader
    rows: int
    measure: str = ""

    @property
    def folder(self) -> str:
        return f"{self.measure}-{self.reader.folder}" if self.measure else self.reader.folder


class Source(Protocol):
    """Rows that numbers are read off."""

    @property
    def label(self) -> str:
        """What the rows are, for people."""

    @property
    def folder(self) -> str:
        """What the rows are, as the name of a folder."""

    @property
    def settings(self) -> dict[str, Any]:
        """All that the rows depend on, as plain values."""

    def read(self, outputs: Sequence[Output], rows: range, device: str, after: After) -> list[Floats]:
        """Read some rows: for each output float32 [N, D]."""


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A generator and how it draws: name or file, its sha256, the seed, and how many at once."""

    generator: str
    sha256: str
    seed: int
    batch: int

    def open(self, device: str) -> Generator:
        """Load the generator, once per process. Raises DistillError for another file than the run began with."""
        generator = _generator(self.generator, device)
        if generator.sha256 != self.sha256:
            raise DistillError(
                f"{self.generator} has sha256 {generator.sha256[:12]}… here, the run began with"
                f" {self.sha256[:12]}…; give every worker the same weights"
            )
        return generator

    @property
    def settings(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if key != "generator"}


_generator = lru_cache(maxsize=1)(
    lambda source, device: load_generator(source, device=device, precision="fp32")
)


@dataclass(frozen=True, kw_only=True)
class DrawnSamples:
    """Samples at one ψ: those that `distill generate` draws first with that seed, each with noise of its own."""

    drawing: Drawing
    psi: float

    @property
    def label(self) -> str:
        return f"samples at ψ {self.psi:g}"

    @property
    def folder(self) -> str:
        return f"samples-psi{self.psi:g}"

    @property
    def settings(self) -> dict[str, Any]:
        return {**self.drawing.settings, "psi": self.psi}

    def read(self, outputs: Sequence[Output], rows: range, device: str, after: After) -> list[Floats]:
        generator = self.drawing.open(device)
        batches = (self._draw(generator, some) for some in batches_of(rows, self.drawing.batch))
        return read_images(batches, outputs, device, after)

    def _draw(self, generator: Generator, rows: range) -> Tensor:
        """Draw uint8 [N, H, W, 3] on the generator's device."""
        z_NZ = torch.from_numpy(sample_latents(generator, self.drawing.seed, rows))
        ws_NLD = generator.map(z_NZ, truncation_psi=self.psi)
        if not generator.has_noise:
            return to_uint8(generator.synthesize(ws_NLD))
        maps = noise_maps(generator, self.drawing.seed, sampling.SAMPLE_NOISE, rows)
        with torch.inference_mode():
            return to_uint8(draw_with(generator, ws_NLD[:, 0], maps))


@dataclass(frozen=True, kw_only=True)
class RealPictures:
    """Pictures of a folder or data set, averaged down to `side` px: all, or `most` of them, chosen by `seed`."""

    path: str
    digest: str
    total: int
    side: int
    most: int
    seed: int
    batch: int

    @property
    def label(self) -> str:
        return "pictures"

    @property
    def folder(self) -> str:
        return "pictures"

    @property
    def settings(self) -> dict[str, Any]:
        chosen = {} if self.most >= self.total else {"most": self.most, "seed": self.seed}
        return {"digest": self.digest, "side": self.side, **chosen}

    @property
    def numbers(self) -> NDArray[np.int64]:
        """The numbers of the pictures that are taken, ascending."""
        return chosen_numbers(self.total, self.most, self.seed)

    def read(self, outputs: Sequence[Output], rows: range, device: str, after: After) -> list[Floats]:
        images, numbers = _pictures(self.path), self.numbers
        if images.digest != self.digest:
            raise DistillError(f"{self.path}: its pictures have changed since the run began")
        batches = (
            torch.from_numpy(averaged(images.read(numbers[some.start : some.stop]), self.side))
            for some in batches_of(rows, self.batch)
        )
        return read_images(batches, outputs, device, after)


def open_pictures(
    path: Path, *, skipped: Callable[[str], None] = lambda line: None, otherwise: str = ""
) -> Images | StoredPixels:
    """Open pictures in their own size; those of a data set stay on the disk until they are read.

    Raises what `open_images` raises.
    """
    return (
        StoredPixels(path, None)
        if is_data_set(path)
        else open_images(path, skipped=skipped, otherwise=otherwise)
    )


@lru_cache(maxsize=1)
def _pictures(path: str) -> Images | StoredPixels:
    return open_pictures(Path(path))


@dataclass(frozen=True, kw_only=True)
class LatentSteps:
    """Short steps between latents, ε apart, by which path lengths are measured; a row is a pair of latents."""

    drawing: Drawing
    crop_form: CropForm

    @property
    def label(self) -> str:
        return "steps between latents"

    @property
    def folder(self) -> str:
        return "steps"

    @property
    def settings(self) -> dict[str, Any]:
        return {**self.drawing.settings, "crop_form": self.crop_form}

    def read(self, outputs: Sequence[Output], rows: range, device: str, after: After) -> list[Floats]:
        generator = self.drawing.open(device)
        found: list[list[Floats]] = [[] for _ in outputs]
        for some in batches_of(rows, max(1, self.drawing.batch // 2)):
            for place, values in enumerate(self._measure(generator, outputs, some, device)):
                found[place].append(values)
            after(len(some))
        return [np.concatenate(values) for values in found]

    def _measure(
        self, generator: Generator, outputs: Sequence[Output], rows: range, device: str
    ) -> Iterator[Floats]:
        """Draw each step once for all measures that look at it, and compare its ends."""
        ends, seed = path_ends(generator, self.drawing.seed, rows), self.drawing.seed
        maps = noise_maps(generator, seed, sampling.PATH_NOISE, rows) if generator.has_noise else {}
        drawn: dict[tuple[str, bool], Tensor] = {}
        for output in outputs:
            kind = KINDS[output.measure]
            where = (kind.space, kind.full)
            if where not in drawn:
                drawn[where] = draw_steps(generator, ends, maps, kind)
            distance = open_step_distance(output.reader, device)
            values = step_distances(drawn[where], distance, kind, crop_form=self.crop_form)
            yield values.float().cpu().numpy()[:, None]


def path_ends(generator: Generator, seed: int, rows: range) -> PathEnds:
    """Draw the latents and places of the steps of these rows."""
    z_N2Z = sampling.sample_z(seed, 0, rows, [sampling.PATH_START, sampling.PATH_END], generator.z_dim)
    first, second = torch.from_numpy(z_N2Z).unbind(dim=1)
    place = [float(sampling.uniform(seed, sampling.PATH_PLACE, 0, row, 1)[0]) for row in rows]
    return PathEnds(first=first, second=second, place=torch.tensor(place))


def sample_latents(generator: Generator, seed: int, rows: Sequence[int]) -> NDArray[np.float32]:
    """Return z [N, Z] of some samples."""
    return sampling.sample_z(seed, 0, rows, [sampling.CONTENT], generator.z_dim)[:, 0]


def noise_maps(generator: Generator, seed: int, stream: int, rows: Sequence[int]) -> dict[str, Tensor]:
    """Draw noise maps [N, 1, h, w] by name, for each row from a generator of its own."""
    buffers = {
        name: noise.shape
        for name, noise in generator.network.synthesis.named_buffers()
        if name.endswith("noise_const")
    }
    each: dict[str, list[Tensor]] = {name: [] for name in buffers}
    for row in rows:
        word = int(sampling.raw_words(seed, stream, 0, row, 1)[0])
        random = torch.Generator().manual_seed(word >> 1)  # torch takes what an int64 holds
        for name, shape in buffers.items():
            each[name].append(torch.randn(shape, generator=random))
    return {name: torch.stack(maps)[:, None].to(generator.device) for name, maps in each.items()}


def read_images(
    batches: Iterator[Tensor], outputs: Sequence[Output], device: str, after: After
) -> list[Floats]:
    """Show every batch of images, uint8 [N, H, W, 3], to all readers."""
    readers = [open_reader(output.reader, device) for output in outputs]
    found: list[list[Floats]] = [[] for _ in outputs]
    for images in batches:
        for place, read in enumerate(readers):
            found[place].append(read(images))
        after(len(images))
    return [np.concatenate(values) for values in found]


def batches_of(rows: range, size: int) -> Iterator[range]:
    """Cut rows into batches."""
    return (rows[first : first + size] for first in range(0, len(rows), size))
