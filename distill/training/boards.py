"""Where the numbers of a run go beside stats.jsonl: TensorBoard where it is installed, Weights & Biases if asked."""

from __future__ import annotations

import importlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from distill.errors import DistillError
from distill.files import atomic_write, path_text, read_regular

WANDB = "wandb"  # a value of --log, and the package
RUN_ID = "wandb-run.txt"


class Board(Protocol):
    """Takes the numbers of each line of stats."""

    def write(self, samples: int, values: Mapping[str, float]) -> None: ...
    def close(self) -> None: ...


class TensorBoard:
    """Writes event files into `tensorboard` in the folder of a run; what lies after `samples` is forgotten."""

    def __init__(self, folder: Path, samples: int) -> None:
        writer: Any = importlib.import_module("torch.utils.tensorboard").SummaryWriter
        self.writer = writer(str(folder / "tensorboard"), purge_step=samples + 1 if samples else None)

    def write(self, samples: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name, value, samples)

    def close(self) -> None:
        self.writer.close()


class WeightsAndBiases:
    """Logs into the project `distill`, under the name of the run's folder, which keeps the id to resume by."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        kept = folder / RUN_ID
        if not kept.exists():
            atomic_write(kept, secrets.token_hex(8).encode())
        try:
            self.run: Any = importlib.import_module(WANDB).init(
                project="distill",
                name=path_text(folder.absolute().name),
                id=read_regular(kept).decode(),
                resume="allow",
                dir=str(folder),
                config=dict(settings),
            )
            self.run.define_metric("*", step_metric="samples")  # a resumed run may go back a little
        except Exception as error:  # the package's own errors, of many kinds
            what = " ".join(str(error).split())[:200]
            raise DistillError(
                f"--log {WANDB}: {what}; try wandb login, or set WANDB_MODE=offline"
            ) from error

    def write(self, samples: int, values: Mapping[str, float]) -> None:
        self.run.log({"samples": samples, **values})

    def close(self) -> None:
        self.run.finish()


def check_log(name: str | None) -> None:
    """Raise DistillError for a log that is not known, or whose package is not installed."""
    if name is None:
        return
    if name != WANDB:
        raise DistillError(f"no log {name!r}; known is {WANDB}")
    try:
        importlib.import_module(WANDB)
    except ImportError as error:
        raise DistillError("--log wandb needs its package: pip install 'distill[wandb]'") from error


def open_boards(
    folder: Path, *, samples: int, log: str | None, settings: Mapping[str, Any]
) -> tuple[list[Board], str]:
    """Open all that is there or asked for; the text is a note, or ""."""
    boards: list[Board] = [WeightsAndBiases(folder, settings)] if log else []
    try:
        os.fspath(folder).encode()
        boards.append(TensorBoard(folder, samples))
    except ImportError:
        return boards, ""
    except UnicodeEncodeError:
        return boards, f"{folder}: no log for TensorBoard, which takes only names of folders in UTF-8"
    return boards, ""
