"""`distill train-classifier`: a scorer for an attribute of your own, from labelled pictures."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distill.errors import DistillError

if TYPE_CHECKING:
    from distill.attributes.classifier.examples import Examples
    from distill.attributes.classifier.train import Plan

SUFFIX = ".safetensors"
SHARE = click.FloatRange(0.05, 0.45)
SHOWN = 5  # skips and mistakes that are listed; the report beside the file has more


@click.command("train-classifier", short_help="Train a scorer on labelled pictures.")
@click.option("--data", required=True, metavar="FOLDER|CSV", type=click.Path(path_type=Path),
              help="A folder with one folder a class, or a CSV with columns path and label.")  # fmt: skip
@click.option("--out", required=True, metavar=f"FILE{SUFFIX}", type=click.Path(path_type=Path),
              help="The scorer; its report (.json) and diagram (.png) go beside it.")  # fmt: skip
@click.option("--name", help="Of the score.  [the CSV's label column, else that of FILE]")
@click.option("--positive", metavar="LABEL",
              help="Of two classes, the one whose probability is the score.  [the last in the alphabet]")  # fmt: skip
@click.option("--align", type=click.Choice(["ffhq", "chip", "none"]), default="none", show_default=True,
              help="Find the largest face: its FFHQ crop or dlib's chip; none is the picture's middle.")  # fmt: skip
@click.option("--label", "column", metavar="COLUMN", help="Column of the CSV with the labels.  [label]")
@click.option("--group", metavar="COLUMN",
              help="Column of the CSV that says which pictures belong together, such as a person.")  # fmt: skip
@click.option("--images", metavar="DIR", type=click.Path(path_type=Path),
              help="Where the CSV's paths start.  [its own folder]")  # fmt: skip
@click.option("--network", type=click.Choice(["auto", "efficientnet_lite0", "small_cnn"]), default="auto",
              show_default=True, help="auto: efficientnet_lite0 where installed.")  # fmt: skip
@click.option("--size", type=click.IntRange(32, 512), help="Side of its input in px.  [128; small_cnn: 64]")
@click.option("--validation", type=SHARE, default=0.2, show_default=True,
              help="Share of the pictures that stops the training.")  # fmt: skip
@click.option("--test", type=SHARE, default=0.2, show_default=True,
              help="Share that is looked at only in the end.")  # fmt: skip
@click.option("--no-flip", is_flag=True, help="Left and right matter: learn no mirror images.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True)
@click.option("--max-skips", type=click.IntRange(min=0),
              help="Give up when more pictures cannot be used.  [5 in 100, at least 10]")  # fmt: skip
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes.  [one a core for many pictures]")
@click.option("--overwrite", is_flag=True, help="Replace FILE and what is beside it.")
@click.option("--dry-run", is_flag=True, help="Check everything, say what would be done, write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def train_classifier(data: Path, out: Path, **options: Any) -> None:
    """Train a small network to tell classes apart, calibrate it, and test it on pictures that it has never seen.

    The file is a scorer: score-images --scorer FILE takes it, as all commands do that need scores. Ctrl-C leaves
    nothing behind. At least 10 pictures of each class are needed; some hundreds give a result to rely on.

    \b
    distill train-classifier --data smiles/ --align ffhq --out smile.safetensors
    distill score-images photos/ --scorer smile.safetensors --out labels.csv
    """
    from distill.attributes.classifier.examples import read_examples

    _check_out(out, overwrite=options["overwrite"])
    examples = read_examples(
        data, out, column=options["column"], images=options["images"], group=options["group"]
    )
    plan = make_plan(data, out, examples, options)
    count = len(examples.items)
    max_skips = max(10, count // 20) if options["max_skips"] is None else options["max_skips"]
    if options["dry_run"]:
        _show_plan(plan, examples, max_skips)
        return
    started = time.monotonic()
    report = _train(plan, examples, options["workers"], max_skips)
    report["seconds"] = round(time.monotonic() - started, 1)
    click.echo(json.dumps(report, indent=2) if options["as_json"] else text_of(report, plan))


def make_plan(data: Path, out: Path, examples: Examples, options: dict[str, Any]) -> Plan:
    """Settle every choice. Raises DistillError for what does not fit the data."""
    from distill.attributes.classifier.fit import SIDES, choose_network
    from distill.attributes.classifier.train import Plan
    from distill.devices import resolve_device

    labels, positive = examples.labels, options["positive"]
    if positive is not None and positive not in labels:
        raise DistillError(f"--positive {positive}: no such class; there are {', '.join(labels[:20])}")
    if positive is None and len(labels) == 2:
        positive = labels[-1]
    name = options["name"] or re.sub(r"\W+", "_", examples.title or out.stem, flags=re.ASCII).strip("_")
    network = choose_network(options["network"])
    plan = Plan(
        data=data,
        out=out,
        name=name,
        labels=labels,
        positive=positive,
        network=network,
        size=options["size"] or SIDES[network],
        align=options["align"],
        validation=options["validation"],
        test=options["test"],
        flip=not options["no_flip"],
        seed=options["seed"],
        device=resolve_device(options["device"]),
    )
    plan.settings()
    return plan


def _train(plan: Plan, examples: Examples, workers: int | None, max_skips: int) -> dict[str, Any]:
    from distill.attributes.classifier.train import Watch, train_classifier
    from distill.cli.signals import stop_on_signals
    from distill.parallel import default_workers
    from distill.progress import Progress

    count = len(examples.items)
    workers = workers or default_workers(count, 200)
    with stop_on_signals() as stop, Progress(count, noun="picture", keep=False) as progress:
        watch = Watch(stop=stop, pictures=progress.advance, note=progress.beside)
        return train_classifier(plan, examples, workers=workers, max_skips=max_skips, watch=watch)


def _check_out(out: Path, *, overwrite: bool) -> None:
    if out.suffix != SUFFIX:
        raise DistillError(f"--out {out}: the name must end in {SUFFIX}")
    if not out.parent.is_dir():
        raise DistillError(f"{out}: no such folder {out.parent}")
    there = [path for path in (out, out.with_suffix(".json"), out.with_suffix(".png")) if path.exists()]
    if there and (not overwrite or there[0].is_dir()):
        raise DistillError(f"{there[0]} exists; choose another --out, or replace it with --overwrite")


def _show_plan(plan: Plan, examples: Examples, max_skips: int) -> None:
    from collections import Counter

    counts = Counter(item.label for item in examples.items)
    classes = ", ".join(f"{label} {count}" for label, count in sorted(counts.items()))
    click.echo(f"{len(examples.items)} pictures: {classes}; without a label {examples.unlabelled}")
    click.echo(f"{plan.network} at {plan.size} px, align {plan.align}, on {plan.device} → {plan.out}")
    click.echo(f"scores: {', '.join(plan.settings().kinds)}")
    click.echo(f"{plan.validation:.0%} validate, {plan.test:.0%} test, at most {max_skips} may be skipped")
    click.echo("dry run: nothing was written")


def text_of(report: dict[str, Any], plan: Plan) -> str:
    """Put a report into a few lines."""
    test, split, pictures = report["test"], report["split"], report["pictures"]
    sizes = {part: sum(counts.values()) for part, counts in split.items()}
    low, high = test["accuracy_95"]
    what = f"the probability of {plan.positive}" if plan.positive else f"one of {len(plan.labels)} labels"
    how = f"{report['network']}, {report['size']} px, {report['seconds']} s"
    lines = [
        f"{report['out']}: {report['name']}, {what} ({how})",
        f"{sizes['train']} pictures to learn from and {sizes['validation']} to stop by, tested on {sizes['test']} "
        "that played no part before",
        f"accuracy {test['accuracy']:.1%} (95 % interval {low:.1%} to {high:.1%}), balanced {test['balanced']:.1%}",
        f"calibration error {test['error']:.3f} (before temperature {report['temperature']:.2f}: "
        f"{test['error_untempered']:.3f}; by chance alone about {test['error_by_chance']:.3f} with so few)",
    ]
    if test["sure"]:
        lines.append(
            f"confidence at least 0.9: {test['sure']} of {test['count']}, of them right {test['sure_accuracy']:.1%}"
        )
    lines += ["", *confusion_lines(test["confusion"], report["labels"]), ""]
    if report["mistakes"]:
        lines.append(f"most confident mistakes of {len(report['mistakes'])} (are their labels right?):")
        lines += [
            f"  {item['file']}: label {item['label']}, told {item['told']} ({item['confidence']:.2f})"
            for item in report["mistakes"][:SHOWN]
        ]
    if gone := pictures["skips"]:
        reasons = ", ".join(f"{reason} {count}" for reason, count in pictures["skipped"].items())
        lines.append(f"not used {len(gone)}: {reasons}")
        lines += [f"  {skip['reason']}: {skip['name']} ({skip['detail']})" for skip in gone[:SHOWN]]
    if pictures["copies"] or pictures["unlabelled"]:
        lines.append(f"left out: {pictures['copies']} copies, {pictures['unlabelled']} without a label")
    lines.append(f"report {plan.beside[0]}, diagram {plan.beside[1]}")
    return "\n".join(lines)


def confusion_lines(confusion: list[list[int]], labels: list[str]) -> list[str]:
    """Write the confusion as a table: a line for each label, a column for what was told."""
    names = [label[:12] for label in labels]
    wide = max(6, *(len(name) for name in names)) + 2
    head = "label \\ told".ljust(max(wide, 14)) + "".join(name.rjust(wide) for name in names)
    rows = [
        name.ljust(max(wide, 14)) + "".join(str(count).rjust(wide) for count in counts)
        for name, counts in zip(names, confusion, strict=True)
    ]
    return [head, *rows]
