"""Look at an encoder on the way: scores on samples and photos that it does not learn from, pictures, its file."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from distill.metrics.pairs import PairScores
from distill.networks.encoder_files import Encoder, save_encoder
from distill.pixels import encode_png, to_numpy, to_uint8
from distill.stylegan2.encoding import rounds_of
from distill.training.encoder.data import EncoderData
from distill.training.encoder.settings import EncoderSettings
from distill.training.encoder.step import EncoderStep
from distill.training.pictures import grid
from distill.training.position import RunPosition, stream_seed
from distill.training.trainer import TrainingPlan, TrainingResult, few_scored

FILE = "encoder.safetensors"
SAMPLES = 200  # that are scored at most
SHOWN = 8  # samples, and as many photos

Plan = TrainingPlan[EncoderSettings, EncoderData]


class EncoderWatch:
    """Looks at the averaged encoder of a step; its file lies in the folder of the run."""

    def __init__(self, plan: Plan, step: EncoderStep) -> None:
        self.plan, self.step, generator = plan, step, plan.data.generator
        random = torch.Generator().manual_seed(stream_seed(plan.seed, 0, "scored"))
        count = min(SAMPLES, plan.request.score_images)
        self.wanted = generator.map(torch.randn(count, generator.z_dim, generator=random)).clone()
        self.samples = to_uint8(generator.synthesize(self.wanted)).permute(0, 3, 1, 2).float() / 127.5 - 1
        self.photos = plan.data.read_held_out(plan.request.score_images)
        self.scores: dict[str, float] = {}
        self.mean: dict[str, float] = {}

    @property
    def caution(self) -> str:
        return few_scored(len(self.photos), "photo", "--set held_out") if len(self.photos) else ""

    @property
    def legend(self) -> str:
        photos = ", photos below" if len(self.photos) else ""
        return f"Samples of the generator{photos}: as they are, and as the encoder has them drawn."

    @property
    def reals(self) -> str:
        """The picture shows what is encoded."""
        return ""

    def begin(self, position: RunPosition) -> None:
        """Score the mean w, which every encoding begins with."""
        self.mean = self._score(rounds=0)

    def score(self, position: RunPosition) -> dict[str, float]:
        self.scores = self._score(rounds=self.plan.settings.rounds)
        return self.scores

    def save(self, position: RunPosition) -> None:
        """Write the encoder with its facts."""
        plan = self.plan
        facts = {
            "generator": plan.settings.generator,
            "kimg": f"{position.samples / 1000:g}",
            "preset": plan.preset,
            "data": plan.data.name,
            "training_photos": str(plan.data.rows),
            "seed": str(plan.seed),
            **{name: f"{value:.4g}" for name, value in self.scores.items()},
        }
        encoder = Encoder(
            network=self.step.average,
            generator_sha256=plan.data.generator.sha256,
            rounds=plan.settings.rounds,
            facts=facts,
        )
        save_encoder(plan.out / FILE, encoder, half=plan.settings.float16)

    def picture(self, position: RunPosition) -> bytes:
        """Draw samples and photos, each above its encoding."""
        rows = [images[:SHOWN] for images in (self.samples, self.photos) if len(images)]
        pictures = [part for images in rows for part in (images, self._encode(images)[1])]
        full = [torch.cat([part, part.new_zeros(SHOWN - len(part), *part.shape[1:])]) for part in pictures]
        return encode_png(grid(to_numpy(to_uint8(torch.cat(full))), SHOWN))

    def keep(self, position: RunPosition) -> None:
        """Only the last encoder stays."""

    def table(self) -> dict[str, Mapping[str, float]]:
        rows = {"encoder": self.scores, "the mean w": self.mean}
        return {who: scores for who, scores in rows.items() if scores}

    def result(self) -> TrainingResult:
        return TrainingResult(weights=self.plan.out / FILE, scores=self.scores)

    @torch.no_grad()
    def _encode(self, images: Tensor, rounds: int | None = None) -> tuple[Tensor, Tensor]:
        """w+ and pictures, on the CPU; no round is the mean w."""
        step, start = self.step, self.step.start
        count = self.plan.settings.rounds if rounds is None else rounds
        parts = []
        for part in torch.split(images, self.plan.settings.batch):
            ws, drawn = (x.expand(len(part), *x.shape[1:]) for x in (start.ws, start.image))
            for ws, drawn in rounds_of(  # noqa: B007
                step.average, step.generator, start, part.to(step.device), count
            ):
                pass
            parts.append((ws.cpu(), drawn.cpu()))
        first, second = zip(*parts, strict=True)
        return torch.cat(first), torch.cat(second)

    def _score(self, rounds: int) -> dict[str, float]:
        scores: dict[str, float] = {}
        for who, images in (("sample", self.samples), ("photo", self.photos)):
            if not len(images):
                continue
            ws, drawn = self._encode(images, rounds)
            if who == "sample":
                missed = (ws - self.wanted.cpu()) / self.step.start.deviation
                scores["sample_latent"] = float(missed.square().mean())
            pairs = PairScores(perceptual=self.step.features, features=None, device=self.step.device)
            pairs.add(drawn, images)
            scores |= {f"{who}_{name}": value for name, value in pairs.result().items()}
        return scores
