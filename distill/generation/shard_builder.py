"""Rows on their way into a shard: what was accepted, and a ledger of all that was tried."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from distill.faces.alignment import ffhq_quad
from distill.generation.filters import ACCEPTED, Batch, Filter, picked
from distill.generation.recipe import Recipe
from distill.shards.codec import encode_images
from distill.shards.layout import ShardContent


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One canonical batch, or some candidates of one, on the way: N candidates, drawn and not judged yet.

    `images`: picture -> float [N, 3, H, W] on the generator's device; `batch`: the same as bytes, with the verdicts
    to come; `latents`: picture -> w+ [N, L, D], of those pictures whose latents are stored.
    """

    ids: Sequence[int]
    images: Mapping[str, Tensor]
    batch: Batch
    latents: Mapping[str, Tensor]

    def as_chosen(self) -> Drawn:
        """Name by its role what a filter of the batch chose; the same where there was no choice."""
        if not self.batch.chosen:
            return self
        images, latents = list(self.images.values()), list(self.latents.values())
        return replace(
            self,
            images={role: picked(images, places) for role, places in self.batch.chosen.items()},
            latents={role: picked(latents, places) for role, places in self.batch.chosen.items()},
        )


class Collector:
    """Fills one shard in candidate order and stops counting at the candidate that fills it."""

    def __init__(
        self, recipe: Recipe, index: int, rows: int, *, filters: Sequence[Filter], threads: int
    ) -> None:
        self.recipe, self.index, self.rows, self.threads = recipe, index, rows, threads
        self.reasons = list(dict.fromkeys([ACCEPTED, *(name for item in filters for name in item.reasons)]))
        self.accepted, self.tried = 0, 0
        self.dropped: Counter[str] = Counter()
        self._images: dict[str, list[NDArray[np.uint8] | bytes]] = {role: [] for role in recipe.roles}
        self._columns: dict[str, list[NDArray[np.generic]]] = defaultdict(list)
        self._ledger: dict[str, list[NDArray[np.generic]]] = defaultdict(list)

    @property
    def full(self) -> bool:
        return self.accepted == self.rows

    def wanted(self, batch: Batch) -> list[int]:
        """The accepted candidates of a batch that still fit, by their place in it."""
        return batch.kept()[: self.rows - self.accepted]

    def may_end_within(self, candidates: int, cap: int) -> bool:
        """Tell whether so many more candidates could fill the shard, or bring it to the cap."""
        return self.accepted + candidates >= self.rows or self.tried + candidates >= cap

    def add(self, drawn: Drawn, wanted: Sequence[int], stored: Mapping[str, NDArray[np.uint8]]) -> None:
        """Take the wanted rows of a batch, and note every candidate up to the one that fills the shard."""
        fills = self.accepted + len(wanted) == self.rows
        seen = wanted[-1] + 1 if fills else len(drawn.ids)
        self._note_tried(drawn, seen)
        if wanted:
            for role, images in stored.items():
                self._images[role] += self._encoded(images)
            self._add_columns(drawn, list(wanted))
        self.accepted += len(wanted)

    def _add_columns(self, drawn: Drawn, chosen: list[int]) -> None:
        self._columns["candidate"].append(np.asarray([drawn.ids[i] for i in chosen], dtype=np.int64))
        for name, values in drawn.batch.params.items():
            self._columns[f"params/{name}"].append(values[chosen].astype(np.int16))
        for role, ws_NLD in drawn.latents.items():
            rows = ws_NLD[chosen].cpu().numpy().astype(self.recipe.latents)
            self._columns[f"latents/{role}"].append(rows)
        for name, scores in drawn.batch.scores.items():
            self._columns[f"scores/{name}"].append(scores[chosen])
        if drawn.batch.faces:
            self._add_landmarks(drawn.batch, chosen)

    def content(self) -> ShardContent:
        """The finished shard."""
        return ShardContent(
            index=self.index,
            digest=self.recipe.digest,
            recipe_json=self.recipe.to_json(),
            codec=self.recipe.codec,
            resolution=self.recipe.resolution,
            images={role: self._joined(images) for role, images in self._images.items()},
            columns={name: np.concatenate(parts) for name, parts in self._columns.items()},
            tried={name: np.concatenate(parts) for name, parts in self._ledger.items()},
            reasons=self.reasons,
        )

    def _note_tried(self, drawn: Drawn, seen: int) -> None:
        ids, batch = drawn.ids, drawn.batch
        verdicts = [reason or ACCEPTED for reason in batch.reasons[:seen]]
        self.tried += seen
        self.dropped.update(verdict for verdict in verdicts if verdict != ACCEPTED)
        self._ledger["candidate"].append(np.asarray(ids[:seen], dtype=np.int64))
        codes = [self.reasons.index(verdict) for verdict in verdicts]
        self._ledger["reason"].append(np.asarray(codes, dtype=np.uint8))
        for name, scores in batch.scores.items():
            self._ledger[f"scores/{name}"].append(scores[:seen])

    def _add_landmarks(self, batch: Batch, chosen: Sequence[int]) -> None:
        for role in self.recipe.roles:
            points = np.stack([batch.faces[i][role].landmarks for i in chosen])
            quads = np.stack([ffhq_quad(landmarks) for landmarks in points])
            self._columns[f"landmarks/{role}"].append(points.astype(np.float32))
            self._columns[f"quads/{role}"].append(quads.astype(np.float32))

    def _encoded(self, images: NDArray[np.uint8]) -> list[NDArray[np.uint8] | bytes]:
        """Encode at once, so that a shard in the making is as small as it will be on disk."""
        if self.recipe.codec == "raw":
            return list(images)
        return list(encode_images(images, self.recipe.codec, threads=self.threads))

    def _joined(self, images: list[NDArray[np.uint8] | bytes]) -> NDArray[np.uint8] | list[bytes]:
        if self.recipe.codec == "raw":
            return np.stack(images)
        return images  # type: ignore[return-value]
