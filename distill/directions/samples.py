"""The scores of many drawn faces, kept in a file: the costly part of a fit, done once for all attributes.

Only scores are kept: z comes from a counter, so w is mapped again when it is needed.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from distill.attributes.protocol import Scores
from distill.directions.look import BATCH, FITTED, Looked, Studio, draw_w, truncated
from distill.errors import DistillError, Interrupted, UnsupportedCheckpoint, os_error
from distill.files import atomic_write
from distill.weights.safetensors_file import read_tensors

FORMAT = "distill-direction-samples"
SAVE_EVERY = 20.0  # seconds
MIN_FACES = 40  # with fewer there is nothing to fit to


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Candidates 0 to N-1 of a seed: scores by name, float32 [N], NaN without a face; `found` [N] tells of which."""

    found: NDArray[np.bool_]
    scores: Mapping[str, Scores]

    def first(self, count: int) -> Samples:
        """Keep the first candidates only."""
        return Samples(found=self.found[:count], scores={name: v[:count] for name, v in self.scores.items()})


class SampleFile:
    """The samples drawn so far under some settings; a file with others counts as empty.

    `settings` are plain values: all that the scores depend on. The file's name holds their digest.
    """

    def __init__(self, folder: Path, teacher: str, settings: Mapping[str, Any]) -> None:
        self.settings = json.dumps(settings, sort_keys=True)
        digest = hashlib.sha256(self.settings.encode()).hexdigest()[:12]
        self.path = folder / f"{teacher}-{digest}.scores"
        self.parts: list[tuple[NDArray[np.bool_], Mapping[str, Scores]]] = []
        self.saved, self.new = time.monotonic(), False

    def resume(self) -> int:
        """Read what is there; return the number of candidates, always whole batches."""
        self.parts = []
        try:
            stored, texts = read_tensors(self.path)
        except (FileNotFoundError, UnsupportedCheckpoint):
            return 0
        except OSError as error:
            raise os_error(error) from error
        if texts.get("settings") != self.settings:
            return 0
        tensors = {name: tensor.numpy() for name, tensor in stored.items()}
        found = tensors.pop("found", np.zeros(0, np.uint8)).astype(bool)
        if not tensors or len(found) % BATCH or any(len(values) != len(found) for values in tensors.values()):
            return 0
        scores = {name.removeprefix("scores/"): values for name, values in tensors.items()}
        self.parts = [(found, scores)] if len(found) else []
        return len(found)

    def add(self, looked: Looked) -> None:
        """Append a batch; write the file now and then."""
        self.parts.append((looked.found, looked.scores))
        self.new = True
        if time.monotonic() - self.saved >= SAVE_EVERY:
            self.write()

    def samples(self) -> Samples:
        founds, scores = zip(*self.parts, strict=True)
        return Samples(
            found=np.concatenate(founds),
            scores={name: np.concatenate([part[name] for part in scores]) for name in scores[0]},
        )

    def write(self) -> None:
        """Write the file, where anything came since it was written."""
        if not self.new:
            return
        samples = self.samples()
        tensors = {f"scores/{name}": np.asarray(v, np.float32) for name, v in samples.scores.items()}
        tensors["found"] = samples.found.astype(np.uint8)
        try:
            atomic_write(self.path, save(tensors, metadata={"format": FORMAT, "settings": self.settings}))
        except OSError as error:
            raise os_error(error) from error
        self.saved, self.new = time.monotonic(), False


def score_samples(
    studio: Studio,
    file: SampleFile,
    count: int,
    *,
    seed: int,
    stop: threading.Event,
    progress: Callable[[int, int], None] = lambda candidates, faces: None,
) -> Samples:
    """Return the first `count` candidates with their scores, out of the file where they stand there, else drawn.

    `progress` is told of the candidates that are drawn, and how many have a face. Raises Interrupted when `stop` is
    set (what was drawn is in the file), DistillError where fewer than MIN_FACES show a face.
    """
    done = file.resume()
    starts = range(done, -(-count // BATCH) * BATCH, BATCH)
    generator = studio.generator
    batches = (
        truncated(
            generator, draw_w(generator, seed, FITTED, range(start, start + BATCH)), studio.truncation_psi
        )
        for start in starts
        if not stop.is_set()
    )
    try:
        for looked in studio.look_at(batches):
            file.add(looked)
            done += BATCH
            progress(BATCH, int(looked.found.sum()))
    finally:
        file.write()
    if done < count:
        raise Interrupted(f"interrupted after {done} of {count} samples; the same command goes on from there")
    samples = file.samples().first(count)
    check_faces(samples.found)
    return samples


def check_faces(found: NDArray[np.bool_], *, needed: int = MIN_FACES) -> None:
    """Raise DistillError where too few samples show a face."""
    if (faces := int(found.sum())) < needed:
        raise DistillError(
            f"{faces} of {len(found)} samples ({faces / max(len(found), 1):.1%}) show a face, {needed} are needed:"
            " raise --n, lower --truncation-psi, or take a generator of faces"
        )
