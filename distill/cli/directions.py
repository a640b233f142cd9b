"""`distill directions`: find, factorise, read, list and show directions in w+."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distill.cli import options
from distill.errors import DistillError
from distill.progress import command_text

if TYPE_CHECKING:
    from distill.directions.requests import ScoredFaces
    from distill.directions.trial import Tried

Command = Callable[..., Any]
Options = Sequence[Callable[[Command], Command]]

WHERE: Options = (
    click.option("--generator", default="portraits", show_default=True, metavar="NAME|FILE|URL",
                 help="The teacher; see 'distill weights list'."),
    click.option("--truncation-psi", default=0.7, show_default=True, type=options.FiniteRange(0, 2),
                 help="Truncation of the drawn faces."),
    options.seed, options.device, options.precision, options.overwrite, options.as_json,
)  # fmt: skip
SCORED: Options = (
    click.option("--scorer", default="builtin", show_default=True, metavar="builtin|FILE",
                 help="What reads the attribute off a face."),
    click.option("--threads", type=options.WholeRange(1, 256), help="Faces looked for at a time.  [default: cores]"),
)  # fmt: skip


def options_of(*several: Options) -> Callable[[Command], Command]:
    """Give a command these options, in order."""

    def add(command: Command) -> Command:
        for option in reversed([option for group in several for option in group]):
            command = option(command)
        return command

    return add


@click.group(no_args_is_help=True)
def directions() -> None:
    """Find directions in w+ along which an attribute of drawn faces changes, and look at what they do.

    \b
    distill directions fit --generator portraits --attribute gender --attribute age --n 20000
    distill directions show portraits-gender
    """


@directions.command(short_help="Fit a direction to the scores of drawn faces.")
@click.option("--attribute", "attributes", multiple=True, required=True, metavar="NAME",
              help="gender, age, smile, yaw or another score; repeatable.")  # fmt: skip
@click.option("--n", default=20_000, show_default=True, type=options.WholeRange(50, 10_000_000),
              help="Samples to draw and score.")  # fmt: skip
@click.option("--method", default="auto", show_default=True,
              help="auto, centroid, logistic, svm or ridge.")  # fmt: skip
@click.option("--layers", default="0-7", show_default=True, metavar="LO-HI|all",
              help="Layers of w+ that the direction moves.")  # fmt: skip
@click.option("--orthogonal-to", multiple=True, metavar="NAME|FILE,…",
              help="Take these out: attributes (fitted too) or directions.")  # fmt: skip
@click.option("--confidence", default=0.9, show_default=True, type=options.FiniteRange(0.5, 0.999),
              help="How sure faces at the ends are.")  # fmt: skip
@click.option("--faces", default=96, show_default=True, type=options.WholeRange(8, 10_000),
              help="Drawn faces to try the direction on.")  # fmt: skip
@click.option("--out", type=options.PATH_TEXT, metavar="NAME|FILE|DIR/",
              help="The file.  [default: directions/GENERATOR-ATTRIBUTE.safetensors]")  # fmt: skip
@click.option("--work", type=options.PATH, metavar="DIR",
              help="Where the scores of the samples are kept.  [default: beside --out]")  # fmt: skip
@options_of(SCORED, WHERE)
@options.dry_run
@click.pass_context
def fit(
    context: click.Context, /, attributes: Sequence[str], orthogonal_to: Sequence[str], as_json: bool, dry_run: bool,
    **given: Any,
) -> None:  # fmt: skip
    """Fit a direction to the scores of many drawn faces, try it on others, and say what else it moves.

    Beside each direction stand a picture (.png), a card (.md) and all numbers (.json). Its sign is such that the
    score of edited faces rises (gender is the probability of female); strength 1 is one standard deviation of w.
    --method auto is logistic for a probability, else ridge. The scores of the samples are kept: after Ctrl-C the same
    command goes on, and what these scores tell is fitted again without new samples.

    \b
    distill directions fit --attribute gender --attribute age --n 20000
    distill directions fit --attribute smile --orthogonal-to gender,age --out smile.safetensors
    """
    from distill.cli.signals import stop_on_signals
    from distill.directions.fit_run import FitRun
    from distill.directions.requests import FitRequest

    scored, rest = scored_faces(given)
    names: dict[str, Any] = {
        "attributes": split_names(attributes),
        "orthogonal_to": split_names(orthogonal_to),
    }
    request = FitRequest(scored=scored, command=command_line(context), **names, **rest)
    run = FitRun(request)
    if dry_run:
        click.echo("\n".join(run.plan_lines()))
        return
    with stop_on_signals() as stop:
        tried = run.run(stop=stop, note=note)
    show_tried(tried, as_json=as_json)


@directions.command(short_help="Factorise the style layers, without any scorer.")
@click.option("--count", default=10, show_default=True, type=options.WholeRange(min=1),
              help="Directions to write, the largest change first.")  # fmt: skip
@click.option("--layers", default="all", show_default=True, metavar="LO-HI|all",
              help="Layers of w+ that are factorised, and moved.")  # fmt: skip
@click.option("--out", required=True, type=options.NamedPath(path_type=Path, file_okay=False), metavar="DIR",
              help="Folder of the directions.")  # fmt: skip
@options_of(WHERE)
def sefa(count: int, layers: str, out: Path, overwrite: bool, as_json: bool, **drawn: Any) -> None:
    """Factorise the style layers: the directions in w that change them most (Shen and Zhou 2021).

    No scorer and no samples are needed, and no attribute is known: look at the pictures. Their sign means nothing;
    strength 1 is one standard deviation of w.

    \b
    distill directions sefa --generator portraits --out directions/sefa
    distill directions sefa --generator ffhq-1024 --layers 0-7 --count 20 --out directions/coarse
    """
    from distill.cli.signals import stop_on_signals
    from distill.directions.import_run import factorise_styles
    from distill.directions.requests import DrawnFaces, SefaRequest

    request = SefaRequest(drawn=DrawnFaces(**drawn), count=count, layers=layers, out=out, overwrite=overwrite)
    with stop_on_signals() as stop:
        done = factorise_styles(request, stop=stop)
    if as_json:
        click.echo(json.dumps(done, indent=2))
        return
    for one in done:
        click.echo(f"{one['file']}  eigenvalue {one['eigenvalue']:.4g} ({one['share']:.1%} of all)")
    click.echo("what each does is in the picture (.png) beside it")


@directions.command("import", short_help="Read a published direction.")
@click.argument("file", type=options.PATH)
@click.option(
    "--attribute", required=True, metavar="NAME", help="A score of --scorer; any name with --no-orient."
)
@click.option("--layers", default="all", show_default=True, metavar="LO-HI|all",
              help="Layers that take it, or keep their row of it.")  # fmt: skip
@click.option("--samples", "faces", default=200, show_default=True, type=options.WholeRange(8, 10_000),
              help="Drawn faces to try the direction on.")  # fmt: skip
@click.option("--out", type=options.PATH_TEXT, metavar="NAME|FILE|DIR/",
              help="The file.  [default: directions/GENERATOR-ATTRIBUTE.safetensors]")  # fmt: skip
@click.option("--no-orient", is_flag=True,
              help="Keep its own sign and length; no scorer is needed.")  # fmt: skip
@options_of(SCORED, WHERE)
@click.pass_context
def import_(context: click.Context, /, as_json: bool, no_orient: bool, **given: Any) -> None:
    """Read a published direction: FILE.npy, .npz, .pt or .safetensors of shape [D], [1, D] or [L, D].

    Published signs and lengths disagree. So it is turned such that the score of edited faces rises, and scaled to the
    deviation of w. With --no-orient, for what no scorer knows, strength 1 adds the published array. Nothing in the
    file is executed.

    \b
    distill directions import age.npy --generator ffhq-1024 --attribute age
    distill directions import beard.pt --generator ffhq-1024 --attribute beard --no-orient
    """
    from distill.cli.signals import stop_on_signals
    from distill.directions.import_run import import_as_it_is, import_direction
    from distill.directions.requests import ImportRequest

    scored, rest = scored_faces(given)
    request = ImportRequest(scored=scored, command=command_line(context), **rest)
    if no_orient:
        show_as_it_is(import_as_it_is(request), as_json=as_json)
        return
    with stop_on_signals() as stop:
        tried = import_direction(request, stop=stop, note=note)
    show_tried(tried, as_json=as_json)


def scored_faces(given: dict[str, Any]) -> tuple[ScoredFaces, dict[str, Any]]:
    """Gather the options of WHERE and SCORED; return them and all others."""
    from distill.directions.requests import DrawnFaces, ScoredFaces

    drawn = {item.name: given.pop(item.name) for item in fields(DrawnFaces)}
    scored = ScoredFaces(drawn=DrawnFaces(**drawn), scorer=given.pop("scorer"), threads=given.pop("threads"))
    return scored, given


def note(line: str) -> None:
    click.echo(line, err=True)


def show_tried(tried: Tried, *, as_json: bool) -> None:
    click.echo(json.dumps(tried.as_json(), indent=2) if as_json else "\n".join(tried.lines()))


def show_as_it_is(done: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(done, indent=2))
        return
    click.echo(f"{done['attribute']} → {done['file']}")
    click.echo(f"  {done['source']}")
    times = done["length_in_file"] / (done["deviation"] or 1)
    click.echo(f"  its own sign and length: strength 1 adds the published array, {times:.3g} deviations of w")
    click.echo("  no scorer says which way it goes: look at the picture (.png) beside it")


@directions.command("list")
@click.argument("folders", nargs=-1, type=options.PATH)
@options.as_json
def list_(folders: Sequence[Path], as_json: bool) -> None:
    """List the shipped directions, and those in FOLDERS.

    \b
    distill directions list
    distill directions list directions/ --json
    """
    from distill.directions.file import SUFFIX, directions_folder, read_direction
    from distill.directions.report import direction_facts

    for folder in folders:
        if not folder.is_dir():
            raise DistillError(f"{folder}: no such folder")
    places = [
        path for folder in (directions_folder(), *folders) for path in sorted(folder.glob(f"*{SUFFIX}"))
    ]
    found = [(path, read_direction(path)) for path in places]
    if as_json:
        click.echo(json.dumps([direction_facts(direction, path) for path, direction in found], indent=2))
        return
    width = max((len(path.stem) for path, _ in found), default=0)
    for path, direction in found:
        strength, teacher = direction.facts.get("recommended_strength"), direction.facts.get("teacher", "")
        pairs = f"pairs at {strength:g}" if strength else ""
        click.echo(f"{path.stem:{width}}  {direction.attribute:10}  {teacher:12}  {pairs}".rstrip())
    if not found:
        click.echo("none yet: distill directions fit --generator NAME --attribute gender")


@directions.command()
@click.argument("source", metavar="NAME|FILE")
@click.option("--generator", metavar="NAME", help="NAME is GENERATOR-NAME among the shipped ones.")
@options.as_json
def show(source: str, generator: str | None, as_json: bool) -> None:
    """Say what is known of a direction.

    \b
    distill directions show portraits-gender
    distill directions show age --generator portraits
    """
    from distill.directions.file import read_direction
    from distill.directions.report import direction_facts, known_lines

    direction = read_direction(source, generator=generator)
    facts = direction_facts(direction, Path(source))
    click.echo(json.dumps(facts, indent=2) if as_json else "\n".join(known_lines(direction)))


def split_names(values: Sequence[str]) -> list[str]:
    """Split at commas; each name once, in the order given."""
    return list(dict.fromkeys(name.strip() for value in values for name in value.split(",") if name.strip()))


ALWAYS_TOLD = ("generator", "n")
LEFT_OUT = ("out", "work", "overwrite", "as_json", "dry_run", "device", "threads", "precision", "file")


def command_line(context: click.Context) -> str:
    """Write the command as a card tells it: what was given, without places and ways of running."""
    words = context.command_path.split()
    for param in context.command.params:
        name = param.name or ""
        source = context.get_parameter_source(name)
        given = source is click.core.ParameterSource.COMMANDLINE
        if name in LEFT_OUT or not (given or name in ALWAYS_TOLD):
            continue
        values = context.params[name]
        for value in values if isinstance(values, tuple) else (values,):
            words += [param.opts[-1] if param.opts[-1].startswith("--") else param.opts[0], str(value)]
    return command_text(*words)
