"""Fit directions: samples, normals, faces to try them on, files."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from distill.attributes.builtin import SCORES
from distill.directions.fit import check_method
from distill.directions.look import BATCH, FITTED, draw_w, many_w, truncated
from distill.directions.measure import find_subjects
from distill.directions.requests import FitRequest, Note
from distill.directions.samples import SampleFile, Samples, score_samples
from distill.directions.scorers import check_known, told
from distill.directions.trial import (
    Opened,
    Tried,
    check_outputs,
    counting_faces,
    open_studio,
    output_folders,
    try_and_write,
)
from distill.directions.unit import layer_range
from distill.directions.workflow import FitPlan, fit_directions, named_vector, output_paths, scales_of
from distill.files import sweep
from distill.progress import Progress, plural
from distill.timing import clock

TRIAL = 4  # batches that a dry run times
PER_EDITED = 2.0  # an edited face with its share of descriptors takes about this many times a sample's time


class FitRun:
    """A fit whose request has been checked against generator and scorer: ready to run, or to be described."""

    def __init__(self, request: FitRequest) -> None:
        """Raise DistillError for an unknown method, attribute or direction, and for layers that are not there."""
        check_method(request.method)
        asked = [*request.attributes, *(name for name in request.orthogonal_to if name in SCORES)]
        self.request, self.opened = request, open_studio(request.scored, asked, request.command)
        scorer = self.opened.studio.scorer
        check_known(request.attributes, scorer)
        self.layers = layer_range(request.layers, self.opened.generator.num_ws)
        for name in request.orthogonal_to:
            if name not in scorer.names:
                named_vector(name, self.opened.generator, self.opened.teacher.name)
        self.paths = output_paths(request.out, self.opened.stem, request.attributes)
        check_outputs(self.paths.values(), overwrite=request.overwrite)
        self.work = request.work or next(iter(self.paths.values())).parent
        self.file = SampleFile(self.work, self.opened.stem, self.opened.settings)

    def run(self, *, stop: threading.Event, note: Note) -> Tried:
        """Draw and score what is missing, fit, try on other faces, write. Raises Interrupted when `stop` is set."""
        with output_folders([*self.paths.values(), self.file.path]):
            return self._run(stop, note)

    def _run(self, stop: threading.Event, note: Note) -> Tried:
        request, opened = self.request, self.opened
        sweep(self.work)
        seed, scorer = request.scored.drawn.seed, opened.studio.scorer
        samples = draw_samples(opened, self.file, request.n, seed, stop=stop, note=note)
        w_ND = np.asarray(many_w(opened.generator, seed, request.n).double().numpy())
        plan = FitPlan(
            attributes=request.attributes,
            kinds=dict(scorer.kinds),
            method=request.method,
            layers=self.layers,
            orthogonal_to=request.orthogonal_to,
            confidence=request.confidence,
            seed=seed,
            scorer=opened.settings["scorer"],
        )
        found = fit_directions(plan, samples, w_ND, opened.generator, opened.teacher.name)
        note("fitted; trying the directions on other faces")
        subjects = find_subjects(opened.studio, request.faces, seed=seed, stop=stop)
        scales = scales_of(samples.scores, plan.kinds, told(scorer, request.attributes))
        return try_and_write(opened, found, subjects, scales, self.paths, stop=stop)

    def plan_lines(self) -> list[str]:
        """Draw and score a few samples; tell what they suggest of the whole."""
        return plan_lines(self.opened, self.file, self.request, self.paths)


def draw_samples(
    opened: Opened, file: SampleFile, count: int, seed: int, *, stop: threading.Event, note: Note
) -> Samples:
    """Draw and score what is not in the file yet."""
    there = min(file.resume(), count)
    kept = f", {there} of them in {file.path}" if there else f"; their scores are kept in {file.path}"
    note(f"{count} samples{kept}")
    faces = int(file.samples().found[:there].sum()) if there else 0
    with Progress(count, noun="sample", done=there, keep=False) as progress:
        counted = counting_faces(progress, faces)
        return score_samples(opened.studio, file, count, seed=seed, stop=stop, progress=counted)


def plan_lines(opened: Opened, file: SampleFile, request: FitRequest, paths: Mapping[str, Path]) -> list[str]:
    """Time a few samples; say how long the whole would take, and what it would write."""
    studio, generator, count = opened.studio, opened.generator, request.n
    there = min(file.resume(), count)

    def batch(k: int) -> Any:
        candidates = range(k * BATCH, (k + 1) * BATCH)
        w_ND = draw_w(generator, request.scored.drawn.seed, FITTED, candidates)
        return truncated(generator, w_ND, studio.truncation_psi)

    studio.look(studio.draw(batch(0)))  # opens the models
    started = time.perf_counter()
    found = sum(int(looked.found.sum()) for looked in studio.look_at(map(batch, range(TRIAL))))
    each = (time.perf_counter() - started) / (TRIAL * BATCH)
    edited = PER_EDITED * 17 * request.faces * len(paths)
    seconds = each * (count - there + edited)
    return [
        f"{count} samples of {opened.teacher.name}, psi {studio.truncation_psi:g}, {there} in {file.path}",
        f"{found} of {TRIAL * BATCH} show a face; {1 / each:.1f} samples/s",
        f"about {clock(seconds)} with {plural(studio.threads, 'thread')}",
        f"to write: {', '.join(map(str, paths.values()))}, each with .png, .md and .json",
        "dry run: nothing was written",
    ]
