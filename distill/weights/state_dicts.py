"""Where in a checkpoint the tensors of one network lie, and what stands before their names.

Programs save a state beside other things (`{"state_dict": …, "epoch": 3}`), an average beside what it averages, and
put words before every name: DataParallel `module.`, the compiler `_orig_mod.`, a larger model the network's own name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distill.errors import UnsupportedCheckpoint
from distill.weights.safe_pickle.machine import shown
from distill.weights.state import few

ITSELF = "the object itself"
MAX_TENSORS = 20_000
ENTRIES = (  # keys under which a network lies: an average before what it averages
    "G_ema", "g_ema", "netG_ema", "generator_ema", "params_ema", "ema_state_dict", "ema_model", "ema",
    "G", "g", "netG", "generator", "params", "state_dict", "model_state_dict", "model", "net",
)  # fmt: skip
MAX_DEPTH = 3  # {"checkpoint": {"state_dict": {"G_ema": …}}} needs no more
_WRAPPED = re.compile(r"(?:(?:module|_orig_mod)\.)+")
_COUNTS = ("n_averaged",)  # beside the tensors of torch's AveragedModel
_OWNERS = {
    *ENTRIES,
    "module",
    "_orig_mod",
    "decoder",
    "student",
}  # what may stand before the names of a network

Names = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class FoundState:
    """Tensors by plain name, the entry of the checkpoint that they are from, and the mark that led there ("")."""

    tensors: dict[str, Any]
    entry: str
    mark: str = ""


def plain_name(name: str) -> str:
    """Take away what DataParallel and the compiler put before a name."""
    found = _WRAPPED.match(name)
    return name[found.end() :] if found else name


def plain_names(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Take away what DataParallel, the compiler and averaging put before every name."""
    kept = {name: tensor for name, tensor in tensors.items() if name not in _COUNTS}
    first = _WRAPPED.match(next(iter(kept), ""))
    if first is None or not all(name.startswith(first[0]) for name in kept):
        return dict(tensors)
    return {name.removeprefix(first[0]): tensor for name, tensor in kept.items()}


def find_state(content: object, is_tensor: Callable[[object], bool]) -> FoundState:
    """Find the one state dict of a checkpoint: names and tensors, nothing else. Raises UnsupportedCheckpoint."""
    if not isinstance(content, dict):
        raise UnsupportedCheckpoint(f"not a state dict: it holds {shown(content)}")
    for entry, state in _states(content):
        if all(isinstance(name, str) and is_tensor(tensor) for name, tensor in state.items()):
            return FoundState(tensors=plain_names(state), entry=entry)
    other = [name for name, value in content.items() if not is_tensor(value) or not isinstance(name, str)]
    raise UnsupportedCheckpoint(f"not a state dict of one network: {few(other)} is not a tensor")


def find_network(content: object, marks: Sequence[str]) -> FoundState | None:
    """Find the network that has a tensor named as one of `marks`, whatever lies around it; None: there is none."""
    if not isinstance(content, dict):
        return None
    for entry, state in _states(content):
        names = [name for name in state if isinstance(name, str)]
        found = sorted(_marked(names, marks), key=lambda pair: ("ema" not in pair[0], len(pair[0])))
        if found:
            before, mark = found[0]
            tensors = {name.removeprefix(before): state[name] for name in names if name.startswith(before)}
            owner = ".".join(word for word in before.split(".") if word not in ("", "module", "_orig_mod"))
            whose = owner if entry == ITSELF else f"{entry}.{owner}"
            return FoundState(tensors=tensors, entry=whose.strip(".") or ITSELF, mark=mark)
    return None


def _states(content: dict[Any, Any]) -> Iterator[tuple[str, dict[Any, Any]]]:
    """Yield every dict that may be the state once, the likeliest first, with where it lies."""
    waiting, seen = [("", content, 0)], set[int]()
    while waiting:
        entry, state, depth = waiting.pop(0)
        if id(state) in seen:
            continue
        seen.add(id(state))
        if len(state) > MAX_TENSORS:
            raise UnsupportedCheckpoint(f"not a state dict of one network: {len(state):,} entries")
        yield entry or ITSELF, state
        inside = [(key, state[key]) for key in ENTRIES if isinstance(state.get(key), dict)]
        if depth < MAX_DEPTH:
            waiting += [(f"{entry}.{key}".strip("."), child, depth + 1) for key, child in inside]


def _marked(names: Sequence[str], marks: Sequence[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        for mark in marks:
            before = name.removesuffix(mark)
            words = before.split(".")
            if name.endswith(mark) and not words.pop() and all(word in _OWNERS for word in words):
                yield before, mark
