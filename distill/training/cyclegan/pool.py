"""Earlier outputs of a translator, so that its discriminator does not forget them (Shrivastava et al. 2017).

N images of the batch of all processes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class ImagePool:
    """Keeps up to `size` images [3, H, W], as the public CycleGAN does: 0 keeps none.

    The first ones are kept, and shown as they are. Of the later ones half are shown and not kept; the other half take
    the place of a kept one, which is shown in their stead.
    """

    def __init__(self, size: int, height: int, width: int, *, device: torch.device) -> None:
        self.images, self.count = torch.zeros(size, 3, height, width, device=device), 0

    def exchange(self, images_NCHW: Tensor, random: torch.Generator) -> Tensor:
        """Put images in, one after the other, and return what is to be shown in the place of each."""
        size, shown = len(self.images), images_NCHW.clone()
        if not size:
            return shown
        swapped = torch.rand(len(shown), generator=random) < 0.5
        places = torch.randint(size, (len(shown),), generator=random)
        for number, (swap, place) in enumerate(zip(swapped.tolist(), places.tolist(), strict=True)):
            if self.count < size:
                self.images[self.count] = shown[number]
                self.count += 1
            elif swap:
                old = self.images[place].clone()
                self.images[place] = shown[number]
                shown[number] = old
        return shown

    def state(self) -> dict[str, Any]:
        return {"images": self.images, "count": self.count}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take a state back. Raises ValueError for a count that cannot be."""
        count = state["count"]
        if not 0 <= count <= len(self.images):
            raise ValueError(f"a pool of {len(self.images)} images holds {count}")
        self.images.copy_(state["images"])
        self.count = int(count)
