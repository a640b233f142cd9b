"""The small things that pages take as given, each made once for all pages: photographs, data sets, a trained run."""

from __future__ import annotations

import csv
import shutil
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from nvidia_files import write_nvidia_pytorch
from onnx_files import model, node
from pages.reading import ROOT, blocks_of
from PIL import Image
from skimage import data
from video_clips import swaying, write_clip

from distill.cli.main import run
from distill.directions.file import read_direction
from distill.pixels import to_uint8
from distill.stylegan2.load import load_generator

SIDE = 96  # px of a photograph: a face is found in 10 ms
SMILES = ROOT / "stylegan_weights" / "making" / "smile_labels.csv"
DIRECTIONS = ROOT / "stylegan_weights" / "directions"
ASTRONAUT = ("me", "photo", "astronaut")


class Given:
    """Things by their kind, below `home`; a thing is made when the first page asks for it."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def put(self, wanted: Mapping[str, str], folder: Path) -> None:
        """Put things into a folder: {where it lies on the page: its kind}."""
        for name, kind in wanted.items():
            there = folder / name
            there.parent.mkdir(parents=True, exist_ok=True)
            if kind == "face":
                self.face(there)
            elif (made := self.made(kind)).is_dir():
                shutil.copytree(made, there, dirs_exist_ok=True)
            else:
                shutil.copy(made, there)

    def made(self, kind: str) -> Path:
        if not (self.home / kind).exists():
            MAKERS[kind](self, self.home / kind)
        return self.home / kind

    def face(self, path: Path) -> None:
        """One photograph: the astronaut, or by its name one of the sixteen people."""
        if path.stem in ASTRONAUT:
            picture = Image.fromarray(data.astronaut()[0:300, 90:390]).resize((192, 192))
        else:
            files = sorted(self.made("people").glob("*.jpg"))
            picture = Image.open(files[zlib.crc32(path.stem.encode()) % len(files)])
        picture.save(path)


def make_people(given: Given, folder: Path) -> None:
    """Eight samples of `portraits` as men and as women, of several ages, looking both ways."""
    generator = load_generator("portraits", precision="fp32")
    z = np.random.default_rng(0).standard_normal((8, generator.z_dim)).astype(np.float32)
    ws = generator.map(torch.from_numpy(z), truncation_psi=0.7)
    gender, age = (
        torch.as_tensor(read_direction(name, generator="portraits").vector) for name in ("gender", "age")
    )
    years = torch.linspace(-2, 2, 8)[:, None, None] * age
    folder.mkdir()
    for sex, strength in (("man", -2), ("woman", 3)):
        for number, image in enumerate(
            to_uint8(generator.synthesize(ws + strength * gender + years)).numpy()
        ):
            Image.fromarray(image).resize((SIDE, SIDE)).save(folder / f"{sex}-{number}.jpg", quality=95)


def make_few(given: Given, folder: Path) -> None:
    folder.mkdir()
    for name in ("man-1", "woman-2", "woman-3"):
        shutil.copy(given.made("people") / f"{name}.jpg", folder)


def make_labelled(given: Given, folder: Path) -> None:
    """Some under the names of pictures that the package has labels of."""
    folder.mkdir()
    with SMILES.open(newline="") as file:
        names = [row["file"] for row in csv.DictReader(file)][:4]
    for name, file in zip(names, sorted(given.made("people").glob("*.jpg")), strict=False):
        shutil.copy(file, folder / name)


def make_hundred(given: Given, folder: Path) -> None:
    """As many as measures of generators need, 64 px: the people, darker and darker."""
    folder.mkdir()
    files = sorted(given.made("people").glob("*.jpg"))
    for number in range(100):
        picture = Image.open(files[number % len(files)]).resize((64, 64))
        picture.point(lambda level, by=number: level - by // 4).save(folder / f"{number:02}.png")


def make_classes(given: Given, folder: Path) -> None:
    """Two classes of pictures, ten of each, for a scorer."""
    for name, files in (("neutral", "man-*.jpg"), ("smiling", "woman-*.jpg")):
        (folder / name).mkdir(parents=True)
        for file in given.made("people").glob(files):
            picture = Image.open(file)
            picture.save(folder / name / file.name)
            picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / name / f"mirrored-{file.name}")


def make_couples(*roles: str) -> Callable[[Given, Path], None]:
    """A folder for each role with pictures of the same names, as `import --from folders` reads them."""

    def make(given: Given, folder: Path) -> None:
        for number, role in enumerate(roles):
            (folder / role).mkdir(parents=True)
            for file in given.made("people").glob("*.jpg"):
                picture = Image.open(file).resize((64, 64))
                picture.point(lambda level, by=20 * number: level + by).save(
                    folder / role / f"{file.stem}.png"
                )

    return make


def make_truth(given: Given, folder: Path) -> None:
    """True pairs with their table: people, the same older, and the same of the other sex."""
    folder.mkdir()
    rows = [("id", "source", "older", "sex_changed", "gender", "sex_changed_gender", "age", "older_age")]
    for number in range(8):
        names = [f"man-{number}.jpg", f"older-{number}.jpg", f"woman-{number}.jpg"]
        for name in (names[0], names[2]):
            shutil.copy(given.made("people") / name, folder)
        Image.open(folder / names[0]).point(lambda level: level * 0.8).save(folder / names[1])
        rows.append((str(number), *names, "male", "female", "30", "50"))
    with (folder / "pairs.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def make_halves(given: Given, folder: Path) -> None:
    """Input and target side by side, as pix2pix has them."""
    (folder / "train").mkdir(parents=True)
    for file in given.made("people").glob("*.jpg"):
        both = Image.new("RGB", (128, 64))
        for left in (0, 64):
            both.paste(Image.open(file).resize((64, 64)), (left, 0))
        both.save(folder / "train" / f"{file.stem}.png")


def make_clothes(given: Given, folder: Path) -> None:
    """Oblong pictures of two kinds, with their table."""
    folder.mkdir()
    rows = []
    for number in range(16):
        kind = ("jeans", "shorts")[number % 2]
        pixels = np.full(
            (256, 128, 3), (40, 60, 120 + 5 * number) if number % 2 else (200, 180, 20), np.uint8
        )
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
        rows.append(f"{number:02}.png,{kind}")
    given.home.joinpath("kinds.csv").write_text("\n".join(["file,kind", *rows]))


def make_clip(given: Given, path: Path) -> None:
    write_clip(path, swaying(4, side=200))


def make_pickle(given: Given, path: Path) -> None:
    """`portraits` as NVIDIA's program would pickle it."""
    write_nvidia_pytorch(path, load_generator("portraits", precision="fp32").network.state_dict())


def make_published_direction(given: Given, path: Path) -> None:
    np.save(path, np.asarray(read_direction("gender", generator="portraits").vector)[:1])


def make_labels(given: Given, path: Path) -> None:
    rows = [
        f"{file.name},{'female' if file.name[0] == 'w' else 'male'}"
        for file in given.made("people").glob("*.jpg")
    ]
    path.write_text("\n".join(["file,gender", *rows]))


def make_scorer(given: Given, path: Path) -> None:
    """A network of two classes: how bright a face is."""
    constants = {"weight": np.float32([[-1, 1], [-1, 1], [-1, 1]])}
    nodes = [
        node("GlobalAveragePool", ["images"], "mean"),
        node("Flatten", ["mean"], "flat"),
        node("MatMul", ["flat", "weight"], "logits"),
    ]
    path.write_bytes(model(nodes, constants, ["N", 3, 64, 64], {"logits": ["N", 2]}))


def make_its_settings(given: Given, path: Path) -> None:
    """As the page of scorers has them."""
    path.write_text(next(text for name, text in blocks_of("distill/attributes/README.md") if name == "toml"))


def commands(*lines: str) -> Callable[[Given, Path], None]:
    """What a command of the program makes."""

    def make(given: Given, path: Path) -> None:
        for line in lines:
            words = line.format(out=path, home=given.home).split()
            assert run(words) == 0, line

    return make


def make_images(given: Given, folder: Path) -> None:
    table = given.made("labels.csv")
    people = given.made("people")
    words = ["--resolution", "64", "--labels", str(table), "--out", str(folder)]
    assert run(["prepare-images", str(people), *words]) == 0


def make_student(given: Given, folder: Path) -> None:
    words = ["--data", str(given.made("gender-swap")), "--out", str(folder), "--minutes", "0.01"]
    few = ["--features", "pixels8", "--perceptual", "none", "--val-fraction", "0.3", "--set", "ngf=4"]
    assert run(["train-pix2pix", *words, *few, "--set", "ndf=4"]) == 0


FEW = "--n 8 --batch-size 8 --cluster none"
MAKERS: dict[str, Callable[[Given, Path], object]] = {
    "people": make_people,
    "few": make_few,
    "labelled": make_labelled,
    "hundred": make_hundred,
    "classes": make_classes,
    "pairs": make_couples("source", "target"),
    "drawn": make_couples("photo", "drawing"),
    "triplets": make_couples("content", "style", "mixed"),
    "pix2pixhd": make_couples("train_A", "train_B"),
    "truth": make_truth,
    "halves": make_halves,
    "clothes": make_clothes,
    "kinds.csv": lambda given, path: given.made("clothes"),
    "clip.mp4": make_clip,
    "portraits.pkl": make_pickle,
    "direction.npy": make_published_direction,
    "labels.csv": make_labels,
    "smile_labels.csv": lambda given, path: shutil.copy(SMILES, path),
    "directions": lambda given, path: shutil.copytree(DIRECTIONS, path),
    "gender.safetensors": lambda given, path: shutil.copy(DIRECTIONS / "portraits-gender.safetensors", path),
    "smile.onnx": make_scorer,
    "smile.toml": make_its_settings,
    "style-mix": commands(f"generate --task style-mix {FEW} --out {{out}}"),
    "style-mix-jpeg": commands(f"generate --task style-mix {FEW} --codec jpeg --out {{out}}"),
    "gender-swap": commands("generate --task gender-swap --n 4 --batch-size 8 --cluster none --out {out}"),
    "measured": commands(
        "generate --task attributes --attributes gender,age,smile --n 4 --batch-size 8 --cluster none --out {out}"
    ),
    "student": make_student,
    "images": make_images,
}
