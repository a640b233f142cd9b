"""`distill export-student`: write a student for other runtimes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from distill.cli import options

if TYPE_CHECKING:
    from distill.editing.export import ExportedStudent
    from distill.networks.student import NormStatistics, Student


@click.command("export-student")
@click.argument("source", metavar="NAME|RUN|FILE", type=options.STUDENT)
@click.option(
    "--to",
    type=click.Choice(["onnx", "float16", "web"]),
    default="onnx",
    show_default=True,
    help="ONNX, half the size, or a page for browsers.",
)
@click.option(
    "--out",
    required=True,
    metavar="FILE|DIR",
    type=options.PATH,
    help="The file to write; of a page, its folder.",
)
@options.edit
@options.norm_statistics
@options.overwrite
def export_student(
    source: Path,
    to: str,
    out: Path,
    edit: str | None,
    norm_statistics: NormStatistics,
    overwrite: bool,
) -> None:
    """Write a student for other programs: as ONNX, as a smaller .safetensors, or as a web page.

    onnx is float32; batch size and image size stay free. With --edit it makes this edit alone; without, a student of
    any strength gets a second input, condition. float16 has half the size, and makes the edit where it is told no
    other. What is written is compared with the student first: ONNX may be 1e-4 off; of float16 the difference is
    printed.

    web is a folder for any web server: the page finds faces, translates them and pastes them back, all in the
    browser. It needs onnxruntime-web: distill weights fetch web-runtime.

    \b
    distill export-student runs/student --out student.onnx
    distill export-student attributes --edit age=+20 --out older.onnx
    distill export-student ageing --to web --out page
    """
    from distill.files import check_file, path_text
    from distill.networks.student import load_student
    from distill.serve.web_export import check_page_folder, runtime_package

    if to == "float16" and out.suffix != ".safetensors":
        raise click.UsageError(f"--out {path_text(out)}: the name must end in .safetensors")
    if to == "web":
        check_page_folder(out, overwrite=overwrite)
        runtime_package()
    else:
        check_file(out, overwrite=overwrite)
    student = load_student(source, precision="fp32", norm_statistics=norm_statistics, edit=edit)
    options.tell(student.notes())
    done = {"onnx": _onnx, "float16": _half, "web": _page}[to](student, out, overwrite)
    click.echo(f"  largest difference of a pixel in [-1, 1]: {done.difference:.1e}")


def _half(student: Student, out: Path, overwrite: bool) -> ExportedStudent:
    from distill.editing.export import export_half
    from distill.files import path_text
    from distill.progress import size_text

    done = export_half(student, out)
    click.echo(f"wrote {path_text(done.path)}: float16, {size_text(done.size)}")
    return done


def _onnx(student: Student, out: Path, overwrite: bool) -> ExportedStudent:
    from distill.editing.export import export_student
    from distill.editing.onnx_graph import OPSET
    from distill.files import path_text
    from distill.progress import size_text

    done = export_student(student, out)
    roles = f" ({', '.join(student.facts.inputs)})" if student.facts.inputs else ""
    click.echo(f"wrote {path_text(done.path)}: ONNX opset {OPSET}, {size_text(done.size)}")
    click.echo(
        f"  images: float32 [batch, {student.input_channels}, height, width] in [-1, 1]{roles}; {_sides(student)}"
    )
    if done.conditions:
        changes = ", ".join(f"{condition.name} {condition.range_text}" for condition in done.conditions)
        click.echo(f"  condition: float32 [batch, {len(done.conditions)}]: {changes}")
    return done


def _page(student: Student, out: Path, overwrite: bool) -> ExportedStudent:
    from distill.files import path_text
    from distill.progress import command_text, size_text
    from distill.serve.web_export import export_page

    page = export_page(student, out, overwrite=overwrite)
    click.echo(f"wrote {path_text(page.folder)}: a page of {size_text(page.size)}")
    click.echo(f"  look at it: {command_text('python', '-m', 'http.server', '--directory', page.folder)}")
    return page.student


def _sides(student: Student) -> str:
    sides = student.architecture.sides
    if sides is None:
        return f"sides multiples of {student.architecture.side_multiple} px"
    return f"height {sides[0]} and width {sides[1]} alone"
