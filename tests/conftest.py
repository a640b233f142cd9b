"""What many tests need: a teacher small enough to draw in milliseconds, as a file and in memory."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from children import make_child

from distill.stylegan2.generator import Generator
from distill.stylegan2.load import load_generator
from distill.weights.checkpoint import Checkpoint, save_safetensors

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Compute as the workers do: the number of threads can change the last bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def pages_without_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the curves out of the pages of runs: drawing them takes longer than training a small network."""
    monkeypatch.setattr("distill.training.page.draw_curves", lambda *_, **__: b"")


@pytest.fixture
def press_ctrl_c() -> Iterator[Callable[[], None]]:
    """What another thread calls to raise KeyboardInterrupt in the main one; returns when that has heard it."""
    main, heard = threading.main_thread().ident, threading.Event()
    assert main is not None

    def hear(number: int, frame: object) -> None:
        if not heard.is_set():
            heard.set()
            raise KeyboardInterrupt

    def press() -> None:
        while not heard.wait(0.05):  # a thread that is just about to wait for a lock hears nothing
            signal.pthread_kill(main, signal.SIGINT)

    before = signal.signal(signal.SIGINT, hear)
    yield press
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A 32-px generator with random weights, scaled so that its images stay in range, as a file."""
    with np.load(GOLDEN / "stylegan2_tiny32.npz") as data:
        state = {
            key.removeprefix("state/"): torch.from_numpy(data[key]).clone()
            for key in data.files
            if key.startswith("state/")
        }
    for name in state:
        if ".torgb." in name and not name.endswith("affine.bias"):
            state[name] *= 0.2
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    facts = {"architecture": "skip", "mapping_lr_multiplier": 0.01}
    save_safetensors(path, Checkpoint(state=state, facts=facts, format="safetensors", sha256="0" * 64))
    return path


@pytest.fixture(scope="session")
def tiny_teacher(tiny_weights: Path) -> Generator:
    return load_generator(tiny_weights, precision="fp32")


@pytest.fixture(scope="session")
def tiny_child(tiny_weights: Path) -> Path:
    """A child of the tiny generator: its mapping, and synthesis weights that went elsewhere; as a file."""
    return make_child(tiny_weights, tiny_weights.with_name("child.safetensors"))
