"""Learn a labelled image set by heart, then sharpen it with a critic. The teacher `avatars` was made so.

    python -m stylegan_weights.making.learn_by_labels --data data/avatars --render 20000 --held-out 1000 \\
        --seed 1 --kimg 72 --precision bf16 --out runs/avatars
    python -m stylegan_weights.making.learn_by_labels --data data/people --kimg 120 --sharpen-kimg 200 \\
        --out runs/people

Any image set with labels will do; --render draws that of the avatars first, unless they are there. --out gets what
`distill train-stylegan2` writes, and --out/sharper the same of the second part (`avatars` had none). The same command
goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill import __version__
from distill.cli.signals import stop_on_signals
from distill.devices import DTYPES, Precision, resolve_device, resolve_training_precision
from distill.errors import DistillError
from distill.progress import Progress
from distill.shards.folder import MANIFEST_FILE
from distill.shards.images.avatar_set import RenderAvatarsRequest, plan_avatars, render
from distill.training.images import Images, open_images
from distill.training.loop import Event, Run, train
from distill.training.pictures import Numbers, Pictures, grid, hold_out, save_png
from distill.training.position import RunPosition
from distill.training.request import TrainRequest
from distill.training.resume import open_run
from distill.training.run import run_training
from distill.training.sampler import Sampler
from distill.training.settings import changed
from distill.training.stylegan2.export import as_images, pictures, save_generator, set_centre
from distill.training.stylegan2.settings import PRESETS, StyleGAN2Settings
from distill.training.trainers import open_trainer
from stylegan_weights.making.label_codes import codes_of
from stylegan_weights.making.label_step import LabelStep

GRID, GRID_PSI = 8, 0.7
STYLE = "toon-head"
AVERAGE_KIMG = 2.0  # at most: the pictures stand still, so a short memory is enough
BATCH = 8  # many small updates


@dataclass(frozen=True, kw_only=True)
class LearnByLabelsRequest:
    """A generator to train on the pictures and labels of `data`. `*_kimg`: thousands of pictures; 0: leave out."""

    data: Path
    out: Path
    preset: str = "small"
    kimg: float = 120.0
    sharpen_kimg: float = 0.0
    held_out: int = 0
    seed: int = 0
    device: str = "auto"
    precision: Precision = "auto"
    tick_kimg: float = 1.0
    snapshot_kimg: float = 10.0


def learn(request: LearnByLabelsRequest, *, stop: threading.Event) -> Path:
    """Train until `kimg` thousand pictures were seen; return the generator file. Raises Interrupted after saving."""
    device = resolve_device(request.device)
    precision = resolve_training_precision(request.precision, device)
    images = open_images(request.data, skipped=print)
    train_on, _ = hold_out(len(images), request.held_out, request.seed)
    preset = by_heart(PRESETS[request.preset])
    codes = codes_of(images.labels, preset.latent, str(request.data))
    step = LabelStep(
        preset, images.resolution, codes, seed=request.seed, device=device, half=DTYPES[precision]
    )
    facts: dict[str, Any] = {
        "critic": "labels",
        "labels": ", ".join(codes.names),
        "preset": request.preset,
        "lr": preset.lr,
        "batch": preset.batch,
        "data_digest": images.digest,
        "training_images": len(train_on),
        "seed": request.seed,
        "precision": precision,
    }
    run = make_run(request, images, train_on, step, facts)
    position, _ = open_run(run, resume=True)
    with Progress(run.samples, noun="image", done=position.samples) as progress:
        train(run, position, stop=stop, progress=progress)
    return request.out / "generator.safetensors"


def by_heart(preset: StyleGAN2Settings) -> StyleGAN2Settings:
    """Return the preset as it suits learning pictures by heart."""
    average = min(preset.average_kimg, AVERAGE_KIMG)
    return changed(preset, {"batch": BATCH, "average_kimg": average, "ada_target": None})


def make_run(
    request: LearnByLabelsRequest,
    images: Images,
    train_on: Numbers,
    step: LabelStep,
    facts: Mapping[str, Any],
) -> Run[Any]:
    sampler = Sampler(images.weights[train_on], request.seed)
    reader = Pictures(images, train_on, sampler, step.preset.batch)

    def show(position: RunPosition) -> None:
        set_centre(step.average)
        drawn = as_images(pictures(step.average, GRID * GRID, seed=request.seed, psi=GRID_PSI))
        save_png(request.out / f"fakes{position.samples // 1000:06d}.png", grid(drawn, GRID))
        now = {"kimg": position.samples / 1000, "data": request.data.name, "distill": __version__, **facts}
        save_generator(request.out / "generator.safetensors", step.average, now, half=True)

    snapshot = max(round(1000 * request.snapshot_kimg), 1)
    return Run(
        folder=request.out,
        step=step,
        draw=reader.draw_numbered,
        batch=step.preset.batch,
        samples=math.ceil(1000 * request.kimg),
        settings={**step.preset.shared(), **facts},
        seed=request.seed,
        tick=max(round(1000 * request.tick_kimg), 1),
        save=snapshot,
        events=[Event(every=snapshot, act=show)],
    )


def sharpen(request: LearnByLabelsRequest, generator: Path, *, stop: threading.Event) -> Path:
    """Go on from the generator with a critic; return the sharper one's file."""
    asked = TrainRequest(
        data=request.data,
        out=request.out / "sharper",
        preset=request.preset,
        changes={
            "init": str(generator),
            "kimg": request.sharpen_kimg,
            "held_out": request.held_out,
            "float16": True,
        },
        features="auto" if request.held_out else "none",
        seed=request.seed,
        precision=request.precision,
        tick_kimg=request.tick_kimg,
        snapshot_kimg=request.snapshot_kimg,
        save_kimg=request.snapshot_kimg,
        resume=True,
    )
    return run_training(open_trainer("stylegan2"), asked, device=request.device, stop=stop).weights


def draw_avatars(data: Path, count: int, stop: threading.Event) -> None:
    """Render the avatars that `avatars` learned from, where `data` is not there yet."""
    if not (data / MANIFEST_FILE).exists():
        plan = plan_avatars(RenderAvatarsRequest(style=STYLE, n=count, out=data))
        with Progress(count, noun="picture", keep=False) as progress:
            render(plan, stop=stop, progress=progress.advance)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="image set with labels")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--render", type=int, metavar="N", help="draw N avatars into --data first")
    parser.add_argument("--preset", choices=PRESETS, default="small")
    parser.add_argument("--kimg", type=float, default=120.0, help="to learn by heart")
    parser.add_argument("--sharpen-kimg", type=float, default=0.0, help="with a critic after that")
    parser.add_argument("--held-out", type=int, default=0, help="pictures kept apart, for scores")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", choices=["auto", "fp32", "bf16", "fp16"], default="auto")
    parser.add_argument("--tick-kimg", type=float, default=1.0, help="between lines of stats")
    parser.add_argument("--snapshot-kimg", type=float, default=10.0, help="between grids and saves")
    asked = vars(parser.parse_args())
    count = asked.pop("render")
    request = LearnByLabelsRequest(**asked)
    try:
        with stop_on_signals() as stop:
            if count:
                draw_avatars(request.data, count, stop)
            generator = learn(request, stop=stop)
            print(sharpen(request, generator, stop=stop) if request.sharpen_kimg else generator)
    except DistillError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
