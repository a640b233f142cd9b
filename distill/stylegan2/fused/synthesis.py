"""w+ to RGB through prepared layers: a batch as long as layers are small, then one sample after the other.

Shapes: N samples, L layers of w+, D latent width, C channels, H W image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from distill.devices import DTYPES, Format
from distill.pixels import to_uint8
from distill.stylegan2.fused.layers import Colour, Convolution, run_colour, run_convolution
from distill.stylegan2.fused.upsampling import UpForm, form_for
from distill.stylegan2.networks import (
    GeneratorNetwork,
    Partial,
    SynthesisLayer,
    SynthesisNetwork,
    ToRGB,
    upsample_rgb,
)

LARGEST_BATCHED = (
    64  # px: on a CPU, larger layers run for one sample at a time, in less memory and no more time
)
COMPILED_SHAPES = 128  # variants of one compiled function: a layer each, times batch sizes


@dataclass(frozen=True)
class LayerStep:
    """One layer of the list that `run` walks, its place in it, and the number of the w it reads."""

    place: int
    index: int
    layer: Convolution | Colour
    alone: bool  # runs for one sample at a time, as every layer after it


StyleOf = Callable[[LayerStep, slice], Tensor]  # of a layer, for these samples: [N, C]


class FusedSynthesis:
    """The synthesis network of a generator for inference, in `precision`; begin, run, finish as the reference has.

    Takes the weights as they are now, on the device where they are; later changes of the network do not reach it.
    "fp32" differs from the reference by rounding only (under 2e-5 in images of order 1). In "bf16" and "fp16" the
    features are held in that format; styles, demodulation, noise times strength and RGB stay float32.
    `compiled` lets torch.compile fuse the elementwise arithmetic: minutes to build, seconds from its cache on disk
    (TORCHINDUCTOR_CACHE_DIR), and other roundings than without. `up_form` is by default the device's.
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
        self.steps = prepare_steps(reference, self.dtype, up_form or form_for(self.device))
        self.filter_hw = reference.get_buffer("b4.resample_filter").detach().float()
        self.run_convolution = compiled_convolution() if compiled else run_convolution

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
        return self._run_steps(
            state,
            steps,
            lambda step, rows: step.layer.affine(ws_NLD[rows, step.index]),
            noise,
            samples=len(ws_NLD),
            last=stop == self.num_ws,
        )

    @torch.inference_mode()
    def draw_styles(self, styles: Sequence[Tensor], noise: str = "const") -> Tensor:
        """Draw images [N, 3, H, W] by styles [N, C] that are given, one for each layer, as the reference has them."""
        given = [
            style.to(self.device, torch.float32)
            * (step.layer.style_gain if isinstance(step.layer, Colour) else 1.0)
            for step, style in zip(self.steps, styles, strict=True)
        ]
        samples = len(styles[0])
        start = self.begin(samples)
        return self.finish(
            self._run_steps(
                start,
                self.steps,
                lambda step, rows: given[step.place][rows],
                noise,
                samples=samples,
                last=True,
            )
        )

    def _run_steps(
        self,
        state: Partial,
        steps: Sequence[LayerStep],
        style_of: StyleOf,
        noise: str,
        *,
        samples: int,
        last: bool,
    ) -> Partial:
        """Run small layers on the whole batch, then the larger ones sample by sample."""
        noises = [self.noise_of(step, samples, noise) for step in steps]
        together = sum(not step.alone for step in steps)
        state = self.walk(state, steps[:together], style_of, slice(None), noises[:together])
        if together < len(steps):
            parts = [
                self.walk(
                    Partial(state.features[n : n + 1], None if state.rgb is None else state.rgb[n : n + 1]),
                    steps[together:],
                    style_of,
                    slice(n, n + 1),
                    [x if x is None or len(x) == 1 else x[n : n + 1] for x in noises[together:]],
                    last=last,
                )
                for n in range(samples)
            ]
            state = join(parts)
        return state

    def walk(
        self,
        state: Partial,
        steps: Sequence[LayerStep],
        style_of: StyleOf,
        rows: slice,
        noises: Sequence[Tensor | None],
        *,
        last: bool = False,
    ) -> Partial:
        """Run these layers on the whole of `state`, which holds the samples `rows`."""
        x, rgb = state.features, state.rgb
        for step, noise in zip(steps, noises, strict=True):
            style = style_of(step, rows)
            if isinstance(step.layer, Convolution):
                x = self.run_convolution(step.layer, x, style, noise)
            else:
                y = run_colour(step.layer, x, style)
                rgb = y if rgb is None else upsample_rgb(rgb, self.filter_hw).add_(y)
        return Partial(x[:, :0] if last else x, rgb)

    def noise_of(self, step: LayerStep, samples: int, noise: str) -> Tensor | None:
        """Noise times strength times gain, [1 or N, 1, H, W]; None where there is none to add."""
        layer = step.layer
        if isinstance(layer, Colour) or noise == "none":
            return None
        if noise == "const":
            return layer.noise
        drawn = torch.randn(samples, 1, layer.resolution, layer.resolution, device=self.device)
        return (drawn * layer.strength).to(self.dtype)

    @staticmethod
    def finish(state: Partial) -> Tensor:
        return SynthesisNetwork.finish(state)


def prepare_steps(reference: SynthesisNetwork, dtype: torch.dtype, up_form: UpForm) -> list[LayerStep]:
    """Prepare every layer, in the order in which the reference runs them."""
    on_cpu = reference.get_parameter("b4.const").device.type == "cpu"
    steps: list[LayerStep] = []
    for block, name, index in reference.layers:
        layer = reference.get_submodule(f"{block}.{name}")
        alone = on_cpu and int(block.removeprefix("b")) > LARGEST_BATCHED
        if isinstance(layer, SynthesisLayer):
            steps.append(LayerStep(len(steps), index, Convolution.of(layer, dtype, up_form), alone))
        elif isinstance(layer, ToRGB):
            steps.append(LayerStep(len(steps), index, Colour.of(layer), alone))
    return steps


def join(parts: Sequence[Partial]) -> Partial:
    """Put samples that ran by themselves together again."""
    if len(parts) == 1:
        return parts[0]
    rgbs = [part.rgb for part in parts if part.rgb is not None]
    return Partial(torch.cat([part.features for part in parts]), torch.cat(rgbs) if rgbs else None)


def compiled_convolution() -> Callable[[Convolution, Tensor, Tensor, Tensor | None], Tensor]:
    """The arithmetic of the layers through torch.compile, built when each shape first comes."""
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, COMPILED_SHAPES)
    compiled: Callable[[Convolution, Tensor, Tensor, Tensor | None], Tensor] = torch.compile(
        run_convolution, dynamic=False, fullgraph=True
    )
    return compiled
