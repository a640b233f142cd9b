"""Make triplets, train a student on them, score and use it: python examples/train_student.py OUT [N] [EPOCHS]"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

import distill
from distill.pixels import to_uint8, write_png


def main(out: Path, n: int, epochs: float) -> None:
    choices = distill.TaskChoices(align="none")  # no look at faces: quicker
    distill.generate("style-mix", n=n, out=out / "data", choices=choices)
    settings = {"constant_epochs": epochs, "decay_epochs": epochs}
    quick = "pixels8"  # features of the Fréchet distance; leave it out for those of EfficientNet-Lite0
    result = distill.train(
        "pix2pix", data=out / "data", out=out / "student", settings=settings, features=quick
    )
    report = distill.evaluate(out / "student", data=out / "data", faces=0, features=quick)
    print(f"{result.weights}: L1 {report.facts['scores']['student']['l1']:.4f}; look at {result.page}")

    student = distill.load_student(out / "student")
    row = distill.TripletDataset(out / "data", dtype="float32")[0]  # role -> [3, H, W] in [-1, 1]
    inputs = torch.cat([row[role] for role in student.facts.inputs])
    output = student(inputs[None])[0].cpu()
    shown = torch.stack([*(row[role] for role in student.facts.inputs), output])
    write_png(out / "first.png", torch.cat(list(to_uint8(shown)), dim=1).numpy())


if __name__ == "__main__":
    words = sys.argv[1:]
    main(
        Path(words[0] if words else "runs/example"),
        n=int(words[1]) if len(words) > 1 else 1000,
        epochs=float(words[2]) if len(words) > 2 else 20,
    )
