"""Draw w+, find the face in each picture, read the scores off it: what directions are fitted to and judged by.

Shapes: N samples, L w+ layers, D latent width, H = W image side.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill.attributes.protocol import AttributeScorer, Scores
from distill.faces.alignment import Floats, Pixels
from distill.faces.detection import FILLED_SIDE, Face, FaceDetector, each
from distill.faces.identity import describe
from distill.pixels import HostCopy, to_uint8
from distill.stylegan2.generator import Generator
from distill.stylegan2.sampling import DIRECTION, normal

PSI = (
    0.7  # truncation of the faces that are scored and edited, as of the pairs that are made with a direction
)
FITTED, JUDGED = 0, 1  # streams of z: directions are judged on other faces than they were fitted to
BATCH = 16
AHEAD = 2  # batches that may be drawn before the oldest of them is looked at

FindFaces = Callable[[Pixels], Sequence[Face]]
Describe = Callable[[Pixels, Floats], Floats]


@dataclass(frozen=True, kw_only=True)
class Looked:
    """N pictures [N, H, W, 3], the largest face in each or None, its scores by name (float32 [N], NaN without).

    `found` tells which could be scored: those with a face, or all where the scorer needs none.
    """

    images: NDArray[np.uint8]
    faces: Sequence[Face | None]
    scores: Mapping[str, Scores]

    @property
    def found(self) -> NDArray[np.bool_]:
        return np.isfinite(next(iter(self.scores.values())))


class Studio:
    """A generator, something that finds faces, a scorer, and something that describes who is seen, at work together.

    `threads` faces are looked for at a time. Pictures are drawn with the noise maps of the checkpoint. Where they are
    drawn in bf16, the scorer computes in it too: on a CPU with AMX the age network takes a tenth of the time, and its
    answers move by 0.1 years on average (48 faces; the probability of female by 0.002).
    """

    def __init__(
        self,
        generator: Generator,
        scorer: AttributeScorer,
        *,
        truncation_psi: float = PSI,
        threads: int = 1,
        find: FindFaces | None = None,
        describe: Describe = describe,
    ) -> None:
        self.generator, self.scorer, self.threads = generator, scorer, threads
        self.truncation_psi = truncation_psi
        self.find = find or FaceDetector(max_side=FILLED_SIDE)
        self.describe = describe

    def draw(self, ws_NLD: Tensor) -> HostCopy:
        """Draw w+ as uint8 pictures; on a GPU they may still be under way."""
        return HostCopy(to_uint8(self.generator.synthesize(ws_NLD)))

    def look(self, drawn: HostCopy) -> Looked:
        """Find the largest face of each picture and score it."""
        images = drawn.array()
        faces: list[Face | None] = [None] * len(images)

        def search(i: int) -> None:
            faces[i] = max(self.find(images[i]), key=lambda face: face.area, default=None)

        each(search, range(len(images)), threads=self.threads)
        device, short = self.generator.device.type, self.generator.precision == "bf16"
        with torch.autocast(device, torch.bfloat16, enabled=short):
            scores = self.scorer(images, faces)
        return Looked(images=images, faces=faces, scores=scores)

    def look_at(self, batches: Iterable[Tensor]) -> Iterator[Looked]:
        """Draw batches of w+ and look at each, the next ones being drawn meanwhile."""
        with ThreadPoolExecutor(1, thread_name_prefix="look") as beside:
            waiting: deque[Future[Looked]] = deque()
            for ws_NLD in batches:
                waiting.append(beside.submit(self.look, self.draw(ws_NLD)))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()


def draw_w(generator: Generator, seed: int, stream: int, candidates: Sequence[int]) -> Tensor:
    """Map the candidates' z to w [N, D], untruncated; each from a counter of its own."""
    z_NZ = np.stack([normal(seed, DIRECTION, stream, i, generator.z_dim) for i in candidates])
    return generator.map(torch.from_numpy(z_NZ))[:, 0]


def truncated(generator: Generator, w_ND: Tensor, psi: float) -> Tensor:
    """Pull w towards its mean by ψ and give every layer a copy: w+ [N, L, D]."""
    return generator.w_avg.lerp(w_ND, psi)[:, None].repeat(1, generator.num_ws, 1)


def many_w(generator: Generator, seed: int, count: int) -> Tensor:
    """Map the first `count` candidates of the fitted stream to w [count, D], on the CPU."""
    starts = range(0, count, 1024)
    parts = [
        draw_w(generator, seed, FITTED, range(start, min(start + 1024, count))).cpu() for start in starts
    ]
    return torch.cat(parts)
