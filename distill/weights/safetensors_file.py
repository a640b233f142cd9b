"""The safetensors format: tensors by name and texts beside them.

Read by the package safetensors, after a look at the header. Written here, because the package orders the texts at
random: two conversions of one file would differ in their bytes.
"""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from distill.errors import DistillError, UnsupportedCheckpoint
from distill.files import aside, open_regular, path_text
from distill.weights import named_state
from distill.weights.safe_pickle.machine import shown
from distill.weights.safetensors_header import check_header
from distill.weights.state import checked_state, finite, layer_facts, positive, sizes_of
from distill.weights.state_dicts import find_network, plain_name

DTYPES = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64}
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d{1,20})?([eE][+-]?\d{1,3})?")


def read_tensors(
    path: Path, *, keep: Callable[[str], bool] = lambda name: True
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read tensors as they are stored, and the texts; tensors that `keep` refuses stay in the file.

    Raises UnsupportedCheckpoint, without the path, for a file that is broken or whose header is beyond 16 MiB.
    """
    check_header(path)
    try:
        with _utf8_name(path) as name, safe_open(name, framework="pt") as opened:
            texts = {str(name): str(text) for name, text in (opened.metadata() or {}).items()}
            return {name: opened.get_tensor(name) for name in opened.keys() if keep(plain_name(name))}, texts  # noqa: SIM118
    except (SafetensorError, ValueError) as error:
        raise UnsupportedCheckpoint(
            f"truncated or broken safetensors file ({shown(str(error), 100)})"
        ) from error


@contextmanager
def _utf8_name(path: Path) -> Iterator[str]:
    """Yield a name that the package safetensors takes, which refuses those that are not UTF-8."""
    name = os.fspath(path)
    if path_text(name, line=False) == name:
        yield name
        return
    with open_regular(path) as file:
        yield f"/proc/self/fd/{file.fileno()}"


def read_generator_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read (state, facts) of a StyleGAN2; texts that look like numbers become numbers.

    Raises UnsupportedCheckpoint.
    """
    tensors, texts = read_tensors(path)
    found = find_network(tensors, (named_state.MARK,))
    tensors = found.tensors if found else tensors
    sizes_of(tensors)
    named_state.refuse_names(tensors)
    if other := next((name for name, tensor in tensors.items() if not tensor.is_floating_point()), None):
        raise UnsupportedCheckpoint(
            f"{shown(other)} is not a tensor of floating-point numbers but {shown(str(tensors[other].dtype))}"
        )
    facts = {name: _plain(text) for name, text in texts.items()}
    _refuse_facts(facts)
    own = {name: facts[name] for name in ("mapping_lr_multiplier", "conv_clamp") if name in facts}
    rate = positive("mapping_lr_multiplier", own.get("mapping_lr_multiplier") or 0.01)
    stored = {name: finite(name, tensor.float().numpy()) for name, tensor in tensors.items()}
    public, how = named_state.with_w_avg(stored, lr_multiplier=rate)
    state = checked_state(named_state.with_filters(public))
    facts = {"w_avg": how} | facts
    return state, {**facts, **layer_facts(state, origin=str(facts.get("origin") or "distill"), **own)}


def _plain(text: str) -> Any:
    """Turn a text back into a number, True, False or None where it looks like one."""
    words: dict[str, Any] = {"null": None, "None": None, "": None, "true": True, "false": False}
    if text in words:
        return words[text]
    return json.loads(text) if _NUMBER.fullmatch(text) else text


def _refuse_facts(facts: dict[str, Any]) -> None:
    for name, allowed in {"architecture": "skip", "c_dim": 0, "img_channels": 3}.items():
        if facts.get(name, allowed) != allowed:
            raise UnsupportedCheckpoint(
                f"a generator with {name} {shown(facts[name])}; only {allowed} is read"
            )


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any], *, dtype: torch.dtype = torch.float32
) -> None:
    """Write tensors and facts (as texts): whole or not at all, the same bytes every time.

    Raises DistillError where it cannot be written and for a dtype that is not of floating point, DiskFull.
    """
    chunks = safetensors_chunks(tensors, facts, dtype)
    try:
        with aside(path) as file:
            file.writelines(chunks)
    except OSError as error:
        raise DistillError(f"{path}: cannot be written ({error.strerror or error})") from error


def safetensors_chunks(
    state: Mapping[str, Tensor], facts: Mapping[str, Any], dtype: torch.dtype
) -> list[bytes]:
    """Serialise state and facts (as strings), names sorted: the same bytes every time.

    Raises DistillError for a dtype other than float16, bfloat16, float32 and float64.
    """
    code = next((code for code, known in DTYPES.items() if known is dtype), None)
    if code is None:
        raise DistillError(f"weights are saved as float16, bfloat16, float32 or float64, not {dtype}")
    header: dict[str, Any] = {"__metadata__": {name: _text(value) for name, value in sorted(facts.items())}}
    chunks: list[bytes] = []
    at = 0
    for name, tensor in sorted(state.items()):
        stored = tensor.detach().to("cpu", dtype).contiguous()
        chunks.append(stored.reshape(-1).view(torch.uint8).numpy().tobytes())
        header[name] = {
            "dtype": code,
            "shape": list(tensor.shape),
            "data_offsets": [at, at + len(chunks[-1])],
        }
        at += len(chunks[-1])
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return [struct.pack("<Q", len(text)), text, *chunks]


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
