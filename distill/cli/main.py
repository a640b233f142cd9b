"""The `distill` command: a table of commands, and one line and an exit code for whatever goes wrong.

Exit codes: 0 done; 1 nothing worked, or a fault of the program; 2 bad input; 3 some shards failed;
4 disk full; 130 interrupted. A command function returns None, or the exit code as an int.
"""

from __future__ import annotations

import errno
import importlib
import os
import re
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

import click

from distill import __version__
from distill.errors import DistillError, Interrupted
from distill.files import path_text
from distill.training.trainers import TRAINERS

# By what people do, name: (where the click command is, one line of help). A command's module is imported when it is
# called. A command for each trainer of the table comes first in TRAIN.
TRAIN = "Train"
GROUPS: dict[str, dict[str, tuple[str, str]]] = {
    "Make data": {
        "generate": ("distill.cli.generate:generate", "Make a data set of triplets from a generator."),
        "import": ("distill.cli.import_:import_command", "Make a data set of pairs or triplets of your own."),
        "prepare-images": (
            "distill.cli.prepare_images:prepare_images",
            "Put a folder of photographs into one data set to train on.",
        ),
        "photo-pairs": (
            "distill.cli.photo_pairs:photo_pairs",
            "Edit photographs of your own into pairs to train on.",
        ),
        "score-images": (
            "distill.cli.score_images:score_images",
            "Label photographs by apparent gender and age.",
        ),
        "render-avatars": (
            "distill.cli.render_avatars:render_avatars",
            "Draw a labelled set of cartoon faces.",
        ),
    },
    TRAIN: {
        "train-classifier": (
            "distill.cli.train_classifier:train_classifier",
            "Train a scorer of your own on labelled pictures.",
        ),
        "plot": ("distill.cli.plot:plot", "Draw the losses and scores of training runs."),
    },
    "Use": {
        "translate": ("distill.cli.translate:translate", "Run a student on photographs and videos."),
        "serve": ("distill.cli.serve:serve", "Open an app in the browser to try all this."),
        "export-student": (
            "distill.cli.export_student:export_student",
            "Write a student as ONNX, at half size, or as a page.",
        ),
        "project": ("distill.cli.project:project", "Put photographs into the latent space of a generator."),
        "mix": ("distill.cli.mix:mix", "Mix photographs in the latent space of a generator."),
        "edit": ("distill.cli.edit:edit", "Move photographs along a direction of a generator."),
        "region": ("distill.cli.region:region", "Move a part of one face onto another."),
        "align": ("distill.cli.align:align", "Crop the faces of photographs the way FFHQ is cropped."),
    },
    "Judge": {
        "evaluate": ("distill.cli.evaluate:evaluate", "Score a student beside two baselines, and time it."),
        "compare": (
            "distill.cli.compare:compare",
            "Set methods of face editing beside each other in a table.",
        ),
        "assess-teacher": (
            "distill.cli.assess:assess_teacher",
            "Measure a generator: score, variety, faces, copies.",
        ),
    },
    "Teachers": {
        "weights": ("distill.cli.weights:weights", "List, fetch, convert and check weights."),
        "directions": (
            "distill.cli.directions:directions",
            "Find directions in w+ that change an attribute.",
        ),
        "regions": ("distill.cli.regions:regions", "Find hair, clothes and other parts of drawn faces."),
        "blend": ("distill.cli.blend:blend", "Put coarse and fine layers of two generators together."),
    },
    "Data sets": {
        "inspect": ("distill.cli.inspect:inspect", "Make a page and a contact sheet of a data set."),
        "status": ("distill.cli.status:status", "Show how far a data set is."),
        "verify": ("distill.cli.verify:verify", "Check every shard of a data set."),
        "refilter": ("distill.cli.refilter:refilter", "Keep the rows whose scores fit, as a new data set."),
        "merge": (
            "distill.cli.merge:merge",
            "Join parts of a data set made at several places.",
        ),
        "export": ("distill.cli.export:export", "Write a data set in the layout of another trainer."),
    },
    "The shell": {
        "completion": (
            "distill.cli.completion:completion",
            "Let the Tab key complete commands and options.",
        ),
    },
}
COMMANDS = {name: row for group in GROUPS.values() for name, row in group.items()}


def grouped_commands() -> dict[str, dict[str, str]]:
    """Return what each command does, by group, with one for each trainer of the table."""
    trainers = {f"train-{name}": text for name, (_, text, _) in TRAINERS.items()}
    plain = {title: {name: text for name, (_, text) in rows.items()} for title, rows in GROUPS.items()}
    return {title: (trainers if title == TRAIN else {}) | rows for title, rows in plain.items()}


def all_commands() -> list[str]:
    """Return the names of the commands, in the order of `distill --help`."""
    return [name for rows in grouped_commands().values() for name in rows]


WIDTH = 100  # columns that help fills at most; narrower where the terminal is
WIDEST = max(map(len, all_commands()))  # of the names
LONG_WORD = re.compile(r"\S{400,}")
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class LazyGroup(click.Group):
    """A group that reads names and help from `COMMANDS` and imports a command only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return all_commands()

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in all_commands():
            return None
        if cmd_name not in COMMANDS:
            from distill.cli.train import training_command

            return training_command(cmd_name.removeprefix("train-"))
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in all_commands() and not args[0].startswith("-") and not ctx.resilient_parsing:
            ctx.fail(f"no command {args[0]!r}; the commands are {', '.join(all_commands())}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, rows in grouped_commands().items():
            with formatter.section(title):
                formatter.write_dl(list(rows.items()), col_spacing=WIDEST - max(map(len, rows)) + 2)


@click.group(
    cls=LazyGroup,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": WIDTH},
)
@click.version_option(__version__, prog_name="distill", message="%(prog)s %(version)s")
def cli() -> None:
    """Turn a pretrained StyleGAN2 into paired data sets, and train students on them that edit in one pass.

    \b
    distill generate --task style-mix --n 256 --out runs/demo
    distill train-pix2pix --data runs/demo --out runs/student
    distill translate me.jpg --model gender-swap --out swapped

    More of each, with examples: distill COMMAND --help. Tab completion: distill completion --help.
    """


def run(args: Sequence[str]) -> int:
    """Run one command line; return its exit code, with at most one line on stderr for an error."""
    try:
        result = cli.main(args=list(args), prog_name="distill", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help())
        return 0
    except BrokenPipeError:
        _drop_stdout()
        return 1
    except (Exception, KeyboardInterrupt) as error:
        line, code = explain(error)
        if os.environ.get("DISTILL_DEBUG") == "1":
            traceback.print_exc()
        click.echo(_shortened(path_text(line)), err=True)
        return code


def explain(error: BaseException) -> tuple[str, int]:
    """Put an error into one line and an exit code."""
    match error:
        case click.UsageError():
            path = error.ctx.command_path if error.ctx else "distill"
            return f"{path}: {_one_line(error.format_message())}; see '{path} --help'", 2
        case click.exceptions.Abort() if isinstance(error.__cause__, EOFError):  # click takes it for Ctrl-D
            return explain_fault(error.__cause__), 1
        case click.exceptions.Abort() | KeyboardInterrupt():
            return "distill: interrupted", 130
        case Interrupted():
            return f"distill: {_one_line(str(error))}", 130
        case click.ClickException():
            return f"distill: error: {_one_line(error.format_message())}", 2
        case DistillError():
            return f"distill: error: {_one_line(str(error))}", error.exit_code
        case OSError() if error.errno in NO_SPACE:
            return (
                f"distill: error: {_one_line(str(error))}; free some space and run the same command again",
                4,
            )
        case OSError() if error.filename is not None:
            return f"distill: error: {error.filename}: {error.strerror}", 2
        case RuntimeError() if str(error).startswith("Symlink loop"):  # of Path.resolve
            return f"distill: error: {_one_line(str(error))}: give another path", 2
        case _:
            return explain_fault(error), 1


def explain_fault(error: BaseException) -> str:
    """Put a fault of the program into one line."""
    what = f"{type(error).__name__}: {_one_line(str(error))}"
    return f"distill: internal error: {what} (set DISTILL_DEBUG=1 for the traceback)"


def _one_line(text: str) -> str:
    return " ".join(text.split()).removesuffix(".")


def _shortened(line: str) -> str:
    """Cut the middle out of words that nobody reads to their end: values and paths of hundreds of characters."""
    return LONG_WORD.sub(lambda word: f"{word[0][:150]}…{word[0][-50:]}", line)


def _drop_stdout() -> None:
    # The reader has gone. Without this the interpreter's last flush complains on stderr.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _open_missing_streams() -> None:
    """Give standard streams that are closed, as daemons and cron leave them, the null device.

    Otherwise the next file that is opened takes their number, and whatever prints writes into it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r" if number == 0 else "w", closefd=False))  # noqa: SIM115


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run `distill` with the arguments of the process, and exit."""
    _open_missing_streams()
    sys.exit(run(sys.argv[1:] if args is None else args))
