"""A student as a web page: a folder that any web server shows, and in which a browser does all the work.

page (web/) + networks that find faces (web/faces/) + onnxruntime-web (fetched) + student.onnx, student.json ─► folder
"""

from __future__ import annotations

import json
import tarfile
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import distill
from distill.editing.export import ExportedStudent, export_student
from distill.editing.translator import Translator
from distill.errors import DistillError, os_error
from distill.files import check_folder, made_folder, open_regular, read_regular
from distill.networks.edits import EditCondition
from distill.networks.student import Student
from distill.pixels import Mark
from distill.serve.students import ENDS, about_student, entry_of_student, face_side
from distill.weights.registry import entry_of, resolve_entry

PAGE = Path(__file__).parent / "web"
FACTS, STUDENT = "student.json", "student.onnx"
RUNTIME = "web-runtime"  # of `distill weights`: the npm package onnxruntime-web
PROGRAM = {  # of that package: one build that runs by WebGPU and, without one, by WebAssembly alone
    "package/dist/ort.webgpu.bundle.min.mjs": "runtime/ort.js",
    "package/dist/ort-wasm-simd-threaded.asyncify.wasm": "runtime/ort.wasm",
}
LOADED = {  # what the page loads when it opens, beside its scripts
    "program": "runtime/ort.wasm",
    "detector": "faces/detector.onnx",
    "landmarks": "faces/landmarks.onnx",
    "student": STUDENT,
}


@dataclass(frozen=True, kw_only=True)
class ExportedPage:
    """What was written: `size` of the folder in bytes, and the student as it is in there."""

    folder: Path
    size: int
    student: ExportedStudent


def check_page_folder(folder: Path, *, overwrite: bool) -> None:
    """Raise DistillError where the page cannot be written, or its folder holds something; nothing is made.

    `overwrite` replaces an earlier page, and nothing else.
    """
    check_folder(folder)
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if not (folder / FACTS).is_file():
        raise DistillError(f"{folder} is not empty, and holds no page of a student: choose another --out")
    if not overwrite:
        raise DistillError(
            f"{folder} holds the page of a student; choose another --out, or replace it with --overwrite"
        )


def export_page(student: Student, folder: Path, *, overwrite: bool = False) -> ExportedPage:
    """Write a student as a web page: whole, or not at all where the folder was not there.

    Raises DistillError for a student of other than one or two square images, where onnxruntime-web was not fetched,
    and as `check_page_folder` and `export_student`.
    """
    check_page_folder(folder, overwrite=overwrite)
    size = face_side(student)
    package = runtime_package()
    try:
        with made_folder(folder.parent), TemporaryDirectory(dir=folder.parent, prefix=".") as aside:
            new = Path(aside) / "page"
            _copy(package, new)
            done = export_student(student, new / STUDENT, half=True)
            facts = json.dumps(page_facts(student, size, done, new), indent=2, ensure_ascii=False) + "\n"
            (new / FACTS).write_text(facts, encoding="utf-8")
            written = sum(path.stat().st_size for path in _files(new))
            _replace(new, folder)
    except OSError as error:
        raise os_error(error) from error
    return ExportedPage(folder=folder, size=written, student=done)


def page_facts(student: Student, size: int, done: ExportedStudent, folder: Path) -> dict[str, Any]:
    """Return what the page knows of its student: texts, inputs in order, changes, files with bytes, marks."""
    entry = entry_of_student(student)
    own = student.change if student.change != "import" else None  # imported pairs say no edit
    title = entry.name if entry else own or "student"
    style_first = Translator(student=student, size=size).style_first
    style = [] if student.input_count == 1 else ["style"]
    return {
        "title": title,
        "about": about_student(student, size),
        "size": size,
        "inputs": [*style, "photo"] if style_first else ["photo", *style],
        "conditions": [_condition(condition) for condition in done.conditions],
        "files": {
            name: {"path": path, "bytes": (folder / path).stat().st_size} for name, path in LOADED.items()
        },
        "marks": {
            view: Mark(by=student.credit, partly=view == "photo").texts() for view in ("face", "photo")
        },
        "made_by": f"distill {distill.__version__}",
    }


def runtime_package() -> Path:
    """Return the fetched package of onnxruntime-web. Raises DistillError where it is not here, or another file."""
    entry = entry_of(RUNTIME)
    if entry is None or not entry.path.is_file():
        raise DistillError(
            f"a page needs onnxruntime-web, which is not on this machine: run distill weights fetch {RUNTIME} (33 MB)"
        )
    return resolve_entry(entry)


def _condition(condition: EditCondition) -> dict[str, Any]:
    """A change with the words for both ends of its range."""
    unit = condition.unit if condition.kind == "value" else ""
    return {**asdict(condition), "unit": unit, "ends": ENDS.get(condition.name, ("less", "more"))}


def _copy(package: Path, folder: Path) -> None:
    """Put the page and the program into a new folder."""
    for path in _files(PAGE):
        target = folder / path.relative_to(PAGE)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(read_regular(path))
    with open_regular(package) as file, tarfile.open(fileobj=file) as members:
        for name, place in PROGRAM.items():
            member = members.extractfile(name)
            if member is None:
                raise DistillError(f"{package}: {name} is not in it")
            (folder / place).write_bytes(member.read())


def _replace(new: Path, folder: Path) -> None:
    """Give a finished page its name, or put its files in the place of an earlier one's."""
    if not folder.is_dir():
        new.replace(folder)
        return
    for path in _files(new):
        target = folder / path.relative_to(new)
        target.parent.mkdir(exist_ok=True)
        path.replace(target)


def _files(folder: Path) -> list[Path]:
    """All files below, last what tells the page of its student."""
    return sorted(
        (path for path in folder.rglob("*") if path.is_file()), key=lambda path: (path.name == FACTS, path)
    )
