"""A trainer as a stranger would add one: pictures to their negatives, unpaired, as CycleGAN learns.

Two networks with an optimiser each take turns, and the discriminator is shown a pool of earlier outputs. B images of
this process, N of all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from distill.pixels import encode_png, to_uint8
from distill.training import processes
from distill.training.images import Images, open_images
from distill.training.pictures import Pictures, grid
from distill.training.position import RunPosition
from distill.training.request import TrainRequest
from distill.training.sampler import Sampler
from distill.training.settings import Count, Positive, TrainerSettings, changed
from distill.training.trainer import Trainer, TrainingPlan, TrainingResult
from toy_trainer.networks import small


class ToySettings(TrainerSettings):
    """The settings of a toy; `pool`: earlier outputs that the discriminator is shown."""

    kimg: Positive = 1.0
    pool: Count = 16

    free: ClassVar = frozenset({"kimg"})


@dataclass(frozen=True, kw_only=True, eq=False)
class ToyData:
    """Pictures of any kind."""

    images: Images
    pictures: Pictures

    @property
    def rows(self) -> int:
        return len(self.images)

    def draw(self, position: RunPosition) -> Tensor:
        return self.pictures.draw(position)

    def shared(self) -> dict[str, Any]:
        return {"data_digest": self.images.digest}

    def facts(self) -> dict[str, object]:
        return {"images": self.rows, "resolution": self.images.resolution}

    def close(self) -> None:
        """Nothing is held open."""


def open_data(
    request: TrainRequest, settings: ToySettings, device: str, note: Callable[[str], None]
) -> ToyData:
    images = open_images(request.data, skipped=note)
    sampler, everything = Sampler(images.weights, request.seed), np.arange(len(images))
    rank, world = processes.rank(), processes.world_size()
    return ToyData(images=images, pictures=Pictures(images, everything, sampler, settings.batch, rank, world))


class ToyStep:
    """Two networks, their optimisers, and the pool."""

    def __init__(self, settings: ToySettings, *, seed: int) -> None:
        self.generator, self.discriminator = small(3, seed), small(1, seed + 1)
        self.optimisers = [
            torch.optim.Adam(net.parameters(), lr=settings.lr) for net in (self.generator, self.discriminator)
        ]
        self.pool, self.size = torch.zeros(0, 3, 1, 1), settings.pool

    def update(self, reals_BCHW: Tensor, position: RunPosition) -> Mapping[str, Tensor | float]:
        outputs = self.generator(reals_BCHW)
        loss_g = (self.discriminator(outputs) - 1).square().mean()
        self._apply(0, loss_g)
        shown = self._from_pool(processes.gather(outputs.detach()), position)
        on_real, on_fake = self.discriminator(-reals_BCHW), self.discriminator(shown)
        loss_d = (on_real - 1).square().mean() + on_fake.square().mean()
        self._apply(1, loss_d)
        return {"loss_g": loss_g.detach(), "loss_d": loss_d.detach()}

    def _apply(self, which: int, loss: Tensor) -> None:
        network, optimiser = (self.generator, self.discriminator)[which], self.optimisers[which]
        network.zero_grad(set_to_none=True)
        torch.autograd.backward(loss, inputs=list(network.parameters()))
        processes.average_gradients(list(network.parameters()))
        optimiser.step()

    def _from_pool(self, outputs_NCHW: Tensor, position: RunPosition) -> Tensor:
        """Put the outputs of all processes into the pool, which is the same in each; take this one's share of it."""
        pool = torch.cat([self.pool, outputs_NCHW]) if len(self.pool) else outputs_NCHW
        order = torch.randperm(len(pool), generator=position.generator("pool"))
        self.pool = pool[order[: self.size]]
        share = len(outputs_NCHW) // processes.world_size()
        first = processes.rank() * share
        return pool[order[first : first + share]]

    def networks(self) -> dict[str, int]:
        return {
            name: sum(p.numel() for p in getattr(self, name).parameters())
            for name in ("generator", "discriminator")
        }

    def shared(self) -> dict[str, Any]:
        return {}

    def state(self) -> dict[str, Any]:
        return {
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "pool": self.pool,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.generator.load_state_dict(state["generator"])
        self.discriminator.load_state_dict(state["discriminator"])
        for optimiser, values in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(values)
        self.pool = state["pool"]


class ToyWatch:
    """Writes the generator and draws what it makes of the first pictures."""

    caution = legend = reals = ""

    def __init__(self, plan: TrainingPlan[ToySettings, ToyData], step: ToyStep) -> None:
        self.path, self.step = plan.out / "toy.pt", step
        self.pixels = plan.data.images.read(np.arange(min(4, plan.data.rows)))
        self.scores: dict[str, float] = {}

    def begin(self, position: RunPosition) -> None:
        """Nothing to make ready."""

    def score(self, position: RunPosition) -> dict[str, float]:
        outputs, inputs = self._outputs(), torch.from_numpy(self.pixels).float() / 127.5 - 1
        self.scores = {"l1": float((outputs.permute(0, 2, 3, 1) + inputs).abs().mean())}
        return self.scores

    def save(self, position: RunPosition) -> None:
        torch.save(self.step.generator.state_dict(), self.path)

    def picture(self, position: RunPosition) -> bytes:
        return encode_png(grid(to_uint8(self._outputs()).numpy(), 2))

    def keep(self, position: RunPosition) -> None:
        """Nothing stays."""

    def table(self) -> dict[str, Mapping[str, float]]:
        return {"toy": self.scores} if self.scores else {}

    def result(self) -> TrainingResult:
        return TrainingResult(weights=self.path, scores=self.scores)

    @torch.no_grad()
    def _outputs(self) -> Tensor:
        outputs: Tensor = self.step.generator(
            torch.from_numpy(self.pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
        )
        return outputs


TOY: Trainer[ToySettings, ToyData, ToyStep] = Trainer(
    name="toy",
    noun=lambda plan: "image",
    presets={"plain": ToySettings(batch=4, lr=0.01)},
    default_preset=lambda data: "plain",
    settle=changed,
    samples=lambda settings, rows: round(1000 * settings.kimg),
    open_data=open_data,
    make_step=lambda plan: ToyStep(plan.settings, seed=plan.seed),
    make_watch=ToyWatch,
    title=lambda plan: "negatives",
    less_memory=lambda settings: "take a smaller batch",
)
