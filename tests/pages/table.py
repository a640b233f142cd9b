"""Each page: what it takes as given, smaller numbers for its commands, and what no test runs, with the reason."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pages.reading import commands_of, scripts_of
from pages.rules import MINUTES, NOT_RUN, SMALLER


@dataclass(frozen=True)
class Page:
    """`given`: {where it lies: its kind in `pages.folder`}; `makes`: files that are there in the end.

    `smaller` and `not_run` stand beside `SMALLER` and `NOT_RUN`, and come first: what they change may run. `slow`:
    parts of commands that the marker slow alone runs.
    """

    given: Mapping[str, str] = field(default_factory=dict)
    smaller: Mapping[str, str] = field(default_factory=dict)
    not_run: Mapping[str, str] = field(default_factory=dict)
    slow: tuple[str, ...] = ()
    makes: tuple[str, ...] = ()


LARGE = {"ffhq-1024": "portraits", "--resolution 256": "--resolution 64"}  # the embedded teacher instead
FEW_SMILES = {"(.*smile.*)": r"\1 --confidence 0.5"}  # among few samples few are sure
TABLE = {
    "README.md": Page(
        given={"photo.jpg": "face", "style.jpg": "face", "photos": "few", "others": "few"},
        makes=(
            "swapped/photo.png",
            "older/pasted/man-1.png",
            "pairs/sheet.png",
            "mixed/photo.png",
            "mixed-too/photo.png",
        ),
    ),
    "benchmarks/README.md": Page(
        smaller={"shards.py 64 256 512": "shards.py 64 --rows 4 --rounds 1", "--shards 10000": "--shards 20"},
        not_run={
            f"benchmarks/{name}.py": MINUTES
            for name in (
                "kill_storm",
                "kill_commands",
                "generate",
                "floor",
                "pipeline",
                "kernels",
                "decisions",
                "scaling",
                "driver_load",
                "train_stylegan2",
                "train_pix2pix",
                "train_baselines",
                "regions",
                "region_drift",
                "region_student",
                "video_stability",
                "project",
                "gpu_counts",
            )
        },
    ),
    "benchmarks/h100.md": Page(not_run={"benchmarks/gpu_counts.py": MINUTES}),
    "distill/attributes/README.md": Page(
        given={"photos": "few", "smiles": "classes"},
        smaller={"(directions fit .*)": r"\1 --confidence 0.5"},
        slow=("directions fit",),
    ),
    "distill/directions/README.md": Page(
        given={"me.jpg": "face", "stylegan2_gender.npy": "direction.npy"},
        smaller={
            "ffhq-1024": "portraits",
            "--count 10": "--count 2",
            "(directions import .*)": r"\1 --out directions/published.safetensors",
        },
    ),
    "distill/editing/README.md": Page(
        given={
            "style.jpg": "face",
            "me.jpg": "face",
            "you.jpg": "face",
            "clip.mp4": "clip.mp4",
            "photographs": "people",
            "others": "few",
        }
        | {
            f"holiday/{name}.jpg": "face"
            for name in (
                "astronaut",
                "made-0177",
                "us-0667",
                "made-0087",
                "made-0097",
                "us-0747",
                "made-0077",
                "us-0837",
            )
        },
        not_run={"--lpips": "needs VGG16 with LPIPS, which is fetched", "benchmarks/": MINUTES},
    ),
    "distill/evaluation/README.md": Page(given={"holiday": "few", "pairs": "truth"}),
    "distill/evaluation/comparison/README.md": Page(
        given={
            "portraits": "people",
            "photos": "people",
            "made-elsewhere": "people",
            "pairs": "truth",
            "labels.csv": "labels.csv",
            "data/faces": "images",
            "grey": "few",
            "colour": "few",
        },
        smaller={"--latent-limit 24": "--latent-limit 4", " …": " --method ageing=ageing --out sexes"},
        slow=("--labels labels.csv",),
    ),
    "distill/faces/regions/README.md": Page(slow=("",)),
    "distill/generation/README.md": Page(
        smaller={"ssim < 0.8": "ssim < 0.95"}, not_run={"benchmarks/": MINUTES}
    ),
    "distill/metrics/README.md": Page(
        given={
            "faces": "hundred",
            "ffhq": "hundred",
            "pictures": "hundred",
            "smile.toml": "smile.toml",
            "smile.onnx": "smile.onnx",
            "a.toml": "smile.toml",
        },
        smaller={
            "ffhq-1024-tf": "portraits --out large",
            "tiny.safetensors": "portraits --out tiny",
            "b.toml": "builtin",
        },
        slow=("ppl_zfull", "ls_20k"),
    ),
    "distill/serve/README.md": Page(
        given={"runs/student": "student", "data/style-mix-portraits-seed0": "style-mix"}
    ),
    "distill/shards/images/README.md": Page(given={"photos": "people", "labels.csv": "labels.csv"}),
    "distill/training/README.md": Page(
        given={
            "holiday": "few",
            "photos": "people",
            "pairs": "drawn",
            "facades": "halves",
            "hd": "pix2pixhd",
            "more": "few",
            "clothes": "clothes",
            "horses": "few",
            "zebras": "few",
            "kinds.csv": "kinds.csv",
        },
        smaller={
            **LARGE,
            r"(runs/edits .*age=\+)20": r"\g<1>5",
            " --gpus 2": "",
            "pairs/ (.*) --resolution 64": r"pairs/ \1 --resolution 32",
        },
    ),
    "distill/training/stylegan2/README.md": Page(
        given={"photos": "people", "drawings": "people", "hundred": "hundred"},
        smaller={
            "generator-000004000": "generator",
            "ppl_wend,ls": "ppl_wend",  # it draws no faces yet
            "data/faces --metrics": "hundred --metrics",  # FID needs a hundred pictures
            "(style-mix .*--generator runs/faces.*)": r"\1 --align none",
        },
    ),
    "docker/README.md": Page(),
    "pipelines/README.md": Page(
        given={"me.jpg": "face", "you.jpg": "face", "drawing.png": "face"},
        smaller={"anime.pkl": "avatars"},
        slow=("anime.pkl", "distill inspect"),
    ),
    "pipelines/ffhq.md": Page(
        given={"photos": "few", "directions/portraits-gender.safetensors": "gender.safetensors"},
        smaller={
            **LARGE,
            "(distill directions fit .*)": r"\1 --dry-run --overwrite",
        },  # one page fits for all
        slow=("inspect data/swap",),
    ),
    "pipelines/jobs/README.md": Page(
        smaller={
            "--cluster local": "--cluster local --workers 1",
            r"--n 50000 --shards 0-97": "--n 16 --shard-size 8 --shards 0-0",
            r"--n 50000 --shards 98-195": "--n 16 --shard-size 8 --shards 1-1",
        },
        slow=("--cluster local",),
    ),
    "stylegan_weights/README.md": Page(given={"my-network.pkl": "portraits.pkl"}, smaller=LARGE),
    "stylegan_weights/attributes/README.md": Page(
        given={
            "PHOTOS": "labelled",
            "stylegan_weights/making/smile_labels.csv": "smile_labels.csv",
        }
    ),
    "stylegan_weights/avatars.md": Page(),
    "stylegan_weights/directions/README.md": Page(
        given={"stylegan_weights/directions": "directions"}, slow=("",), smaller=FEW_SMILES
    ),
    "stylegan_weights/directions/portraits-age.md": Page(slow=("",)),
    "stylegan_weights/directions/portraits-gender.md": Page(slow=("",)),
    "stylegan_weights/directions/portraits-smile.md": Page(slow=("",), smaller=FEW_SMILES),
    "stylegan_weights/directions/portraits-yaw.md": Page(slow=("",), smaller=FEW_SMILES),
    "stylegan_weights/drawings.md": Page(),
    "stylegan_weights/encoders/portraits.md": Page(
        given={"photo.jpg": "face", "data/faces": "images"}, smaller={"held_out=100": "held_out=4"}
    ),
    "stylegan_weights/people.md": Page(),
    "stylegan_weights/portraits.md": Page(),
    "stylegan_weights/students/README.md": Page(
        given={"photo.jpg": "face", "style.jpg": "face", "photos": "few", "pairs": "pairs"}
    ),
    "stylegan_weights/students/ageing.md": Page(given={"runs/first": "student", "pairs": "pairs"}),
    "stylegan_weights/students/attributes.md": Page(given={"data/photo-attributes": "measured"}),
    "stylegan_weights/students/face-to-drawing.md": Page(given={"pairs": "pairs"}),
    "stylegan_weights/students/gender-swap.md": Page(given={"pairs4.5": "pairs", "pairs4": "pairs"}),
    "stylegan_weights/students/style-mix.md": Page(given={"PHOTOS": "few", "triplets": "triplets"}),
}


def all_commands(page: str) -> list[str]:
    return commands_of(page) + scripts_of(page)


def why_not(page: str, command: str) -> str | None:
    """Why no test runs a command of a page; None where one does."""
    return next(iter(reasons(page, command).values()), None)


def reasons(page: str, command: str) -> dict[str, str]:
    """Return the entries of both lists that fit a command as the page's own substitutions leave it."""
    for pattern, replacement in TABLE[page].smaller.items():
        command = re.sub(pattern, replacement, command)
    return {part: why for part, why in {**TABLE[page].not_run, **NOT_RUN}.items() if part in command}


def is_slow(page: str, command: str) -> bool:
    return any(part in command for part in TABLE[page].slow)


def changing(page: str, command: str) -> dict[str, str]:
    """Put smaller numbers into a command of a page; return what it is after each pattern that changes it."""
    found: dict[str, str] = {}
    for pattern, replacement in {**TABLE[page].smaller, **SMALLER}.items():
        if why_not(page, command) is None and (changed := re.sub(pattern, replacement, command)) != command:
            command = found[pattern] = changed
    return found


def smaller(page: str, command: str) -> str:
    """Put smaller numbers into a command of a page."""
    return [command, *changing(page, command).values()][-1]
