"""`distill export-student`: write a student for other runtimes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from distill.cli import options

if TYPE_CHECKING:
    from distill.networks.student import NormStatistics


@click.command("export-student")
@click.argument("source", metavar="RUN|FILE", type=options.PATH)
@click.option(
    "--to", type=click.Choice(["onnx"]), default="onnx", expose_value=False, help="The format: onnx."
)
@click.option("--out", required=True, metavar="FILE", type=options.FILE, help="The file to write.")
@options.norm_statistics
@options.overwrite
def export_student(source: Path, out: Path, norm_statistics: NormStatistics, overwrite: bool) -> None:
    """Write the student of a run, or a published generator, as ONNX, in float32.

    Batch size and image size stay free. The file is compared with PyTorch before it is written: at most 1e-4 off.
    """
    from distill.editing.export import OPSET
    from distill.editing.export import export_student as write
    from distill.files import check_file, path_text
    from distill.networks.student import load_student
    from distill.progress import size_text

    check_file(out, overwrite=overwrite)
    student = load_student(source, precision="fp32", norm_statistics=norm_statistics)
    options.tell(student.notes())
    done = write(student, out)
    roles = f" ({', '.join(student.facts.inputs)})" if student.facts.inputs else ""
    click.echo(f"wrote {path_text(done.path)}: ONNX opset {OPSET}, {size_text(done.size)}")
    click.echo(
        f"  images: float32 [batch, {student.input_channels}, height, width] in [-1, 1]{roles}; "
        f"sides multiples of {student.architecture.side_multiple} px"
    )
    click.echo(f"  largest difference from PyTorch: {done.difference:.1e}")
