"""The loop counts, saves, stops and goes on exactly; it knows no model."""

from __future__ import annotations

import io
import shutil
import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from distill.errors import DistillError, FolderGone, Interrupted
from distill.progress import Progress
from distill.training.checkpoint import load_checkpoint, save_checkpoint
from distill.training.loop import Diverged, Event, Run, latest, passed, train
from distill.training.position import RunPosition
from distill.training.resume import open_run
from distill.training.stats import read_stats


class Sum:
    """A model of one number: it adds its batches and some noise of the place."""

    def __init__(
        self, stop_at: int | None = None, stop: threading.Event | None = None, spoil: int = -1
    ) -> None:
        self.total = torch.zeros(3)
        self.stop_at, self.stop, self.spoil = stop_at, stop, spoil

    def update(self, batch: Tensor, place: RunPosition) -> Mapping[str, Tensor | float]:
        self.total = self.total + batch + torch.randn(3, generator=place.generator("noise"))
        if self.stop is not None and place.updates == self.stop_at:
            self.stop.set()
        return {"loss": float("nan") if place.updates == self.spoil else self.total.sum()}

    def state(self) -> dict[str, Any]:
        return {"total": self.total}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.total = state["total"]


def a_run(folder: Path, step: Sum, **changes: Any) -> Run[Tensor]:
    options = {
        "folder": folder,
        "step": step,
        "draw": lambda place: torch.full((3,), float(place.samples)),
        "batch": 4,
        "samples": 40,
        "settings": {"lr": 0.1, "batch": 4},
        "tick": 8,
        "save": 16,
    }
    return Run(**{**options, **changes})


def go(run: Run[Tensor], *, resume: bool = False, stop: threading.Event | None = None) -> RunPosition:
    place, _ = open_run(run, resume=resume)
    with Progress(run.samples, done=place.samples, stream=io.StringIO()) as progress:
        return train(run, place, stop=stop or threading.Event(), progress=progress)


def test_a_run_that_is_stopped_ends_as_one_that_is_not(tmp_path: Path) -> None:
    whole = Sum()
    assert go(a_run(tmp_path / "whole", whole)).samples == 40
    stop = threading.Event()
    with pytest.raises(Interrupted, match=r"--resume") as caught:
        go(a_run(tmp_path / "two", Sum(stop_at=4, stop=stop)), stop=stop)
    assert caught.value.exit_code == 130
    later = Sum()
    assert go(a_run(tmp_path / "two", later), resume=True).updates == 10
    assert torch.equal(later.total, whole.total)
    ticks = [line["samples"] for line in read_stats(tmp_path / "two")]
    assert ticks == [8, 16, 20, 24, 32, 40]


def test_a_folder_that_is_removed_meanwhile_ends_the_run(tmp_path: Path) -> None:
    def remove(place: RunPosition) -> None:
        shutil.rmtree(tmp_path / "run")

    with pytest.raises(FolderGone, match="run: no such folder"):
        go(a_run(tmp_path / "run", Sum(), events=[Event(every=8, act=remove)]))
    assert list(tmp_path.iterdir()) == []


def test_a_crash_goes_back_to_the_last_checkpoint_and_drops_later_lines(tmp_path: Path) -> None:
    class Crash(Exception):
        pass

    def crash(place: RunPosition) -> None:
        if place.samples == 28:
            raise Crash

    whole, later = Sum(), Sum()
    go(a_run(tmp_path / "whole", whole))
    with pytest.raises(Crash):
        go(a_run(tmp_path / "two", Sum(), events=[Event(every=4, act=crash)]))
    assert open_run(a_run(tmp_path / "two", Sum()), resume=True)[0].samples == 16
    go(a_run(tmp_path / "two", later), resume=True)
    assert torch.equal(later.total, whole.total)
    ticks = [line["samples"] for line in read_stats(tmp_path / "two")]
    assert ticks == sorted(set(ticks))


def test_events_happen_when_a_multiple_is_passed_and_at_the_end(tmp_path: Path) -> None:
    seen: list[int] = []

    def act(place: RunPosition) -> dict[str, float]:
        seen.append(place.samples)
        return {"score": 1.5}

    go(a_run(tmp_path, Sum(), batch=3, samples=40, events=[Event(every=10, act=act)]))
    assert seen == [12, 21, 30, 42]
    assert read_stats(tmp_path)[-1]["score"] == 1.5
    assert passed(9, 12, 10)
    assert not passed(10, 19, 10)


def test_a_diverged_run_stops_and_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(Diverged, match="loss not finite") as caught:
        go(a_run(tmp_path, Sum(spoil=6)))
    assert caught.value.exit_code == 1
    found = load_checkpoint(tmp_path)
    assert found is not None
    assert found[0]["position"]["samples"] == 16
    with pytest.raises(
        Diverged, match="there is no checkpoint yet: start again, with a smaller learning rate"
    ):
        go(a_run(tmp_path / "early", Sum(spoil=1)))


def test_a_folder_with_a_run_asks_for_resume_and_for_the_same_settings(tmp_path: Path) -> None:
    go(a_run(tmp_path, Sum()))
    with pytest.raises(DistillError, match="add --resume"):
        open_run(a_run(tmp_path, Sum()), resume=False)
    with pytest.raises(DistillError, match=r"lr is 0\.1 there and 0\.2 now"):
        open_run(a_run(tmp_path, Sum(), settings={"lr": 0.2, "batch": 4}), resume=True)


def test_a_limit_of_time_saves_and_ends_without_an_error(tmp_path: Path) -> None:
    assert go(a_run(tmp_path, Sum(), seconds=0.0)).updates == 1
    assert open_run(a_run(tmp_path, Sum()), resume=True)[0].updates == 1


def test_the_checkpoint_before_is_taken_when_the_last_is_broken(tmp_path: Path) -> None:
    for samples in (4, 8, 12):
        save_checkpoint(tmp_path, {"at": samples, "x": torch.ones(4000)}, samples=samples)
    files = sorted(tmp_path.glob("*.pt"))
    assert [path.name for path in files] == ["checkpoint-000000008.pt", "checkpoint-000000012.pt"]
    content, note = load_checkpoint(tmp_path) or ({}, "")
    assert (content["at"], note) == (12, "")
    data = bytearray(files[-1].read_bytes())
    data[10] ^= 1
    files[-1].write_bytes(data)
    content, note = load_checkpoint(tmp_path) or ({}, "")
    assert content["at"] == 8
    assert "damaged" in note
    files[0].unlink()
    with pytest.raises(DistillError, match="no checkpoint is left"):
        load_checkpoint(tmp_path)


def test_equal_states_are_the_same_bytes_whatever_they_share(tmp_path):
    """A resumed run holds copies of what the run before held once, and the other way round."""
    name, betas, x = "weight", (0.9, 0.99), torch.ones(2)
    shared = {"a": {name: x, "betas": betas}, "b": OrderedDict({name: x, "betas": betas})}
    copies = {part: {"wei" + part[:0] + "ght": x, "betas": (*betas,)} for part in ("a", "b")}
    written = []
    for folder, content in (("one", shared), ("other", copies)):
        (tmp_path / folder).mkdir()
        save_checkpoint(tmp_path / folder, content, samples=1)
        written.append((tmp_path / folder / "checkpoint-000000001.pt").read_bytes())
    assert written[0] == written[1]


def test_a_checkpoint_of_an_earlier_version_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.json").write_text('{"format": "distill-checkpoint", "samples": 4, "parts": []}')
    with pytest.raises(DistillError, match="of another version of distill"):
        load_checkpoint(tmp_path)


def test_a_checkpoint_with_code_in_it_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, {"path": Path("x")}, samples=1)  # an object that is no plain value
    with pytest.raises(DistillError, match="damaged"):
        load_checkpoint(tmp_path)


def test_plain_lines_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    with Progress(2000, noun="image", done=1000, stream=stream) as progress:
        progress.last_line -= 60
        progress.started -= 10
        progress.beside(latest({"loss_g": 1.0, "frechet_pixels8": 12.345, "other": 3.0}))
        progress.advance(100)
    line = stream.getvalue()
    assert line.startswith("1100 of 2000 images (55%), ")
    assert "left, loss_g 1 frechet_pixels8 12.3" in line


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_anew(tmp_path: Path) -> None:
    open_run(a_run(tmp_path / "run", Sum()), resume=False)
    (tmp_path / "run" / "index.html").touch()
    assert go(a_run(tmp_path / "run", Sum())).samples == 40
