"""From a name, a path or a URL to a generator that draws."""

from __future__ import annotations

from pathlib import Path

import torch

from distill.devices import Format, Precision, resolve_device, resolve_precision
from distill.errors import UnsupportedCheckpoint
from distill.stylegan2.generator import Generator
from distill.stylegan2.networks import GeneratorNetwork, shape_of_state
from distill.weights.checkpoint import Checkpoint
from distill.weights.registry import cached_checkpoint, resolve


def load_generator(
    source: str | Path,
    *,
    device: str | torch.device = "cpu",
    precision: Precision = "auto",
    compiled: bool = False,
) -> Generator:
    """Load a StyleGAN2 generator from a registry name, a file, or an https URL.

    Reads NVIDIA's PyTorch and TensorFlow pickles, rosinality's `.pt` and our `.safetensors`; nothing in a file
    is ever executed. Foreign formats are converted once and cached under the file's sha256. `precision`: "auto" is
    the fastest format here (see `resolve_precision`); "fp32" differs from the reference network by rounding only.
    `compiled`: through torch.compile, which pays off over thousands of images.

    Raises `DistillError` for an unknown source or device, `UnsafePickle` for a file that is broken or asks for
    code, `UnsupportedCheckpoint` for a network of another kind.
    """
    device = resolve_device(str(device))
    number_format = resolve_precision(precision, device)
    checkpoint = cached_checkpoint(resolve(str(source)))
    return build_generator(checkpoint, device=device, precision=number_format, compiled=compiled)


def build_generator(
    checkpoint: Checkpoint,
    *,
    device: str | torch.device = "cpu",
    precision: Format = "fp32",
    compiled: bool = False,
) -> Generator:
    """Put the tensors of a checkpoint into a network of the shape that they imply."""
    clamp = checkpoint.facts.get("conv_clamp")
    shape = shape_of_state(
        checkpoint.state,
        mapping_lr_multiplier=float(checkpoint.facts.get("mapping_lr_multiplier", 0.01)),
        conv_clamp=None if clamp in (None, "None", "") else float(clamp),
    )
    network = GeneratorNetwork(shape)
    try:
        network.load_state_dict(checkpoint.state, strict=True)
    except RuntimeError as error:
        first = str(error).splitlines()[1:2] or [str(error)]
        raise UnsupportedCheckpoint(
            f"the tensors are not those of a StyleGAN2: {first[0].strip()}"
        ) from error
    return Generator(network, sha256=checkpoint.sha256, device=device, precision=precision, compiled=compiled)
