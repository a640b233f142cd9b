"""What a GPU would do for a triplet, counted without one: kernels, bytes, operations, and the time they would need.

    python benchmarks/gpu_counts.py 256 512 1024 --json counts.json

The fast path in the form of GPUs (folded up-convolutions, whole batches, float16) runs on tensors without numbers;
every operation that is no view counts as one kernel, reads its inputs and writes its output once. A kernel takes the
longest of: its bytes at the memory's rate, its operations at the rate of its format, 2 µs. The shares of the peaks
that are taken for granted stand below. The host takes LAUNCH_US for each. "fresh": content, style and mixed, the
layers below the crossover once for content and mixed. "ring": each style is the content of another triplet.
Nothing here is measured; benchmarks/h100.md says what follows from it.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, get_args

import torch
from side_by_side import print_table, write_json
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry
from triplets import BATCHES, CROSSOVER, build

from distill.pixels import to_uint8
from distill.stylegan2.fused import FusedSynthesis
from distill.stylegan2.fused.upsampling import UpForm

# NVIDIA's data sheet of the H100 SXM: operations a second without sparsity, bytes a second.
HALF, SINGLE, MEMORY = 989e12, 67e12, 3.35e12
CONVOLUTION_SHARE = {32: 0.2, 64: 0.35, 128: 0.45, 256: 0.5, 512: 0.55}  # of HALF, by the fewer channels
SINGLE_SHARE, MEMORY_SHARE = 0.5, 0.8
LEAST_US, LAUNCH_US = 2.0, 8.0  # a kernel on the GPU; its launch from Python
VIEWS = (
    *(
        "alias",
        "as_strided",
        "detach",
        "empty",
        "expand",
        "lift_fresh",
        "permute",
        "select",
        "slice",
        "split",
    ),
    *("squeeze", "t", "transpose", "unbind", "unsqueeze", "view", "_reshape_alias", "_unsafe_view"),
)


@dataclass
class Kernels:
    """Sums over kernels of one kind."""

    launches: int = 0
    bytes: float = 0.0
    flops: float = 0.0
    seconds: float = 0.0


class Counter(TorchDispatchMode):
    """Counts the kernels that run inside it, by their kind."""

    def __init__(self) -> None:
        super().__init__()
        self.kinds: dict[str, Kernels] = defaultdict(Kernels)

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if function not in flop_registry:
            with self:  # what is made of other operations: those
                out = function.decompose(*args, **kwargs)
            if out is not NotImplemented:
                return out
        out = function(*args, **kwargs)
        name = function._overloadpacket.__name__
        if name not in VIEWS:
            self.add(name, function, args, kwargs, out)
        return out

    def add(self, name: str, function: Any, args: Any, kwargs: Any, out: Any) -> None:
        read = [x for x in (*args, *kwargs.values()) if isinstance(x, Tensor) and x is not out]
        read += [x for group in args if isinstance(group, list) for x in group if isinstance(x, Tensor)]
        moved = sum(stored_bytes(x) for x in read) + out.numel() * out.element_size()
        moved += stored_bytes(out) if name.endswith("_") else 0
        count = flop_registry.get(function._overloadpacket)
        flops = float(count(*args, **kwargs, out_val=out)) if count else 0.0
        kind = self.kinds["convolution" if name == "convolution" else "matrix" if flops else "elementwise"]
        kind.launches += 1
        kind.bytes += moved
        kind.flops += flops
        kind.seconds += max(moved / (MEMORY * MEMORY_SHARE), flops / rate_of(name, args), LEAST_US / 1e6)

    def total(self, field: str) -> float:
        return float(sum(getattr(kind, field) for kind in self.kinds.values()))


def stored_bytes(x: Tensor) -> int:
    """The bytes that are there to be read: an axis that is only repeated counts once."""
    size = x.element_size()
    for length, stride in zip(x.shape, x.stride(), strict=True):
        size *= length if stride else 1
    return size


def rate_of(name: str, args: Sequence[Any]) -> float:
    """Operations a second that are taken for granted."""
    if name != "convolution" or args[0].dtype == torch.float32:
        return SINGLE * SINGLE_SHARE
    fewest = min(args[1].shape[:2])
    return HALF * max([0.2, *(share for width, share in CONVOLUTION_SHARE.items() if width <= fewest)])


def without_numbers(net: FusedSynthesis) -> FusedSynthesis:
    """Move a fused network to the device that has shapes alone; all its layers then take whole batches."""

    def emptied(value: Any) -> Any:
        if isinstance(value, Tensor):
            return value.to("meta")
        if isinstance(value, tuple):
            return tuple(emptied(part) for part in value)
        if hasattr(value, "__dataclass_fields__"):
            return replace(
                value, **{field.name: emptied(getattr(value, field.name)) for field in fields(value)}
            )
        return value

    net.steps = [replace(emptied(step), alone=False) for step in net.steps]
    net.const, net.filter_hw, net.device = (
        net.const.to("meta"),
        net.filter_hw.to("meta"),
        torch.device("meta"),
    )
    return net


def drawing(net: FusedSynthesis, batch: int, width: int, *, ring: bool) -> Callable[[], object]:
    """What is drawn for a batch of triplets, down to bytes."""
    ws_NLD = torch.empty(batch, net.num_ws, width, device="meta")

    def draw() -> None:
        trunk = net.run(net.begin(batch), ws_NLD, 0, CROSSOVER, "const")
        for _ in range(2):
            to_uint8(net.finish(net.run(trunk, ws_NLD, CROSSOVER, net.num_ws, "const")))
        if not ring:
            to_uint8(net(ws_NLD, "const"))

    return draw


def measure(name: str, batch: int | None, up_form: UpForm) -> list[dict[str, Any]]:
    """Count what a batch takes, fresh and in a ring; print the table by kinds of kernels."""
    network = build(name)
    batch = batch or BATCHES["cuda"][network.shape.resolution]
    net = without_numbers(FusedSynthesis(network, "fp16", up_form=up_form))
    found = []
    for pairing in ("fresh", "ring"):
        with Counter() as counter:
            drawing(net, batch, network.shape.w_dim, ring=pairing == "ring")()
        rows = [
            [kind, str(sums.launches), f"{sums.bytes / batch / 1e9:.2f}", f"{sums.flops / batch / 1e9:.0f}",
             f"{1e3 * sums.seconds / batch:.3f}"]
            for kind, sums in sorted(counter.kinds.items())
        ]  # fmt: skip
        launches, seconds = int(counter.total("launches")), counter.total("seconds")
        print(
            f"{name}, {pairing}, {batch} at once: {launches} kernels a batch; a triplet takes the GPU"
            f" {1e3 * seconds / batch:.2f} ms, the host {1e-3 * LAUNCH_US * launches / batch:.2f} ms to launch"
        )
        print_table(("kernels", "a batch", "GB a triplet", "GFLOP a triplet", "ms a triplet"), rows)
        found.append({"network": name, "pairing": pairing, "batch": batch, "launches": launches,
                      "gpu_ms": 1e3 * seconds / batch, "bytes": counter.total("bytes") / batch,
                      "flops": counter.total("flops") / batch})  # fmt: skip
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Kernels, bytes and operations of a triplet on a GPU, counted."
    )
    parser.add_argument(
        "networks", nargs="*", default=["256", "512", "1024"], help="portraits, 256, 512, 1024"
    )
    parser.add_argument("--batch", type=int, help="triplets at once; default: that of a GPU, by resolution")
    parser.add_argument("--up-form", choices=get_args(UpForm), default="folded", help="of up-convolutions")
    parser.add_argument("--json", type=Path, help="write all numbers here")
    options = parser.parse_args()
    if unknown := set(options.networks) - {"portraits", "256", "512", "1024"}:
        parser.error(f"unknown network {sorted(unknown)[0]!r}: take portraits, 256, 512 or 1024")
    rows = [row for name in options.networks for row in measure(name, options.batch, options.up_form)]
    write_json(options.json, {"command": sys.argv, "rows": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main())
