"""Whether a student saw the faces of a data set in another one."""

from __future__ import annotations

from distill.files import path_text
from distill.networks.student import StudentFacts
from distill.shards.dataset import TripletDataset
from distill.shards.drawn import drawn_by


def shared_faces(facts: StudentFacts, dataset: TripletDataset) -> list[str]:
    """Say that a data set shares faces with another one, which the student was trained on; [] where nothing tells."""
    drawn = drawn_by(dataset.recipe)
    if drawn is None or facts.drawn != drawn or facts.data_digest in (None, dataset.digest):
        return []
    return [
        f"the student was trained on the data set {facts.data_digest}, which shares faces with"
        f" {path_text(dataset.folder)} (digest {dataset.digest}): both were drawn by the same generator with --seed"
        f" {drawn['seed']}, so the scores flatter it; make data with another --seed."
    ]
