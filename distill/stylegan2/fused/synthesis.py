"""w+ to RGB through prepared layers: a batch as long as layers are small, then one sample after the other.

Shapes: N samples, L layers of w+, D latent width, C channels, H W image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from distill.devices import DTYPES, Format
from distill.pixels import to_uint8
from distill.stylegan2.fused.compiled import compile_layers
from distill.stylegan2.fused.layers import Arithmetic, manner_for
from distill.stylegan2.fused.prepared import (
    Colour,
    Convolution,
    double_bilinear,
    is_standard,
    prepare_colour,
    prepare_convolution,
)
from distill.stylegan2.fused.upsampling import UpForm, form_for
from distill.stylegan2.networks import (
    GeneratorNetwork,
    Partial,
    SynthesisLayer,
    SynthesisNetwork,
    ToRGB,
    upsample_rgb,
)


@dataclass(frozen=True)
class Step:
    """One layer of the list that `run` walks, and the number of the w it reads."""

    index: int
    layer: Convolution | Colour
    alone: bool  # run for one sample at a time: as every layer from the first that rewrites its weight


class FusedSynthesis:
    """The synthesis network of a generator for inference, in `precision`; begin, run, finish as the reference has.

    Takes the weights as they are now, on the device where they are; later changes of the network do not reach it.
    "fp32" differs from the reference by rounding only (under 1e-5 in images of order 1). In "bf16" and "fp16" the
    features are held in that format; styles, demodulation, noise times strength and RGB stay float32.
    `compiled` lets torch.compile fuse the elementwise arithmetic, and float32 on a CPU convolve by tiles (see
    `winograd`): minutes to build, seconds from its cache on disk (TORCHINDUCTOR_CACHE_DIR), and other roundings
    than without.
    """

    def __init__(
        self,
        network: GeneratorNetwork,
        precision: Format,
        *,
        up_form: UpForm | None = None,
        compiled: bool = False,
    ) -> None:
        reference = network.synthesis
        const: Tensor = reference.get_parameter("b4.const")
        self.num_ws = reference.num_ws
        self.device, self.dtype = const.device, DTYPES[precision]
        self.const = const.detach().to(self.dtype)
        up_form = up_form or form_for(self.device, self.dtype, compiled=compiled)
        self.steps = prepare_steps(reference, self.dtype, up_form, compiled=compiled)
        filter_hw = reference.get_buffer("b4.resample_filter")
        self.filter_hw = None if is_standard(filter_hw) else filter_hw.float()
        self.arithmetic = compile_layers(self.device) if compiled else Arithmetic()

    @torch.inference_mode()
    def __call__(self, ws_NLD: Tensor, noise: str = "const") -> Tensor:
        """Draw w+ [N, L, D] as float32 images [N, 3, H, W]."""
        return self.finish(self.run(self.begin(len(ws_NLD)), ws_NLD, 0, self.num_ws, noise))

    def draw_bytes(self, ws_NLD: Tensor, noise: str = "const") -> Tensor:
        """Draw w+ [N, L, D] as uint8 images [N, H, W, 3] on the same device."""
        return to_uint8(self(ws_NLD, noise))

    def begin(self, samples: int) -> Partial:
        """Start from the learnt 4x4 constant."""
        return Partial(self.const.expand(samples, -1, -1, -1), None)

    @torch.inference_mode()
    def run(self, state: Partial, ws_NLD: Tensor, start: int, stop: int, noise: str) -> Partial:
        """Run the layers that read w number `start` up to, not including, `stop`.

        Where the last layer is among them no features come back, only RGB. "random" noise is drawn for the whole
        batch, in the order of the layers, from torch's generator: as the reference draws it.
        """
        ws_NLD = ws_NLD.to(self.device)
        steps = [step for step in self.steps if start <= step.index < stop]
        noises = [self.noise_of(step, len(ws_NLD), noise) for step in steps]
        together = sum(not step.alone for step in steps)
        state = self.walk(state, ws_NLD, steps[:together], noises[:together])
        if together < len(steps):
            parts = [
                self.walk(
                    Partial(state.features[n : n + 1], None if state.rgb is None else state.rgb[n : n + 1]),
                    ws_NLD[n : n + 1],
                    steps[together:],
                    [x if x is None or len(x) == 1 else x[n : n + 1] for x in noises[together:]],
                    last=stop == self.num_ws,
                )
                for n in range(len(ws_NLD))
            ]
            state = join(parts)
        return state

    def walk(
        self,
        state: Partial,
        ws_NLD: Tensor,
        steps: Sequence[Step],
        noises: Sequence[Tensor | None],
        *,
        last: bool = False,
    ) -> Partial:
        """Run these layers on the whole of `state`."""
        x, rgb = state.features, state.rgb
        for step, noise in zip(steps, noises, strict=True):
            w_ND = ws_NLD[:, step.index]
            if isinstance(step.layer, Convolution):
                x = self.arithmetic.convolution(step.layer, x, w_ND, noise)
            else:
                y = self.arithmetic.colour(step.layer, x, w_ND)
                rgb = y if rgb is None else self.double(rgb).add_(y)
        return Partial(x[:, :0] if last else x, rgb)

    def noise_of(self, step: Step, samples: int, noise: str) -> Tensor | None:
        """Noise times strength times gain, [1 or N, 1, H, W]; None where there is none to add."""
        layer = step.layer
        if isinstance(layer, Colour) or noise == "none":
            return None
        if noise == "const":
            return None if layer.noise is None else layer.noise[None, None]
        drawn = torch.randn(samples, 1, layer.resolution, layer.resolution, device=self.device)
        return (drawn * layer.strength).to(self.dtype)

    def double(self, rgb: Tensor) -> Tensor:
        return double_bilinear(rgb) if self.filter_hw is None else upsample_rgb(rgb, self.filter_hw)

    @staticmethod
    def finish(state: Partial) -> Tensor:
        return SynthesisNetwork.finish(state)


def prepare_steps(
    reference: SynthesisNetwork, dtype: torch.dtype, up_form: UpForm, *, compiled: bool
) -> list[Step]:
    """Prepare every layer, in the order in which the reference runs them."""
    steps: list[Step] = []
    alone = False
    for block, name, index in reference.layers:
        layer = reference.get_submodule(f"{block}.{name}")
        if isinstance(layer, SynthesisLayer):
            manner = manner_for(layer, device=layer.weight.device, dtype=dtype, compiled=compiled)
            prepared = prepare_convolution(layer, dtype=dtype, manner=manner, up_form=up_form)
            alone = alone or manner == "modulate"
            steps.append(Step(index, prepared, alone))
        elif isinstance(layer, ToRGB):
            steps.append(Step(index, prepare_colour(layer), alone))
    return steps


def join(parts: Sequence[Partial]) -> Partial:
    """Put samples that ran by themselves together again."""
    if len(parts) == 1:
        return parts[0]
    rgbs = [part.rgb for part in parts if part.rgb is not None]
    return Partial(torch.cat([part.features for part in parts]), torch.cat(rgbs) if rgbs else None)
