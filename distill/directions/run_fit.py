"""How `distill directions fit` runs: samples, directions, faces to try them on, files."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np

from distill.cli.signals import stop_on_signals
from distill.directions.fit import check_method
from distill.directions.look import BATCH, FITTED, draw_w, many_w, truncated
from distill.directions.measure import find_subjects
from distill.directions.run import (
    FaceProgress,
    Opened,
    check_outputs,
    judge_all,
    open_studio,
    show_all,
    write_all,
)
from distill.directions.samples import SampleFile, Samples, score_samples
from distill.directions.scorers import check_known, told
from distill.directions.unit import layer_range
from distill.directions.workflow import FitPlan, fit_directions, named_vector, output_paths, scales_of
from distill.files import sweep
from distill.progress import plural
from distill.timing import clock

TRIAL = 4  # batches that a dry run times
PER_EDITED = 2.0  # an edited face with its share of descriptors takes about so many times a sample's time


def run_fit(options: Mapping[str, Any], command: str, *, dry_run: bool, as_json: bool) -> None:
    """Fit, judge, write and show; or show the plan."""
    check_method(options["method"])
    opened = open_studio(options, command)
    attributes, scorer = options["attributes"], opened.studio.scorer
    check_known(attributes, scorer)
    layers = layer_range(options["layers"], opened.generator.num_ws)
    for name in options["orthogonal_to"]:
        if name not in scorer.names:
            named_vector(name, opened.generator, opened.teacher.name)
    paths = output_paths(options["out"], opened.stem, attributes)
    work = options["work"] or next(iter(paths.values())).parent
    file = SampleFile(work, opened.stem, opened.settings)
    if dry_run:
        show_plan(opened, file, options, paths)
        return
    check_outputs([*paths.values(), file.path.with_name("any")], overwrite=options["overwrite"])
    sweep(work)
    with stop_on_signals() as stop:
        samples = draw_samples(opened, file, options, stop)
        w_ND = np.asarray(many_w(opened.generator, options["seed"], options["n"]).double().numpy())
        kinds = dict(scorer.kinds)
        plan = FitPlan(
            attributes=attributes,
            kinds=kinds,
            method=options["method"],
            layers=layers,
            orthogonal_to=options["orthogonal_to"],
            confidence=options["confidence"],
            seed=options["seed"],
            scorer=opened.settings["scorer"],
        )
        found = fit_directions(plan, samples, w_ND, opened.generator, opened.teacher.name)
        click.echo("fitted; trying the directions on other faces", err=True)
        subjects = find_subjects(opened.studio, options["faces"], seed=options["seed"], stop=stop)
        scales = scales_of(samples.scores, kinds, told(scorer, attributes))
        judged = judge_all(opened, found, subjects, scales, stop)
        write_all(opened, judged, paths, subjects, scales)
    show_all(judged, paths, as_json=as_json)


def draw_samples(
    opened: Opened, file: SampleFile, options: Mapping[str, Any], stop: threading.Event
) -> Samples:
    """Draw and score what is not in the file yet."""
    count = options["n"]
    there = min(file.resume(), count)
    note = f", {there} of them in {file.path}" if there else f"; their scores are kept in {file.path}"
    click.echo(f"{count} samples{note}", err=True)
    faces = int(file.samples().found[:there].sum()) if there else 0
    with FaceProgress(count, "sample", done=there, faces=faces) as progress:
        return score_samples(opened.studio, file, count, seed=options["seed"], stop=stop, progress=progress)


def show_plan(
    opened: Opened, file: SampleFile, options: Mapping[str, Any], paths: Mapping[str, Path]
) -> None:
    """Draw and score a few samples; tell what they suggest of the whole."""
    studio, generator, count = opened.studio, opened.generator, options["n"]
    there = min(file.resume(), count)

    def batch(k: int) -> Any:
        w_ND = draw_w(generator, options["seed"], FITTED, range(k * BATCH, (k + 1) * BATCH))
        return truncated(generator, w_ND, studio.truncation_psi)

    studio.look(studio.draw(batch(0)))  # opens the models
    started = time.perf_counter()
    found = sum(int(looked.found.sum()) for looked in studio.look_at(map(batch, range(TRIAL))))
    each = (time.perf_counter() - started) / (TRIAL * BATCH)
    edited = PER_EDITED * 17 * options["faces"] * len(paths)
    click.echo(
        f"{count} samples of {opened.teacher.name}, psi {studio.truncation_psi:g}, {there} in {file.path}"
    )
    click.echo(f"{found} of {TRIAL * BATCH} show a face; {1 / each:.1f} samples/s")
    seconds = each * (count - there + edited)
    click.echo(f"about {clock(seconds)} with {plural(studio.threads, 'thread')}")
    click.echo(f"to write: {', '.join(map(str, paths.values()))}, each with .png, .md and .json")
    click.echo("dry run: nothing was written")
