"""VGG16's second layer of 4,096 numbers, by which precision and recall are defined, from NVIDIA's published file.

Kynkäänniemi et al. 2019 compare images by it. Another VGG16 (torchvision's, say) gives other numbers, so no other
file is taken. It is a TorchScript archive: its tensors are read, its code is left alone. What comes before the
layers and after them follows public readings of that file; it has not been tried on the file itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional as F

from distill.errors import DistillError, UnsupportedCheckpoint
from distill.networks import lpips
from distill.networks.lpips import bias_of, in_natural_order, named_convolutions
from distill.networks.tensorflow_resize import tensorflow_resize
from distill.weights.checkpoint import file_sha256
from distill.weights.state_files import read_state

SHA256 = "b437eb095feaeb0b83eb3fa11200ebca4548ee39a07fb944a417ddc516cc07c3"  # as in the table of weights
SIDE = 224  # px
POOLED = 7  # px of the last map
HIDDEN = 4096


class VGG16Hidden(nn.Module):
    """Images [N, 3, H, W] in [-1, 1], of any size -> the 4,096 numbers behind the second ReLU of the classifier.

    Raises DistillError for any file but the published one, in one line that says where to get it.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        check_published(path)
        tensors = read_state(path, scripts=True).tensors
        try:
            convolutions, layers = named_convolutions(tensors), named_layers(tensors)
        except UnsupportedCheckpoint as error:
            raise UnsupportedCheckpoint(f"{path}: not VGG16: {error}") from error
        self.trunk = lpips.VGG16Trunk(tensors, convolutions)
        for number, name in enumerate(layers):
            self.register_buffer(f"weight{number}", tensors[name])
            self.register_buffer(f"bias{number}", tensors[bias_of(name)])

    def forward(self, images_NCHW: Tensor) -> Tensor:
        *_, last = self.trunk(tensorflow_resize(images_NCHW, SIDE))
        x = F.max_pool2d(last, 2).flatten(1)
        for number in range(2):
            x = F.relu(F.linear(x, self.get_buffer(f"weight{number}"), self.get_buffer(f"bias{number}")))
        return x


def check_published(path: Path) -> None:
    """Raise DistillError for another file than NVIDIA's."""
    if (found := file_sha256(path)) != SHA256:
        raise DistillError(
            f"{path}: not vgg16.pt as NVIDIA published it (its sha256 starts with {found[:8]}, not {SHA256[:8]});"
            " precision and recall are defined by that file: distill weights fetch vgg16-lpips"
        )


def named_layers(tensors: Mapping[str, Tensor]) -> list[str]:
    """Name the weights of the first two full layers. Raises UnsupportedCheckpoint where there are none."""
    names = [name for name in in_natural_order(tensors) if tensors[name].ndim == 2][:2]
    wanted = [(HIDDEN, lpips.WIDTHS[-1] * POOLED**2), (HIDDEN, HIDDEN)]
    shapes = [tuple(tensors[name].shape) for name in names]
    biases = [tensors.get(bias_of(name)) for name in names]
    if shapes != wanted or any(bias is None or bias.shape != (HIDDEN,) for bias in biases):
        raise UnsupportedCheckpoint(f"its full layers are {shapes}, not {wanted} with their biases")
    return names
