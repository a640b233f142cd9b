"""A GPU that is not there: tensors of device "cuda" whose numbers are kept and computed by the CPU.

Within `pretend_gpu()` torch says that it has one. What is put there becomes an `OnGpu`, which holds an ordinary
tensor, so that results can be compared with the CPU's. In any thread it raises

- where a tensor of the host's, but for a single number, meets one of the GPU's in anything but a copy;
- where a tensor of the GPU's is taken for an array;
- where work on one stream reads what another writes, or overwrites what another uses, and has not waited for it;
- where the GPU is asked for what it does not have: times of events that nobody has waited for, numbers from a
  generator of the host's, another GPU;

and at the end

- where memory went back to the stream that it came from while another was still using it;
- where pinned memory was overwritten while the GPU may still have been reading it.

A copy to the host that is not waited for is noise until somebody waits for it, or for what was given later.

It cannot show what a GPU's own kernels compute or refuse, in which formats, how fast, or in how much memory. It knows
one device, and neither torch.compile nor CUDA graphs. Random numbers and autocast are the CPU's. A stream that waits
for another is believed to have waited for all that the other was given until then. What the backward pass makes by
itself counts as the GPU's, and no gradient passes between host and GPU.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Self

import pytest
import torch
from pretend_streams import (
    CUDA,
    Event,
    Memory,
    Stream,
    checked,
    current_stream,
    faults,
    its,
    lock,
    stream_context,
    synchronize,
)
from torch import Tensor
from torch.utils._device import _device_constructors
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.weak import WeakIdKeyDictionary

aten = torch.ops.aten
FACTORIES = ("arange", "as_tensor", "empty", "eye", "full", "linspace", "ones", "rand", "randint", "randn")
FACTORIES += ("randperm", "scalar_tensor", "tensor", "zeros")
HOST_INDICES = (aten.index.Tensor, aten.index_put_.default, aten.index_put.default)
WAITING = (aten._local_scalar_dense.default, aten.equal.default, aten.nonzero.default)  # for their result

_memory: Any = WeakIdKeyDictionary()  # a tensor's storage -> Memory
_pinned: Any = WeakIdKeyDictionary()
_to: Any = Tensor.to


class OnGpu(Tensor):
    """A tensor of the pretended GPU's; `host` holds its numbers."""

    host: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, host: Tensor) -> Self:
        with torch.inference_mode(False):  # whose tensors cannot be views of others
            made: Self = torch.Tensor._make_wrapper_subclass(  # as the CPU's: any other has no guards here
                cls,
                host.shape,
                strides=host.stride(),
                storage_offset=host.storage_offset(),
                dtype=host.dtype,
                device="cpu",
            )
        made.host = host
        return made

    device = property(lambda self: CUDA)  # type: ignore[assignment]
    is_cuda = property(lambda self: True)  # type: ignore[assignment]
    is_cpu = property(lambda self: False)  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is aten.copy_.default and not isinstance(args[0], OnGpu):
            return download(args[1], args[0], non_blocking=bool(args[2:3] and args[2]))
        if func is aten.copy_.default and not isinstance(args[1], OnGpu):
            return upload(args[1], args[0], non_blocking=bool(args[2:3] and args[2]))
        simpler = func.decompose(*args, **kwargs)
        if simpler is not NotImplemented:
            return simpler
        if any(isinstance(one, Tensor) and one.is_meta for one in tree_leaves((args, kwargs))):
            shapes = tree_map_only(OnGpu, lambda one: one.host.to("meta"), (args, kwargs))
            return func(*shapes[0], **shapes[1])  # autograd asks for the shape of a sum with zeros
        check(func, args, kwargs)
        given = {id(one.host): one for one in tree_leaves((args, kwargs)) if isinstance(one, OnGpu)}
        stream = current_stream()
        if not func.is_view:
            touch(stream, func, args, kwargs)
        host_args, host_kwargs = tree_map_only(OnGpu, lambda one: one.host, (args, kwargs))
        if "device" in host_kwargs:
            host_kwargs["device"] = "cpu"
        result = func(*host_args, **host_kwargs)
        if func in WAITING:
            stream.synchronize()
        return tree_map_only(
            Tensor, lambda host: given[id(host)] if id(host) in given else put(host, stream), result
        )

    def cpu(self, *args: Any) -> Tensor:  # type: ignore[override]
        return self.to("cpu")

    def numpy(self, *, force: bool = False) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first")

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def new_tensor(self, data: Any, **kwargs: Any) -> Tensor:  # type: ignore[override]
        return torch.tensor(data, **{"device": CUDA, "dtype": self.dtype} | kwargs)

    def record_stream(self, stream: Stream) -> None:  # type: ignore[override]
        memory_of(self.host).home.after[stream] = stream.given

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        copied = self.detach().clone().requires_grad_(self.requires_grad)
        if isinstance(self, torch.nn.Parameter):
            copied._is_param = True
        return memo.setdefault(id(self), copied)

    def __reduce_ex__(self, protocol: Any) -> Any:  # a file holds the numbers alone
        return self.detach().cpu().__reduce_ex__(protocol)

    def __tensor_flatten__(self) -> tuple[list[str], None]:  # has modules exchange parameters, not their data
        return ["host"], None

    @staticmethod
    def __tensor_unflatten__(parts: dict[str, Tensor], *about: Any) -> OnGpu:
        return put(parts["host"], current_stream())

    def __repr__(self, **kwargs: Any) -> str:  # type: ignore[override]
        return f"OnGpu({list(self.shape)}, {self.dtype})"

    def _no_data(self, value: Tensor) -> None:
        raise RuntimeError("the data of a tensor on the pretended GPU cannot be exchanged")

    data = property(lambda self: self.detach(), _no_data)  # type: ignore[assignment]


def check(func: Any, args: Any, kwargs: Any) -> None:
    """Refuse what a GPU's kernel is not for."""
    host = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
    if func in HOST_INDICES:
        host = [one for one in host if one is args[0] or one.is_floating_point()]
    if any(one.dim() and not isinstance(one, OnGpu) and not autograd_made(one) for one in host):
        raise RuntimeError(f"{func}: expected all tensors on the same device, found cuda:0 and cpu")
    if kwargs.get("generator") is not None:
        raise RuntimeError(f"{func}: expected a 'cuda' generator, found one of the cpu")
    elsewhere = kwargs.get("device") is not None and torch.device(kwargs["device"]).type != "cuda"
    if elsewhere and not in_backward():  # which takes the host for every tensor's place
        raise RuntimeError(f"{func} from the pretended GPU to {kwargs['device']}")


def autograd_made(host: Tensor) -> bool:
    """Whether these are the zeros that a backward pass takes for a gradient that is not there, on the wrong side."""
    return in_backward() and (host._is_zerotensor() or not host.any())


def in_backward() -> bool:
    return torch._C._current_graph_task_id() != -1


def touch(stream: Stream, func: Any, args: Any, kwargs: Any) -> None:
    """Note who uses what, each argument as the operator's schema says."""
    with lock:
        number = stream.takes()
        for place, argument in enumerate(func._schema.arguments):
            value = args[place] if place < len(args) else kwargs.get(argument.name)
            write = argument.alias_info is not None and argument.alias_info.is_write
            for one in tree_leaves(value):
                if isinstance(one, OnGpu):
                    memory_of(one.host).touch(stream, number, write=write, what=str(func))


def memory_of(host: Tensor) -> Memory:
    memory: Memory = _memory[host.untyped_storage()]
    return memory


def put(host: Tensor, stream: Stream) -> OnGpu:
    """Let the GPU have a tensor; one that is new was written by `stream`."""
    with lock:
        if host.untyped_storage() not in _memory:
            memory = _memory[host.untyped_storage()] = Memory(stream)
            memory.written = (stream, stream.given)
        return OnGpu(host)


def upload(source: Tensor, target: OnGpu, *, non_blocking: bool) -> OnGpu:
    stream = current_stream()
    with lock:
        number = stream.takes()
        memory_of(target.host).touch(stream, number, write=True, what="copy to the GPU")
        copy(source, target.host)
        if not non_blocking:
            stream.finish(number)
        elif source.untyped_storage() in _pinned:
            stream.copies.append((number, functools.partial(expect, source, source.detach().clone())))
    return target


def expect(source: Tensor, wanted: Tensor) -> None:
    if source.numpy().tobytes() != wanted.numpy().tobytes():
        faults.append("pinned memory was overwritten before the GPU had to have read it")


def download(source: OnGpu, target: Tensor, *, non_blocking: bool) -> Tensor:
    stream = current_stream()
    with lock:
        number = stream.takes()
        memory_of(source.host).touch(stream, number, write=False, what="copy to the host")
        stream.copies.append((number, functools.partial(copy, source.host.clone(), target)))
        copy(torch.full_like(target, 85), target)  # noise, until it is there
        if not non_blocking:
            stream.finish(number)
    return target


def copy(source: Tensor, target: Tensor) -> None:
    with torch.no_grad():
        target.copy_(source)


def to(self: Tensor, *args: Any, copy: bool = False, **kwargs: Any) -> Tensor:
    """`Tensor.to`, also to the GPU and from there."""
    like = args[0] if args and isinstance(args[0], Tensor) else kwargs.pop("other", None)
    if like is not None:
        args, kwargs["device"], kwargs["dtype"] = args[1:], like.device, like.dtype
    device, dtype, non_blocking, layout = torch._C._nn._parse_to(*args, **kwargs)
    kept = {"dtype": dtype or self.dtype, **({"memory_format": layout} if layout else {})}
    if device is None or checked(device).type == self.device.type:
        stays: Tensor = _to(self, copy=copy, **kept)
        return stays
    if self.requires_grad and torch.is_grad_enabled():
        raise RuntimeError("a copy between host and pretended GPU that autograd follows")
    if device.type == "cuda":
        source = _to(self.detach(), **kept)
        target = put(torch.empty_like(source), current_stream())
        return upload(source, target, non_blocking=non_blocking)
    if isinstance(self, OnGpu) and device.type == "cpu":
        source = _to(self.detach(), **kept)
        return download(source, torch.empty_like(source.host), non_blocking=non_blocking)
    moved: Tensor = _to(self, device, copy=copy, **kept)
    return moved


def pin_memory(self: Tensor, device: Any = None) -> Tensor:
    if isinstance(self, OnGpu):
        raise RuntimeError("cannot pin 'torch.cuda.Tensor': only dense CPU tensors can be pinned")
    return pinned(self.detach().clone())


def pinned(tensor: Tensor) -> Tensor:
    _pinned[tensor.untyped_storage()] = True
    return tensor


def made_there(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A function that makes a tensor, on the pretended GPU too."""

    @functools.wraps(make)
    def made(*args: Any, device: Any = None, pin_memory: bool = False, **kwargs: Any) -> Tensor:
        if args and isinstance(args[0], OnGpu):  # torch.as_tensor
            return args[0].to(device=device or CUDA, dtype=kwargs.get("dtype"))
        if device is None or torch.device(checked(device)).type != "cuda":
            plain = make(*args, device=device, **kwargs)
            return pinned(plain) if pin_memory else plain
        if kwargs.get("generator") is not None:
            raise RuntimeError("expected a 'cuda' generator, found one of the cpu")
        host, stream = make(*args, **kwargs), current_stream()
        stream.takes()
        made_of_data = make.__name__ in ("tensor", "as_tensor")
        return to(host, CUDA) if made_of_data else put(host, stream)

    return made


def fact(value: Any) -> Callable[..., Any]:
    """What answers for a device."""

    def answer(device: Any = None) -> Any:
        its(device)
        return value

    return answer


def autocast(device_type: str, dtype: torch.dtype | None = None, **settings: Any) -> Any:
    gpu = device_type == "cuda"
    return _autocast("cpu" if gpu else device_type, dtype or (torch.float16 if gpu else None), **settings)


def group(*lists: Any) -> dict[Any, Any]:
    """An optimiser's tensors by device and dtype."""
    found = _group(*lists)
    return {(tensors[0][0].device, dtype): (tensors, at) for (_, dtype), (tensors, at) in found.items()}


_autocast: Any = torch.autocast
_group: Any = torch._C._group_tensors_by_device_and_dtype
PROPERTIES = SimpleNamespace(name="Pretended GPU", total_memory=1 << 33, major=9, minor=0)
CUDA_MODULE: dict[str, Callable[..., Any]] = {
    "is_available": lambda: True,
    "device_count": lambda: 1,
    "get_device_name": fact(PROPERTIES.name),
    "get_device_capability": fact((PROPERTIES.major, PROPERTIES.minor)),
    "get_device_properties": fact(PROPERTIES),
    "max_memory_reserved": fact(1 << 21),
    "current_stream": current_stream,
    "Stream": Stream,
    "stream": stream_context,
    "Event": Event,
    "synchronize": synchronize,
    "manual_seed": torch.manual_seed,
    "manual_seed_all": lambda seed: None,
    "get_rng_state": lambda device=None: torch.get_rng_state(),
    "set_rng_state": lambda state, device=None: torch.set_rng_state(state),
}


@contextmanager
def pretend_gpu() -> Iterator[None]:
    """Have one GPU, in all threads."""
    _device_constructors()  # keeps what it finds for good: the functions as they are now
    strict = torch.are_deterministic_algorithms_enabled()
    lenient = torch.is_deterministic_algorithms_warn_only_enabled()
    filled = torch.utils.deterministic.fill_uninitialized_memory
    faults.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        for name, value in CUDA_MODULE.items():
            patch.setattr(torch.cuda, name, value)
        for name in FACTORIES:
            patch.setattr(torch, name, made_there(getattr(torch, name)))
        patch.setattr(Tensor, "to", to)
        patch.setattr(Tensor, "cuda", lambda self, device=CUDA, **how: to(self, device, **how))
        patch.setattr(Tensor, "pin_memory", pin_memory)
        patch.setattr(torch, "autocast", autocast)
        patch.setattr(torch._C, "_group_tensors_by_device_and_dtype", group)
        try:
            yield
            synchronize()
        finally:
            torch.use_deterministic_algorithms(strict, warn_only=lenient)
            torch.utils.deterministic.fill_uninitialized_memory = filled
    if faults:
        raise RuntimeError(f"{len(faults)} times: {faults[0]}")
