"""The page and the contact sheet of a data set in its folder: drawn when asked for, and anew when it has grown."""

from __future__ import annotations

from pathlib import Path

from distill.files import write_result
from distill.shards.inspect.page import build_page, page_title
from distill.shards.inspect.sheet import draw_sheet, png_bytes
from distill.shards.inspect.survey import Survey, look, survey
from distill.shards.summary import roles_of

PAGE_NAME, SHEET_NAME = "inspect.html", "contact_sheet.png"
SAMPLES, PLAIN_IMAGES = 24, 96  # shown where nothing else is asked


def write_look(folder: Path, *, rows: int | None, page: Path | None, sheet: Path | None) -> Survey:
    """Draw the page and the sheet of a data set, complete or not; return what was found. None: neither is drawn."""
    found = survey(folder)
    wanted = rows or (PLAIN_IMAGES if len(roles_of(found.recipe)) == 1 else SAMPLES)
    samples, ledger = look(found, rows=wanted)
    if page is not None:
        write_result(page, build_page(found, samples, ledger).encode())
    if sheet is not None:
        write_result(sheet, png_bytes(draw_sheet(samples, list(samples[0].images), title=page_title(found))))
    return found


def renew_look(folder: Path) -> None:
    """Draw again the page and the sheet that are in the folder, since its data set has changed."""
    page, sheet = (path if path.is_file() else None for path in (folder / PAGE_NAME, folder / SHEET_NAME))
    if page or sheet:
        write_look(folder, rows=None, page=page, sheet=sheet)
