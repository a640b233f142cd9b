"""The fused synthesis draws what the reference draws, in every format."""

from __future__ import annotations

import math
from copy import deepcopy
from typing import get_args

import pytest
import torch
from torch import Tensor

from distill.devices import Format
from distill.pixels import to_uint8
from distill.stylegan2.fused import FusedSynthesis
from distill.stylegan2.fused.upsampling import UpForm
from distill.stylegan2.generator import Generator
from distill.stylegan2.load import load_generator
from distill.stylegan2.networks import GeneratorNetwork, GeneratorShape

RESOLUTIONS = [8, 16, 32, 64, 128, 256]
LATENT = 16
FLOAT32_DIFFERENCE = 2e-5  # images are of order 1
DECIBELS = {"bf16": 48.0, "fp16": 55.0}
GREY_LEVELS = 1.0  # on average


def network(resolution: int, *, width: int = 32, clamp: float | None = None) -> GeneratorNetwork:
    """A random network whose noise and biases are awake, as after training, and whose images are of order 1."""
    sizes = [2**i for i in range(2, resolution.bit_length())]
    channels = {size: max(8, min(width, 4 * width * 8 // size)) for size in sizes}
    with torch.random.fork_rng():
        torch.manual_seed(resolution)
        net = GeneratorNetwork(
            GeneratorShape(z_dim=8, w_dim=LATENT, mapping_layers=1, channels=channels, conv_clamp=clamp)
        )
        for name, parameter in net.synthesis.named_parameters():
            if name.endswith("noise_strength"):
                parameter.data.uniform_(0.1, 0.3)
            elif name.endswith("bias") and "affine" not in name:
                parameter.data.normal_(0, 0.2)
            elif name.endswith("torgb.weight"):
                parameter.data.mul_(0.25)
    return net.eval().requires_grad_(False)


def latents(net: GeneratorNetwork, samples: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(samples, net.shape.num_ws, net.shape.w_dim, generator=generator)


@torch.inference_mode()
def drawn(net: GeneratorNetwork, ws_NLD: Tensor, noise: str = "const") -> Tensor:
    image: Tensor = net.synthesis(ws_NLD, noise)
    return image


def decibels(a: Tensor, b: Tensor) -> float:
    """PSNR of 8-bit images."""
    error = (to_uint8(a).double() - to_uint8(b).double()).square().mean()
    return math.inf if error == 0 else float(10 * torch.log10(255**2 / error))


def grey_levels(a: Tensor, b: Tensor) -> float:
    return float((to_uint8(a).double() - to_uint8(b).double()).abs().mean())


@pytest.fixture(scope="module")
def portraits() -> Generator:
    return load_generator("portraits")


@pytest.mark.parametrize("noise", ["const", "none"])
@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_float32_is_the_reference(resolution: int, noise: str) -> None:
    net = network(resolution)
    fast = FusedSynthesis(net, "fp32")(latents(net), noise)
    assert fast.dtype == torch.float32
    assert (fast - drawn(net, latents(net), noise)).abs().max() <= FLOAT32_DIFFERENCE


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_half_precision_is_close(resolution: int, precision: str) -> None:
    net = network(resolution)
    fast, slow = FusedSynthesis(net, precision)(latents(net)), drawn(net, latents(net))  # type: ignore[arg-type]
    assert fast.dtype == torch.float32
    assert fast.shape == slow.shape
    assert decibels(fast, slow) >= DECIBELS[precision]
    assert grey_levels(fast, slow) < GREY_LEVELS


def test_trained_weights_in_batches(portraits: Generator) -> None:
    """Four samples at once go through other kernels than one: no further from the truth than the reference may be."""
    z = torch.randn(16, portraits.z_dim, generator=torch.Generator().manual_seed(0))
    ws = portraits.map(z, truncation_psi=0.7)
    exact = drawn(deepcopy(portraits.network).double(), ws.double())
    fast = FusedSynthesis(portraits.network, "fp32")
    for part in range(0, len(ws), 4):
        assert (fast(ws[part : part + 4]) - exact[part : part + 4]).abs().max() <= FLOAT32_DIFFERENCE


def test_trained_weights(portraits: Generator) -> None:
    z = torch.randn(8, portraits.z_dim, generator=torch.Generator().manual_seed(0))
    ws = portraits.map(z, truncation_psi=0.7)
    slow = drawn(portraits.network, ws)
    fast = {p: FusedSynthesis(portraits.network, p)(ws) for p in ("fp32", "bf16", "fp16")}  # type: ignore[arg-type]
    assert (fast["fp32"] - slow).abs().max() <= FLOAT32_DIFFERENCE
    for precision, least in DECIBELS.items():
        assert decibels(fast[precision], slow) >= least
        assert grey_levels(fast[precision], slow) < GREY_LEVELS


@pytest.mark.parametrize("resolution", [16, 256])  # in batches; the last ones sample by sample
def test_random_noise_is_that_of_the_reference(resolution: int) -> None:
    net = network(resolution)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        slow = drawn(net, latents(net), "random")
        torch.manual_seed(3)
        fast = FusedSynthesis(net, "fp32")(latents(net), "random")
    assert (fast - slow).abs().max() <= FLOAT32_DIFFERENCE


def test_sleeping_noise_is_left_out() -> None:
    net = network(16)
    for name, parameter in net.synthesis.named_parameters():
        if name.endswith("noise_strength"):
            parameter.data.zero_()
    fast = FusedSynthesis(net, "fp32")
    assert torch.equal(fast(latents(net), "const"), fast(latents(net), "none"))
    assert (fast(latents(net)) - drawn(net, latents(net))).abs().max() <= FLOAT32_DIFFERENCE


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("resolution", [16, 256])  # in batches; the last ones sample by sample
def test_layers_shared_by_two_images_are_exact(resolution: int, precision: str) -> None:
    net = network(resolution)
    fast = FusedSynthesis(net, precision)  # type: ignore[arg-type]
    ws = latents(net)
    whole = fast(ws)
    for crossover in range(1, net.shape.num_ws, 1 if resolution == 16 else 6):
        trunk = fast.run(fast.begin(len(ws)), ws, 0, crossover, "const")
        branch = fast.run(trunk, ws, crossover, net.shape.num_ws, "const")
        assert torch.equal(fast.finish(branch), whole), f"crossover {crossover}"


@pytest.mark.parametrize("resolution", [16, 256])  # in batches; the last ones sample by sample
def test_styles_that_are_given_draw_what_their_w_draws(resolution: int) -> None:
    net = network(resolution)
    styles = [style.detach() for style in net.synthesis.styles(latents(net))]
    assert [style.shape[1] for style in styles] == list(net.synthesis.style_widths)
    assert torch.equal(net.synthesis.draw_styles(styles), drawn(net, latents(net)))
    fast = FusedSynthesis(net, "fp32")
    assert (fast.draw_styles(styles) - fast(latents(net))).abs().max() <= FLOAT32_DIFFERENCE
    styles[0] = styles[0].flip(0)
    assert (fast.draw_styles(styles) - fast(latents(net))).abs().max() > 1e-3


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_batch_matters_no_more_than_rounding(precision: str, portraits: Generator) -> None:
    """The same batch gives the same bits; another batch around a sample may move its last ones."""
    fast = FusedSynthesis(portraits.network, precision)  # type: ignore[arg-type]
    z = torch.randn(4, portraits.z_dim, generator=torch.Generator().manual_seed(0))
    ws = portraits.map(z, truncation_psi=0.7)
    together, alone = fast(ws), torch.cat([fast(ws[n : n + 1]) for n in range(len(ws))])
    assert torch.equal(together, fast(ws))
    assert (together - alone).abs().max() <= {"fp32": FLOAT32_DIFFERENCE, "bf16": 0.1}[precision]
    assert grey_levels(together, alone) < GREY_LEVELS


@pytest.mark.parametrize("form", get_args(UpForm))
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_every_form_of_an_up_convolution_is_the_reference(precision: Format, form: UpForm) -> None:
    net = network(256 if precision == "bf16" else 64)
    slow, fast = drawn(net, latents(net)), FusedSynthesis(net, precision, up_form=form)(latents(net))
    if precision == "fp32":
        assert (fast - slow).abs().max() <= FLOAT32_DIFFERENCE
    else:
        assert decibels(fast, slow) >= DECIBELS[precision]


@pytest.mark.parametrize("form", get_args(UpForm))
def test_a_filter_of_its_own(form: UpForm) -> None:
    net = network(16)
    taps = torch.tensor([1.0, 2.0, 4.0, 1.0])
    for name, buffer in net.synthesis.named_buffers():
        if name.endswith("resample_filter"):
            buffer.copy_(torch.outer(taps, taps) / taps.sum() ** 2)
    fast = FusedSynthesis(net, "fp32", up_form=form)(latents(net))
    assert (fast - drawn(net, latents(net))).abs().max() <= FLOAT32_DIFFERENCE


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_clamp_is_kept(precision: str) -> None:
    net = network(32, clamp=0.5)
    slow = drawn(net, latents(net))
    assert not torch.equal(slow, drawn(network(32), latents(net)))  # it does something
    assert decibels(FusedSynthesis(net, precision)(latents(net)), slow) >= DECIBELS["bf16"]  # type: ignore[arg-type]


@pytest.mark.parametrize("factor", [1e-6, 1e6])
@pytest.mark.parametrize("form", get_args(UpForm))
def test_float16_stands_any_size_of_style_and_weight(factor: float, form: UpForm) -> None:
    """Demodulation takes the size out again; in between it must not overflow or vanish."""
    net = network(64)
    for name, parameter in net.synthesis.named_parameters():
        if "conv" in name and (name.endswith(("conv0.weight", "conv1.weight")) or "affine" in name):
            parameter.data.mul_(factor if name.endswith("v0.weight") else 1.0 / factor)
    slow, fast = drawn(net, latents(net)), FusedSynthesis(net, "fp16", up_form=form)(latents(net))
    assert fast.isfinite().all()
    assert decibels(fast, slow) >= DECIBELS["fp16"]


@pytest.mark.parametrize("form", get_args(UpForm))
def test_float16_stays_finite_where_features_grow_without_end(form: UpForm) -> None:
    net = network(64)
    for name, parameter in net.synthesis.named_parameters():
        if name.endswith("noise_strength"):
            parameter.data.fill_(1e5)
    assert FusedSynthesis(net, "fp16", up_form=form)(latents(net)).isfinite().all()


def test_bytes() -> None:
    net = network(32)
    fast = FusedSynthesis(net, "fp32")
    drawn_bytes = fast.draw_bytes(latents(net))
    assert drawn_bytes.dtype == torch.uint8
    assert torch.equal(drawn_bytes, to_uint8(fast(latents(net))))


def test_the_reference_is_left_as_it_was() -> None:
    net = network(32)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    FusedSynthesis(net, "bf16")(latents(net))
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the compiler's own
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_compiled_layers(precision: Format) -> None:
    net = network(64)
    fast = FusedSynthesis(net, precision, compiled=True)(latents(net))
    slow = drawn(net, latents(net))
    assert decibels(fast, slow) >= {"fp32": 80.0, "bf16": DECIBELS["bf16"]}[precision]
    assert precision == "bf16" or (fast - slow).abs().max() <= FLOAT32_DIFFERENCE


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_on_a_gpu(precision: str) -> None:
    net = network(256)
    slow = drawn(net, latents(net))
    fast = FusedSynthesis(net.cuda(), precision)(latents(net))  # type: ignore[arg-type]
    assert fast.device.type == "cuda"
    assert decibels(fast.cpu(), slow) >= DECIBELS["bf16"]
