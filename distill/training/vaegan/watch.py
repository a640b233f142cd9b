"""Look at a VAE/GAN on the way: scores on held-out pictures, the means of its attributes, its file, pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor

from distill.metrics.features import Features, load_features
from distill.metrics.kernel import kernel_distance
from distill.metrics.pairs import PairScores
from distill.networks.perceptual import PerceptualFeatures, default_perceptual, load_perceptual
from distill.networks.student import StudentFacts, save_student
from distill.networks.vaegan_files import IN_RUN
from distill.pixels import encode_png, to_numpy, to_uint8
from distill.training.page import BASELINES
from distill.training.pictures import AT_ONCE, Numbers, grid, in_parts, spread
from distill.training.position import RunPosition, stream_seed
from distill.training.trainer import TrainingPlan, TrainingResult, few_scored
from distill.training.vaegan.data import VAEGANData
from distill.training.vaegan.settings import VAEGANSettings
from distill.training.vaegan.step import VAEGANStep

SHOWN = 8  # pictures, a row each

Plan = TrainingPlan[VAEGANSettings, VAEGANData]
Means = tuple[Tensor, Tensor]  # z of pictures with and without each attribute, [A, D] each
Scores = dict[str, float]


class VAEGANWatch:
    """Looks at the averaged networks of a step; their file lies in the folder of the run."""

    def __init__(self, plan: Plan, step: VAEGANStep) -> None:
        self.plan, self.step = plan, step
        self.scored = spread(plan.data.held_out, plan.request.score_images)
        self.features: Features | None = None
        self.perceptual: PerceptualFeatures | None = None
        if plan.request.features != "none" and len(self.scored) > 1:
            self.features = load_features(plan.request.features, device=plan.device)
        if self.features and self.features.name != "pixels8":  # whoever asks for that wants no network
            self.perceptual = load_perceptual(default_perceptual(), device=plan.device)
        self.scores: Scores = {}
        self.baselines: dict[str, Scores] = {}
        self._means: tuple[int, Means] | None = None  # after this many updates

    @property
    def caution(self) -> str:
        return few_scored(len(self.scored), "picture", "--val-fraction")

    @property
    def legend(self) -> str:
        edits = [f"+ {attribute.name}" for attribute in self.plan.data.attributes]
        columns = ", ".join(["a picture", "its reconstruction", *edits, "a sample of the prior"])
        return f"From left to right: {columns}.{' Held-out pictures.' if len(self.scored) else ''}"

    @property
    def reals(self) -> str:
        """The picture shows the data beside the reconstructions."""
        return ""

    def begin(self, position: RunPosition) -> None:
        """Score what knows nothing of a picture: the mean of those that are trained on; and real pictures."""
        data = self.plan.data
        if len(self.scored) < 2:
            return
        some = spread(data.train_on, len(self.scored))
        mean = torch.stack([part.sum(dim=0) for part in self._read(some)]).sum(dim=0) / len(some)
        found = self._of_pairs((mean.expand_as(part), part) for part in self._read(self.scored))
        self.baselines = {BASELINES[1]: found}
        if self.features:
            real = {self._kernel: self._distance(self._read(some))}
            self.baselines["pictures trained on"] = real

    def score(self, position: RunPosition) -> Scores:
        """Score reconstructions of held-out pictures, and as many samples of the prior."""
        if len(self.scored) < 2:
            return {}
        self.scores = self._of_pairs((self._rebuilt(part), part) for part in self._read(self.scored))
        if self.features:
            z = self._prior(len(self.scored), "scored")
            self.scores[self._kernel] = self._distance(
                self.step.decode(part) for part in torch.split(z, AT_ONCE)
            )
        return self.scores

    def save(self, position: RunPosition) -> None:
        """Write encoder and decoder, with the means of the attributes by these weights."""
        means = self.means(position)
        save_student(self.plan.out / IN_RUN, self.step.average.with_means(*means), self._facts(position))

    def picture(self, position: RunPosition) -> bytes:
        """Draw pictures: as they are, rebuilt, with each attribute; and samples of the prior."""
        data, step = self.plan.data, self.step
        images = data.read(spread(self.scored if len(self.scored) else data.train_on, SHOWN))
        images = images[torch.arange(SHOWN) % len(images)]
        z, (on, off) = step.encode(images), self.means(position)
        moved = [z, *(z + direction for direction in on - off), self._prior(SHOWN, "shown")]
        columns = [images, *(step.decode(part).cpu() for part in moved)]
        rows = torch.stack(columns, dim=1).flatten(0, 1)
        return encode_png(grid(to_numpy(to_uint8(rows)), len(columns)))

    def keep(self, position: RunPosition) -> None:
        """Nothing beside the pictures."""

    def table(self) -> dict[str, Mapping[str, float]]:
        rows = {"VAE/GAN": self.scores, **self.baselines}
        return {who: scores for who, scores in rows.items() if scores}

    def result(self) -> TrainingResult:
        return TrainingResult(weights=self.plan.out / IN_RUN, scores=self.scores)

    def means(self, position: RunPosition) -> Means:
        """Mean z of training pictures with and without each attribute, by the weights that are kept, on the CPU."""
        if self._means is None or self._means[0] != position.updates:
            self._means = position.updates, self._find_means()
        return self._means[1]

    def _find_means(self) -> Means:
        data, latent = self.plan.data, self.plan.settings.latent
        if not data.attributes:
            none = torch.zeros(0, latent)
            return none, none.clone()
        numbers = spread(data.train_on, self.plan.settings.attribute_images)
        z = torch.cat([self.step.encode(part).cpu() for part in self._read(numbers)]).double()
        rows = [(a.on[numbers], a.off[numbers]) for a in data.attributes]
        on, off = (
            torch.stack([z[torch.from_numpy(chosen[side])].mean(dim=0) for chosen in rows]).float()
            for side in (0, 1)
        )
        return on, off

    @property
    def _kernel(self) -> str:
        return f"kernel_{self.features.name}" if self.features else ""

    def _read(self, numbers: Numbers) -> Iterator[Tensor]:
        """Read pictures [B, 3, H, W] in parts."""
        yield from map(self.plan.data.read, in_parts(numbers))

    def _rebuilt(self, images: Tensor) -> Tensor:
        return self.step.decode(self.step.encode(images))

    def _prior(self, count: int, purpose: str) -> Tensor:
        """The same samples [N, D] each time."""
        random = torch.Generator().manual_seed(stream_seed(self.plan.seed, 0, purpose))
        return torch.randn(count, self.plan.settings.latent, generator=random)

    def _of_pairs(self, pairs: Iterable[tuple[Tensor, Tensor]]) -> Scores:
        found = PairScores(perceptual=self.perceptual, features=None, device=self.step.device)
        for made, real in pairs:
            found.add(made, real)
        return found.result()

    def _distance(self, made: Iterable[Tensor]) -> float:
        """The kernel distance of pictures to the held-out ones."""
        assert self.features is not None
        known = self.features.of(map(to_uint8, self._read(self.scored)))
        return kernel_distance(self.features.of(map(to_uint8, made)), known)

    def _facts(self, position: RunPosition) -> StudentFacts:
        data, settings = self.plan.data, self.plan.settings
        square = settings.height == settings.width
        return StudentFacts(
            task="reconstruction",
            inputs=("photo",),
            target="photo",
            resolution=settings.height,
            width=None if square else settings.width,
            data_digest=data.images.digest,
            val_fraction=settings.val_fraction,
            seed=self.plan.seed,
            kimg=position.samples / 1000,
            preset=self.plan.preset,
            scores=self.scores,
            attributes=tuple(attribute.edit for attribute in data.attributes),
        )
