"""An assessment for people: one table, the section of a model card around it, and the files in a folder."""

from __future__ import annotations

import json
from pathlib import Path

from distill.evaluation.assessment_folder import OVERVIEW, write_results
from distill.evaluation.card_section import grid_beside, write_card
from distill.evaluation.report import aligned
from distill.evaluation.teacher import Assessment, AssessmentInputs, TeacherSamples
from distill.evaluation.teacher_pictures import make_pictures
from distill.faces.outputs import OutputFolder
from distill.files import write_result
from distill.pixels import encode_png
from distill.shards.card import code, escape

SECTION = "assessment"  # its marks in a card
GRID = "samples.png"


def table(found: Assessment) -> str:
    """Write the main numbers as a Markdown table: a row for each number, a column for each set of pictures."""
    psi = found.samples["truncation_psi"]
    names = (f"samples, ψ {psi:g}", "samples, ψ 1", "training pictures", "held-out pictures")
    varied, faces, like = found.variety, found.faces, found.likeness
    pairs = (varied.samples, varied.samples_psi_1, varied.pictures)
    rows: list[list[str]] = []
    if found.score:
        flattered = ", which its critic saw: flattering" if found.score.flattering else ""
        features = found.score.name.removeprefix("frechet_")
        rows.append([f"Fréchet distance ↓ ({features}{flattered})", "–", f"{found.score.value:.2f}"])
    rows.append(["distance of two pictures, median ↑", *(f"{s.median:.3f}" if s else "–" for s in pairs)])
    rows.append(["nearly the same picture, of pairs ↓", *(percent(s.close) if s else "–" for s in pairs)])
    if faces:
        theirs = percent(faces.pictures.one) if faces.pictures else "–"
        rows.append(["exactly one face ↑", percent(faces.samples.one), "–", theirs])
    if like:
        limit = f"{like.samples_to_training.limit:g}"
        near = (like.samples_to_training, None, like.training_to_other_training, like.held_out_to_training)
        rows.append(["nearest training face, median ↑", *(f"{s.median:.2f}" if s else "–" for s in near)])
        rows.append([f"nearest within {limit} ↓", *(percent(s.close) if s else "–" for s in near)])
        rows.append(["copy of a training face ↓", percent(like.copies)])
    rows = [["", *names], *([*row, *["–"] * (5 - len(row))] for row in rows)]
    if psi == 1:
        rows = [[label, one if own == "–" else own, *rest] for label, own, one, *rest in rows]
    columns = [column for column in zip(*rows, strict=True) if {*column[1:]} != {"–"}]
    return aligned(list(zip(*columns, strict=True)))


def section(found: Assessment, *, grid: str) -> str:
    """Return the Markdown section of a model card; `grid` is the name of the picture of samples."""
    about, samples, pictures = found.generator, found.samples, found.pictures
    first = f"The first {min(samples['count'], 64)} samples at ψ {samples['truncation_psi']:g}"
    name, sha256 = code(str(about["name"])), code(str(about["sha256"])[:12])
    basis = f"{samples['count']:,} samples of {name} (sha256 {sha256}…), seed {samples['seed']}"
    if pictures:
        used, total = f"{pictures['used']:,}", f"{pictures['total']:,}"
        basis += (
            f", beside {used} of {total} training pictures ({code(pictures['name'])}), at {found.side} px"
        )
    parts = ["## Measured", f"![{first}]({grid})", f"{basis}.", table(found)]
    parts += [f"Left out: {escape('; '.join(found.left_out))}."] if found.left_out else []
    return "\n\n".join(parts) + "\n"


def percent(share: float) -> str:
    """Write a share; a small one is not rounded to none."""
    return f"{share:.2%}".replace("%", " %") if 0 < share < 0.001 else f"{share:.1%}".replace("%", " %")


# ---- Files


def write_assessment(
    inputs: AssessmentInputs, found: Assessment, samples: TeacherSamples, outputs: OutputFolder
) -> list[Path]:
    """Write pictures, report and section, and the section into the card that was asked for; return the paths."""
    request = inputs.request
    pictures = inputs.pictures if request.show_nearest else None
    images = make_pictures(inputs, found, samples, pictures)
    files = {name: encode_png(image) for name, image in images.items()}
    files["report.json"] = f"{json.dumps(found.to_json(), indent=2, ensure_ascii=False)}\n".encode()
    files["assessment.md"] = section(found, grid=GRID).encode()
    written = write_results(outputs, files, OVERVIEW)
    if card := request.card:
        grid = grid_beside(card)
        write_result(grid, files[GRID])
        written += [grid, write_card(card, section(found, grid=grid.name), SECTION)]
    return written
