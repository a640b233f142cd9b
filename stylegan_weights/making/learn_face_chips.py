"""Teach the small networks for smile and yaw on chips of rendered people.

    python -m stylegan_weights.making.people_chips PEOPLE data/chips.npz
    python -m stylegan_weights.making.learn_face_chips PEOPLE data/chips.npz OUT

PEOPLE holds `labels.csv`. `smile` and `grin` count as a smile, `slight` as half of one, all else as none; yaw is in
degrees. Photographs look otherwise than renders, so every chip is drawn anew: moved, turned, stretched, mirrored (yaw
changes its sign), its channels mixed to grey at random, lit from a side, blurred or sharpened, with noise, and partly
covered. Renders show no teeth: `--teeth` of the smiles get some. Both numbers are learnt by one network, whose
moving averages are written for each alone, as float16.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from safetensors.torch import load_file, save_file
from scipy.special import expit
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn import functional as F

from distill.attributes.calibration import calibration
from distill.attributes.crops import FIVE_OF_68
from distill.faces.detection import chip_quad
from distill.networks.face_chip import GREY, SIDE, FaceChipNetwork
from distill.progress import Progress
from stylegan_weights.making import people_chips

PADDING = 0.3  # of the chips that the network is to see
ZOOM = SIDE / (1 + 2 * PADDING) / (people_chips.SIDE / (1 + 2 * people_chips.PADDING))  # px of theirs a px
SMILES = {"smile": 1.0, "grin": 1.0, "slight": 0.5}
ATTRIBUTES = ("smile", "yaw")
DEGREES = 10.0  # that the network's 1 stands for
BATCH = 128
AVERAGE = 0.998  # a step
SHARPEST = 1.5
TEETH = (1.15, 1.1, 1.0)  # of the bright parts of a face, by channel
FINE = 4
MIDDLE = 0.5


@dataclass(frozen=True, kw_only=True, eq=False)
class Chips:
    """Chips uint8 [N, 3, 96, 96]; `toothed`: with teeth where they smile; `targets` [N, 2]: smile, yaw."""

    pixels: Tensor
    toothed: Tensor
    targets: Tensor
    kinds: NDArray[np.str_]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("people", type=Path)
    parser.add_argument("chips", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--teeth", type=float, default=0.5, help="share of the smiles that get teeth")
    parser.add_argument("--init", type=Path, help="folder of two files to go on from")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    torch.manual_seed(chosen.seed)
    chips = read_chips(chosen.people, chosen.chips, "train")
    network = learn(chips, epochs=chosen.epochs, teeth=chosen.teeth, init=chosen.init)
    for number, attribute in enumerate(ATTRIBUTES):
        write(network, number, chosen.out / f"{attribute}.safetensors")
    for split in ("val", "test"):
        report(network, read_chips(chosen.people, chosen.chips, split), split)


def joined(folder: Path) -> dict[str, Tensor]:
    """Return the network of both numbers from two files of `write`: what is before the last layer is the same."""
    parts = [load_file(folder / f"{attribute}.safetensors") for attribute in ATTRIBUTES]
    state = dict(parts[0])
    state |= {name: torch.cat([part[name] for part in parts]) for name in ("last.weight", "last.bias")}
    return {name: value.float() for name, value in state.items()}


def write(network: FaceChipNetwork, number: int, path: Path) -> None:
    """Write the network with one of its numbers."""
    state = network.state_dict()
    state |= {name: state[name][number : number + 1] for name in ("last.weight", "last.bias")}
    facts = f"{path.stem} of people rendered with assets of MakeHuman, CC0-1.0"
    save_file({name: value.half() for name, value in state.items()}, path, metadata={"source": facts})
    path.chmod(0o644)
    print(path, path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())


def read_chips(people: Path, file: Path, split: str) -> Chips:
    with (people / "labels.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    found = np.load(file)
    chosen = np.array([rows[row]["split"] == split for row in found["index"]])
    mine = [rows[row] for row in found["index"][chosen]]
    toothed = found["chips"][chosen].copy()
    for chip, landmarks, row in zip(toothed, found["landmarks"][chosen], mine, strict=True):
        if SMILES.get(row["expr"]) == 1.0:
            paint_teeth(chip, landmarks)
    return Chips(
        toothed=torch.from_numpy(toothed).permute(0, 3, 1, 2).contiguous(),
        pixels=torch.from_numpy(found["chips"][chosen]).permute(0, 3, 1, 2).contiguous(),
        targets=torch.tensor([[SMILES.get(row["expr"], 0.0), float(row["yaw"]) / DEGREES] for row in mine]),
        kinds=np.array([row["expr"] for row in mine]),
    )


def paint_teeth(chip_HWC: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> None:
    """Open the mouth of a chip, half way from its inner to its outer lips, and fill it with teeth."""
    quad = chip_quad(landmarks[list(FIVE_OF_68)], people_chips.SIDE, people_chips.PADDING)
    across, down = quad[3] - quad[0], quad[1] - quad[0]
    inner = landmarks[60:68]
    outer = landmarks[[48, 50, 51, 52, 54, 56, 57, 58]]
    places = (inner + outer) / 2 - quad[0]
    x, y = places @ across / (across @ across), places @ down / (down @ down)
    area = Image.new("L", (people_chips.SIDE * FINE, people_chips.SIDE * FINE))
    corners = np.stack([x, y], axis=1) * people_chips.SIDE * FINE
    ImageDraw.Draw(area).polygon([tuple(corner) for corner in corners.tolist()], fill=255)
    share = np.asarray(area.resize((people_chips.SIDE, people_chips.SIDE), Image.Resampling.BOX)) / 255
    middle = chip_HWC[people_chips.SIDE // 3 : -people_chips.SIDE // 3]
    teeth = np.minimum(np.percentile(middle, 97) * np.array(TEETH), 255)
    chip_HWC[:] = chip_HWC + share[:, :, None] * (teeth - chip_HWC)


def learn(chips: Chips, *, epochs: int, teeth: float, init: Path | None) -> FaceChipNetwork:
    network, average = FaceChipNetwork(len(ATTRIBUTES)), FaceChipNetwork(len(ATTRIBUTES))
    if init:
        network.load_state_dict(joined(init))
    average.load_state_dict(network.state_dict())
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.02)
    steps = epochs * (len(chips.targets) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps, pct_start=0.1)
    with Progress(steps, noun="step") as progress:
        for step in range(steps):
            rows = torch.randint(len(chips.targets), (BATCH,))
            painted = (torch.rand(BATCH) < teeth)[:, None, None, None]
            pixels = torch.where(painted, chips.toothed[rows], chips.pixels[rows])
            grey, mirrored = drawn_anew(pixels.float())
            loss = loss_of(network.read(grey), chips.targets[rows], mirrored)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            keep = min(AVERAGE, (step + 1) / (step + 10))
            with torch.no_grad():
                for mean, value in zip(average.parameters(), network.parameters(), strict=True):
                    mean.lerp_(value, 1 - keep)
            if step % 100 == 0:
                progress.beside(f"loss {loss.item():.3f}")
            progress.advance(1)
    return average.eval()


def loss_of(found_N2: Tensor, targets_N2: Tensor, mirrored_N: Tensor) -> Tensor:
    smile, yaw = targets_N2.unbind(dim=1)
    turned = torch.where(mirrored_N, -yaw, yaw)
    smiling = F.binary_cross_entropy_with_logits(found_N2[:, 0], smile)
    return smiling + F.smooth_l1_loss(found_N2[:, 1], turned, beta=0.2)


def drawn_anew(pixels_NCHW: Tensor) -> tuple[Tensor, Tensor]:
    """Return chips [N, 1, 48, 48] as other cameras might have taken them, and which of them are mirrored [N]."""
    count = len(pixels_NCHW)
    mirrored = torch.rand(count) < 0.5
    grey = cut(mixed(pixels_NCHW), moves(count, mirrored))
    low, high = grey.amin(dim=(2, 3), keepdim=True), grey.amax(dim=(2, 3), keepdim=True)
    grey = ((grey - low) / (high - low + 1)).clamp(0, 1) ** spread(count, 0.35).exp()
    grey = grey * (1 + lit(count))
    soft = F.interpolate(
        F.interpolate(grey, size=int(torch.randint(18, SIDE, ())), mode="bilinear", antialias=True),
        size=SIDE,
        mode="bilinear",
    )
    sharp = torch.rand(count, 1, 1, 1) * (1 + SHARPEST) - SHARPEST  # 1: soft; below 0: sharpened
    grey = grey + sharp * (soft - grey)
    grey = grey + torch.rand(count, 1, 1, 1) ** 2 * 0.12 * torch.randn_like(grey)
    return covered(grey) * 255, mirrored


def spread(count: int, size: float) -> Tensor:
    return torch.randn(count, 1, 1, 1) * size


def mixed(pixels_NCHW: Tensor) -> Tensor:
    """Mix the channels to grey, by weights around those of the eye."""
    shares = pixels_NCHW.new_tensor(GREY) * (torch.randn(len(pixels_NCHW), 3) * 0.6).exp()
    shares = shares / shares.sum(dim=1, keepdim=True)
    return (pixels_NCHW * shares[:, :, None, None]).sum(dim=1, keepdim=True)


def moves(count: int, mirrored: Tensor) -> Tensor:
    """Return affine maps [N, 2, 3] from the chip that is wanted to the larger one."""
    angle, size = torch.randn(count) * 0.07, (torch.randn(count) * 0.07).exp()
    stretch = (torch.randn(count) * 0.05).exp()
    scale = SIDE / (people_chips.SIDE * ZOOM) * size
    shear = torch.randn(count) * 0.04
    sign = torch.where(mirrored, -1.0, 1.0)
    cosine, sine = angle.cos(), angle.sin()
    x = torch.stack(
        [sign * scale * stretch * cosine, scale * (shear - sine), torch.randn(count) * 0.03], dim=1
    )
    y = torch.stack(
        [sign * scale * sine * stretch, scale / stretch * cosine, torch.randn(count) * 0.03], dim=1
    )
    return torch.stack([x, y], dim=1)


def cut(pixels_NCHW: Tensor, moves_N23: Tensor) -> Tensor:
    places = F.affine_grid(moves_N23, [len(pixels_NCHW), 1, SIDE, SIDE], align_corners=False)
    return F.grid_sample(pixels_NCHW, places, align_corners=False)


def plain(pixels_NCHW: Tensor) -> Tensor:
    """Return chips [N, 3, 48, 48] as the scorer sees them."""
    move = torch.tensor([[1.0, 0, 0], [0, 1, 0]]) * SIDE / (people_chips.SIDE * ZOOM)
    return cut(pixels_NCHW.float(), move.expand(len(pixels_NCHW), 2, 3))


def lit(count: int) -> Tensor:
    """Return light [N, 1, 48, 48] that grows to a side, and a bright or dark spot."""
    line = torch.linspace(-1, 1, SIDE)
    x, y = line.reshape(1, 1, 1, SIDE), line.reshape(1, 1, SIDE, 1)
    slope = spread(count, 0.25) * x + spread(count, 0.2) * y
    spot = spread(count, 0.25) * (-((x - spread(count, 0.5)) ** 2 + (y - spread(count, 0.5)) ** 2) * 3).exp()
    return (slope + spot).clamp(-0.8, 0.8)


def covered(grey_N1HW: Tensor) -> Tensor:
    """Cover a rectangle of every third chip, as hair, hands and microphones do."""
    count = len(grey_N1HW)
    line = torch.arange(SIDE).float()
    left, top = torch.rand(2, count, 1, 1, 1) * SIDE
    wide, tall = torch.rand(2, count, 1, 1, 1) * 14
    hidden = ((line - left).abs() < wide / 2) & ((line[:, None] - top).abs() < tall / 2)
    hidden &= torch.rand(count, 1, 1, 1) < 1 / 3
    return torch.where(hidden, torch.rand(count, 1, 1, 1), grey_N1HW)


@torch.inference_mode()
def report(network: FaceChipNetwork, chips: Chips, split: str) -> None:
    """Print how well the numbers agree with the labels; a slight smile is neither."""
    found = torch.cat([network(plain(part)) for part in chips.pixels.split(256)]).numpy()
    targets = chips.targets.numpy()
    error = np.abs(found[:, 1] - targets[:, 1]).mean() * DEGREES
    agrees = np.corrcoef(found[:, 1], targets[:, 1])[0, 1]
    print(f"{split}: yaw is off by {error:.2f} degrees on the mean, correlation {agrees:.3f}")
    clear = chips.kinds != "slight"
    yes, p = targets[clear, 0] > MIDDLE, expit(found[clear, 0])
    judged = calibration(p, yes)
    print(f"{split}: smile, AUC {roc_auc_score(yes, p):.4f}, {judged}")
    for kind in np.unique(chips.kinds):
        print(f"  {kind}: {expit(found[chips.kinds == kind, 0]).mean():.2f} on the mean")


if __name__ == "__main__":
    main()
