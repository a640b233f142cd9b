"""The teacher as the rest of the package sees it: latents in, images out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from distill.devices import Format
from distill.errors import DistillError
from distill.stylegan2.fused import FusedSynthesis
from distill.stylegan2.networks import GeneratorNetwork

Noise = Literal["const", "none", "random"]
NOISES: tuple[Noise, ...] = ("const", "none", "random")


class Generator:
    """A pretrained StyleGAN2 generator on one device, for inference in one number format.

    `network` is the plain reference with the weights; images are drawn by `synthesis`, the fast path made from it.
    Shapes: N samples, L = `num_ws` layers, Z = `z_dim`, D = `w_dim`, H = W = `resolution`.
    """

    def __init__(
        self,
        network: GeneratorNetwork,
        *,
        sha256: str,
        device: str | torch.device = "cpu",
        precision: Format = "fp32",
        compiled: bool = False,
    ) -> None:
        self.device, self.precision, self.sha256 = torch.device(device), precision, sha256
        self.network = network.eval().requires_grad_(False).to(self.device)
        self.synthesis = FusedSynthesis(self.network, precision, compiled=compiled)

    @property
    def resolution(self) -> int:
        return self.network.shape.resolution

    @property
    def num_ws(self) -> int:
        return self.network.shape.num_ws

    @property
    def z_dim(self) -> int:
        return self.network.shape.z_dim

    @property
    def w_dim(self) -> int:
        return self.network.shape.w_dim

    @property
    def has_noise(self) -> bool:
        """Tell whether noise changes images: whether any layer has a strength of it."""
        named = self.network.named_parameters()
        return any(bool(strength != 0) for name, strength in named if name.endswith("noise_strength"))

    @property
    def w_avg(self) -> Tensor:
        """Mean of w over many z, [D]."""
        w_avg: Tensor = self.network.mapping.w_avg
        return w_avg

    @torch.inference_mode()
    def map(
        self, z_NZ: Tensor, *, truncation_psi: float = 1.0, truncation_cutoff: int | None = None
    ) -> Tensor:
        """Map z [N, Z] to w+ [N, L, D], pulled towards `w_avg` by `truncation_psi` (1 leaves w as it is).

        `truncation_cutoff` limits the pull to the first layers; None means all of them. The formula is
        w_avg + psi * (w - w_avg) (Karras et al. 2019, appendix B).
        """
        if z_NZ.ndim != 2 or z_NZ.shape[1] != self.z_dim:
            raise DistillError(f"z has shape {list(z_NZ.shape)}, this generator takes [N, {self.z_dim}]")
        w_ND: Tensor = self.network.mapping(z_NZ.to(self.device))
        ws_NLD = w_ND[:, None].repeat(1, self.num_ws, 1)
        if truncation_psi != 1.0:
            layers = slice(0, truncation_cutoff)
            ws_NLD[:, layers] = self.w_avg.lerp(ws_NLD[:, layers], truncation_psi)
        return ws_NLD

    @torch.inference_mode()
    def synthesize(self, ws_NLD: Tensor, *, noise: Noise = "const") -> Tensor:
        """Draw w+ [N, L, D] as float32 images [N, 3, H, W], nominally in [-1, 1] and not clamped.

        `noise`: "const" uses the noise maps in the checkpoint, "none" leaves noise out, "random" draws anew.
        """
        self._check(ws_NLD, noise)
        return self.synthesis(ws_NLD.to(self.device), noise)

    @property
    def style_widths(self) -> list[int]:
        """How many channels, and so numbers of style, each layer takes, in the order in which they run."""
        return self.network.synthesis.style_widths

    @torch.inference_mode()
    def styles(self, ws_NLD: Tensor) -> Tensor:
        """Read the styles of w+ [N, L, D]: one number for each channel of each layer, [N, S].

        Layers lie one after the other, `style_widths` wide; those that write RGB are among them.
        """
        self._check(ws_NLD, "const")
        return torch.cat(self.network.synthesis.styles(ws_NLD.to(self.device)), dim=1)

    @torch.inference_mode()
    def synthesize_styles(self, styles_NS: Tensor, *, noise: Noise = "const") -> Tensor:
        """Draw styles [N, S], which no w+ need have: images as `synthesize`, but for rounding.

        Raises DistillError for another number of channels.
        """
        check_noise(noise)
        if styles_NS.ndim != 2 or styles_NS.shape[1] != sum(self.style_widths):
            raise DistillError(
                f"styles have shape {list(styles_NS.shape)}, this generator takes [N, {sum(self.style_widths)}]"
            )
        return self.synthesis.draw_styles(
            torch.split(styles_NS.to(self.device), self.style_widths, dim=1), noise
        )

    @torch.inference_mode()
    def synthesize_branches(
        self, branches_NLD: Sequence[Tensor], *, shared_layers: int, noise: Noise = "const"
    ) -> list[Tensor]:
        """Draw several w+ that agree in their first `shared_layers` layers, running those layers once.

        The images equal those of `synthesize` on each branch bit for bit. Raises ValueError on a CPU where they do
        not agree; a GPU would have to be waited for to tell.
        """
        trunk_NLD = branches_NLD[0].to(self.device)
        for branch in branches_NLD:
            self._check(branch, noise)
            if self.device.type == "cpu" and not torch.equal(
                branch[:, :shared_layers], trunk_NLD[:, :shared_layers]
            ):
                raise ValueError(f"the branches differ below layer {shared_layers}")
        net = self.synthesis
        trunk = net.run(net.begin(len(trunk_NLD)), trunk_NLD, 0, shared_layers, noise)
        return [
            net.finish(net.run(trunk, branch.to(self.device), shared_layers, self.num_ws, noise))
            for branch in branches_NLD
        ]

    def _check(self, ws_NLD: Tensor, noise: str) -> None:
        if ws_NLD.ndim != 3 or ws_NLD.shape[1:] != (self.num_ws, self.w_dim):
            raise DistillError(
                f"w+ has shape {list(ws_NLD.shape)}, this generator takes [N, {self.num_ws}, {self.w_dim}]"
            )
        check_noise(noise)


def check_noise(noise: str) -> None:
    """Raise DistillError for an unknown kind of noise."""
    if noise not in NOISES:
        raise DistillError(f"noise {noise!r} is not one of {', '.join(NOISES)}")
