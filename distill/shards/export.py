"""Hand a data set to other programs: pix2pixHD's or plain folders with a table, WebDataset archives."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.errors import DistillError
from distill.files import atomic_write, make_folder, sweep
from distill.progress import command_text
from distill.shards.export_files import (
    OpenShard,
    image_file,
    json_file,
    rows_in_order,
    table_row,
    write_table,
    write_tar,
)
from distill.shards.folder import ShardReport, manifest_reports, read_json, read_manifest
from distill.shards.summary import roles_of

LAYOUTS = ("pix2pixhd", "folders", "webdataset")
IMAGE_FORMATS = ("png", "jpg")
PER_TAR = 1000  # samples
STAMP, TABLE = "export.json", "metadata.csv"
Advance = Callable[[int], object]  # called with the number of samples done since the last call


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """The first `limit` samples (None: all) of the data set in `folder`, to write to `out` in the layout `to`.

    `phase` begins the names of pix2pixHD's folders.
    """

    folder: Path
    out: Path
    to: str
    image_format: str = "png"
    limit: int | None = None
    phase: str = "train"


@dataclass(frozen=True, kw_only=True)
class Export:
    """One export: which samples, as which files. `places` maps each role to its folder, if there are any."""

    folder: Path
    out: Path
    to: str
    image_format: str
    samples: int
    roles: Sequence[str]
    reports: Sequence[ShardReport]
    places: Mapping[str, str]

    def key(self, number: int) -> str:
        """Name a sample by its number in the data set: "000042"."""
        return f"{number:0{digits(self.samples)}d}"

    def rows(self, start: int, stop: int) -> Iterator[tuple[int, OpenShard, int]]:
        """Yield (number, shard, row) of the samples start to stop - 1."""
        return rows_in_order(self.folder, self.reports, self.roles, start, stop)


@dataclass(frozen=True, kw_only=True)
class ExportReport:
    """What was done: samples in the export, files written now, files that were there already."""

    samples: int
    written: int
    kept: int
    hint: str


def export_dataset(request: ExportRequest, *, progress: Advance | None = None) -> ExportReport:
    """Write samples of a complete data set for another program.

    Files carry their final names only when complete, so the same command goes on where it was stopped. An export in
    `out` grows to the samples asked for: those of it that are there are the first of these. Raises DistillError for
    an incomplete data set, and for an `out` that holds anything but this export or more samples than asked for.
    """
    manifest = read_manifest(request.folder)
    job = plan(request, manifest)
    stamp = {
        "digest": manifest["digest"],
        "to": request.to,
        "format": request.image_format,
        "phase": request.phase,
        "samples": job.samples,
        "inputs": list(job.roles[:-1]),
        "target": job.roles[-1],
    }
    claim(request.folder, request.out, stamp)
    counts = {True: 0, False: 0}
    for was_written, samples_done in _write(job):
        counts[was_written] += 1
        if progress:
            progress(samples_done)
    hint = ""
    if request.to == "pix2pixhd":
        hint = pix2pixhd_hint(request.out, len(job.roles) - 1, manifest["recipe"], request.phase)
    return ExportReport(samples=job.samples, written=counts[True], kept=counts[False], hint=hint)


def samples_of(request: ExportRequest) -> int:
    """Return how many samples an export has."""
    n = int(read_manifest(request.folder)["n"])
    return n if request.limit is None else min(request.limit, n)


def plan(request: ExportRequest, manifest: Mapping[str, Any]) -> Export:
    """Work out samples, roles and folders of an export; nothing is written."""
    reports, roles = manifest_reports(manifest), roles_of(manifest["recipe"])
    for name in (*roles, request.phase):
        if not re.fullmatch(r"\w[\w-]{0,99}", name, flags=re.ASCII):
            raise DistillError(f"{name!r} cannot name a folder: letters, digits, _ and - only, at most 100")
    total = sum(report.rows for report in reports)
    return Export(
        folder=request.folder,
        out=request.out,
        to=request.to,
        image_format=request.image_format,
        samples=total if request.limit is None else min(request.limit, total),
        roles=roles,
        reports=reports,
        places=(
            pix2pixhd_folders(roles, request.phase)
            if request.to == "pix2pixhd"
            else {role: role for role in roles}
        ),
    )


def digits(samples: int) -> int:
    """Return how many digits the numbers of this many samples have."""
    return max(6, len(str(samples - 1)))


def tar_name(place: int) -> str:
    return f"distill-{place:06d}.tar"


def pix2pixhd_folders(roles: Sequence[str], phase: str) -> dict[str, str]:
    """Map roles to pix2pixHD's folders: first input A, target B, second input C; a third is an error."""
    *inputs, target = roles
    if not inputs:
        raise DistillError("pix2pixHD learns from pairs, this data set has plain images: use --to folders")
    if len(inputs) > 2:
        raise DistillError(
            f"pix2pixHD takes one or two inputs, this data set has {len(inputs)}: {', '.join(inputs)}; "
            "use --to folders"
        )
    named = dict(zip(inputs, "AC", strict=False)) | {target: "B"}
    return {role: f"{phase}_{named[role]}" for role in roles}


def pix2pixhd_hint(out: Path, inputs: int, recipe: Mapping[str, Any], phase: str) -> str:
    """Say how to train pix2pixHD on an export: in which program, by which command line.

    NVIDIA's reads A and B alone; that of the paper's authors (Viazovetskyi et al. 2020) joins C to the input.
    """
    program = "pix2pixHD by NVIDIA" if inputs == 1 else "pix2pixHD of EvgenyKashin/stylegan2-distillation"
    words = ["python", "train.py", "--name", out.absolute().name, "--dataroot", str(out.absolute())]
    words += [
        "--label_nc",
        "0",
        "--no_instance",
        "--input_nc",
        str(3 * inputs),
        "--loadSize",
        str(recipe.get("resolution")),
    ]
    words += ["--phase", phase] if phase != "train" else []
    return f"In a checkout of {program}: {command_text(*words)}"


def claim(folder: Path, out: Path, stamp: Mapping[str, Any]) -> None:
    """Take `out` for this export, or refuse it: foreign files, another export, inside the data set."""
    if out.resolve().is_relative_to(folder.resolve()):
        raise DistillError(f"{out}: lies inside the data set {folder}; choose a folder elsewhere")
    make_folder(out)
    sweep(out)
    if not (out / STAMP).exists():
        _refuse_foreign(out)
        atomic_write(out / STAMP, (json.dumps(stamp, indent=2) + "\n").encode(), synced=False)
        return
    found = read_json(out / STAMP)
    _refuse_other(out, found, stamp)
    if found != stamp:
        if stamp["to"] == "webdataset":  # the last archive may not be full
            (out / tar_name(found["samples"] // PER_TAR)).unlink(missing_ok=True)
        atomic_write(out / STAMP, (json.dumps(stamp, indent=2) + "\n").encode(), synced=False)


def _refuse_foreign(out: Path) -> None:
    foreign = sorted(path.name for path in out.iterdir())
    if foreign:
        raise DistillError(
            f"{out}: holds files that are not of this export, such as {foreign[0]!r}; choose an empty folder"
        )


def _refuse_other(out: Path, found: Mapping[str, Any], stamp: Mapping[str, Any]) -> None:
    """Refuse an export of something else, of more samples, or whose numbers have fewer digits."""
    for key, value in stamp.items():
        if key != "samples" and found.get(key) != value:
            raise DistillError(
                f"{out}: holds another export: {key} is {found.get(key)!r} there and {value!r} now; "
                "choose another folder or remove this one"
            )
    there, now = found.get("samples"), stamp["samples"]
    if not isinstance(there, int) or there > now or digits(there) != digits(now):
        raise DistillError(
            f"{out}: holds an export of {there} samples, {now} are asked for: an export grows while its"
            " numbers keep their digits, and never shrinks; choose another folder or remove this one"
        )


def _write(job: Export) -> Iterator[tuple[bool, int]]:
    """Write every file of the export; yield for each (written now, samples that are done with it)."""
    if job.to == "webdataset":
        yield from _write_tars(job)
        return
    for place in job.places.values():
        _make_folder(job.out / place)
    yield from _write_images(job)
    rows = job.rows(0, job.samples)
    write_table(job.out / TABLE, (table_row(job.key(n), shard, row) for n, shard, row in rows))
    yield True, 0


def _make_folder(path: Path) -> None:
    path.mkdir(exist_ok=True)
    sweep(path)


def _write_images(job: Export) -> Iterator[tuple[bool, int]]:
    for number, shard, row in job.rows(0, job.samples):
        for k, (role, place) in enumerate(job.places.items(), start=1):
            path = job.out / place / f"{job.key(number)}.{job.image_format}"
            missing = not path.exists()
            if missing:
                atomic_write(path, image_file(shard.reader, role, row, job.image_format), synced=False)
            yield missing, int(k == len(job.places))


def _write_tars(job: Export) -> Iterator[tuple[bool, int]]:
    for place, start in enumerate(range(0, job.samples, PER_TAR)):
        stop = min(start + PER_TAR, job.samples)
        path = job.out / tar_name(place)
        missing = not path.exists()
        if missing:
            write_tar(path, _tar_samples(job, start, stop))
        yield missing, stop - start


def _tar_samples(job: Export, start: int, stop: int) -> Iterator[tuple[str, dict[str, bytes]]]:
    for number, shard, row in job.rows(start, stop):
        parts = {
            f"{role}.{job.image_format}": image_file(shard.reader, role, row, job.image_format)
            for role in job.roles
        }
        yield job.key(number), {**parts, "json": json_file(shard, row)}
