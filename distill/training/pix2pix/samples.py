"""A picture of what a student makes of some rows: inputs, output and target side by side, under their names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from distill.pixels import to_numpy, to_uint8
from distill.shards.dataset import TripletDataset
from distill.shards.folder import manifest_reports, read_manifest, shard_path
from distill.shards.inspect.sheet import draw_sheet, png_bytes
from distill.shards.inspect.survey import Sample
from distill.shards.read import open_shard

OUTPUT = "output"
REVERSED = ("target", "source")  # inputs and target of pairs that are learnt the other way


class SampleSheet:
    """Draws the same rows of a data set again and again."""

    def __init__(self, dataset: TripletDataset, rows: NDArray[np.int64], asked: Sequence[str] = ()) -> None:
        """`asked`: what is to change in each row, in words, where rows differ in that."""
        self.asked = asked or [""] * len(rows)
        self.columns = column_names(dataset.roles)
        self.places = [_find(dataset, int(row)) for row in rows]

    def draw(self, triplets_NRCHW: Tensor, outputs_NCHW: Tensor, *, title: str) -> bytes:
        """Draw uint8 triplets [N, R, 3, H, W] and the outputs [N, 3, H, W] in [-1, 1] as PNG."""
        made = to_numpy(to_uint8(outputs_NCHW))
        given = triplets_NRCHW.permute(0, 1, 3, 4, 2).numpy()
        samples = []
        for (shard, row, candidate), asked, images, output in zip(
            self.places, self.asked, given, made, strict=True
        ):
            shown = dict(zip(self.columns, [*images[:-1], output, images[-1]], strict=True))
            l1 = {"L1": _distance(output, images[-1])}
            samples.append(
                Sample(
                    shard=shard, row=row, candidate=candidate, images=shown, params=l1, scores={}, name=asked
                )
            )
        return png_bytes(draw_sheet(samples, self.columns, title=title))


def column_names(roles: Sequence[str]) -> list[str]:
    """Name what goes in, what came out, and what should: "target" is always the last, also of reversed pairs."""
    if tuple(roles) == REVERSED:
        return ["source", OUTPUT, "target"]
    *inputs, target = roles
    return [*inputs, OUTPUT, target if target == "target" else f"{target} (target)"]


def title_of(roles: Sequence[str]) -> str:
    """Say what a student of these roles turns into what, in the words of the columns."""
    if tuple(roles) == REVERSED:
        return "source to target of reversed pairs"
    *inputs, target = roles
    return f"{' + '.join(inputs)} to {target}"


def _find(dataset: TripletDataset, place: int) -> tuple[int, int, int]:
    """Return (shard, row within it, candidate) of a row of the data set."""
    reports = manifest_reports(read_manifest(dataset.folder))
    ends = np.cumsum([report.rows for report in reports])
    number = int(np.searchsorted(ends, place, side="right"))
    report = reports[number]
    row = place - int(ends[number] - report.rows)
    with open_shard(shard_path(dataset.folder, report.index), report=report) as reader:
        return report.index, row, int(reader.value("candidate", row))


def _distance(a_HWC: NDArray[np.uint8], b_HWC: NDArray[np.uint8]) -> float:
    """The mean absolute difference on the 0..1 scale."""
    return float(np.abs(a_HWC.astype(np.float32) - b_HWC).mean() / 255)
