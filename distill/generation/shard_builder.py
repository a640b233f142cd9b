"""Rows on their way into a shard: what was accepted, and a ledger of all that was tried."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from distill.faces.alignment import ffhq_quad
from distill.generation.batch import ACCEPTED, Batch
from distill.generation.edits.rings import ring_numbers
from distill.generation.recipe import Recipe
from distill.shards.codec import encode_images
from distill.shards.layout import ShardContent


class ShardBuilder:
    """Fills one shard in candidate order and stops counting at the candidate that fills it."""

    def __init__(self, recipe: Recipe, index: int, rows: int, *, threads: int) -> None:
        self.recipe, self.index, self.rows, self.threads = recipe, index, rows, threads
        self.reasons = [ACCEPTED, *recipe.reasons]
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
        """Tell whether this many more candidates could fill the shard, or bring it to the cap."""
        return self.accepted + candidates >= self.rows or self.tried + candidates >= cap

    def add(self, batch: Batch) -> None:
        """Take the wanted rows of a batch, and note every candidate up to the one that fills the shard."""
        wanted = batch.wanted
        fills = self.accepted + len(wanted) == self.rows
        self._note_tried(batch, wanted[-1] + 1 if fills else len(batch.ids))
        if wanted:
            for role, images in batch.framed.items():
                self._images[role] += self._encoded(images)
            self._add_columns(batch, wanted)
        self.accepted += len(wanted)

    def _add_columns(self, batch: Batch, rows: list[int]) -> None:
        self._columns["candidate"].append(np.asarray([batch.ids[i] for i in rows], dtype=np.int64))
        if ring := self.recipe.edit.ring:
            self._columns["ring"].append(ring_numbers(self.index, [batch.ids[i] for i in rows], ring))
        for name, values in batch.params.items():
            kind = np.int16 if values.dtype.kind == "i" else np.float32
            self._columns[f"params/{name}"].append(values[rows].astype(kind))
        for role in self.recipe.edit.latents:
            ws_NLD = batch.latents[role][rows].cpu().numpy().astype(self.recipe.latents)
            self._columns[f"latents/{role}"].append(ws_NLD)
        for name, scores in batch.scores.items():
            self._columns[f"scores/{name}"].append(scores[rows])
        if self.recipe.shows_one_face:
            self._add_landmarks(batch, rows)

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

    def _note_tried(self, batch: Batch, seen: int) -> None:
        verdicts = [reason or ACCEPTED for reason in batch.reasons[:seen]]
        self.tried += seen
        self.dropped.update(verdict for verdict in verdicts if verdict != ACCEPTED)
        self._ledger["candidate"].append(np.asarray(batch.ids[:seen], dtype=np.int64))
        codes = [self.reasons.index(verdict) for verdict in verdicts]
        self._ledger["reason"].append(np.asarray(codes, dtype=np.uint8))
        for name, scores in batch.scores.items():
            self._ledger[f"scores/{name}"].append(scores[:seen])

    def _add_landmarks(self, batch: Batch, rows: Sequence[int]) -> None:
        for role in self.recipe.face_roles:
            points = np.stack([batch.landmarks(role, i) for i in rows])
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
