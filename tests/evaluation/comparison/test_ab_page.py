"""The page for blind comparison holds everything, names no method beside a picture, and is balanced."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from distill.evaluation.comparison.ab import ShownPhoto, ab_page, trials


def make_page(name: str = "a") -> str:
    photos = [
        ShownPhoto(name=f"face {k}", photo=np.full((8, 8, 3), k, np.uint8),
                   outputs=[np.full((8, 8, 3), 10 * k + m, np.uint8) for m in range(3)])
        for k in range(4)
    ]  # fmt: skip
    return ab_page(
        title="t", question="which?", key="k", methods=[name, "b", "c"], photos=photos, seed=3
    ).decode()


def test_every_pair_stands_on_every_photo_once_and_sides_are_mixed() -> None:
    found = trials(3, 20, 0)
    seen = Counter((each["photo"], *sorted((each["left"], each["right"]))) for each in found)
    assert len(seen) == 20 * 3
    assert set(seen.values()) == {1}
    swapped = sum(each["left"] > each["right"] for each in found)
    assert 15 < swapped < 45
    for first in range(0, len(found), 3):
        pairs = {tuple(sorted((each["left"], each["right"]))) for each in found[first : first + 3]}
        assert len(pairs) == 3
    assert trials(3, 20, 0) == found
    assert trials(3, 20, 1) != found


@pytest.mark.skipif(shutil.which("node") is None, reason="no node to run the page's script")
def test_the_interval_of_wins_is_wilsons() -> None:
    script = re.search(r"function wilson.*?\n}\n", make_page(), re.DOTALL)
    assert script
    told = subprocess.run(
        ["node", "-e", f"{script[0]} console.log(JSON.stringify([wilson(8, 10), wilson(0, 5)]))"],
        capture_output=True,
        check=True,
        timeout=60,
    )
    tried = [(binomtest(won, of).proportion_ci(method="wilson")) for won, of in ((8, 10), (0, 5))]
    assert np.allclose(json.loads(told.stdout), [[each.low, each.high] for each in tried], atol=1e-6)


def test_the_page_needs_nothing_else_and_names_no_method_in_its_text() -> None:
    page = make_page("<b>mine</b></script>")
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert data
    facts = json.loads(data[1])
    assert facts["methods"][0] == "<b>mine</b></script>"
    assert len(facts["trials"]) == 12
    assert all(image.startswith("data:image/png") for photo in facts["photos"] for image in photo["outputs"])
    assert "mine" not in page.replace(data[0], "")
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# Presses keys and opens files; at last runs the page's script once more, as a reload does.
PERSON = """<script>
const press = key => document.dispatchEvent(new KeyboardEvent("keydown", {key, cancelable: true}));
for (const key of ["1", "2", " ", "1", "Backspace"]) press(key);
const saved = JSON.stringify({comparison: data.key, choices: answers()});
press("2");
at("show").click();
const rows = [...at("wins").rows].map(row => [...row.cells].map(cell => cell.textContent));
const facts = {pressed: [...choices], count: at("count").textContent, rows};
choices = [];
restore(new File([saved], "a.json")).then(() => restore(new File(["{}"], "b.json"))).then(() => {
  Object.assign(facts, {restored: choices, told: at("told").textContent});
  const again = document.createElement("script");
  const text = document.scripts[1].textContent;
  again.textContent = `(() => { ${text} facts.reloaded = choices; })();`;
  document.body.append(again);
  document.title = JSON.stringify(facts);
});
</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to open the page in")
def test_choices_outlive_a_reload_and_come_back_from_a_file(tmp_path: Path) -> None:
    page = tmp_path / "ab.html"
    page.write_text(make_page().replace("</body>", f"{PERSON}</body>"))
    assert CHROMIUM is not None
    told = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
         "--virtual-time-budget=5000", "--dump-dom", page.as_uri()],
        capture_output=True, check=True, timeout=120, text=True,
    )  # fmt: skip
    title = re.search("<title>(.*?)</title>", told.stdout)
    assert title, told.stderr
    assert title[1].startswith("{"), told.stdout[:2000]
    facts = json.loads(html.unescape(title[1]))
    assert facts["pressed"] == ["left", "right", "tie", "right"]
    assert facts["restored"] == facts["reloaded"] == ["left", "right", "tie"]
    assert facts["count"] == "4 of 12 judged"
    assert facts["told"] == "b.json holds no choices of this comparison."
    assert all(any(cell not in "0" for cell in row[2:5]) for row in facts["rows"])
    totals = [[int(cell) for cell in row[2:5]] for row in facts["rows"] if row[1] == "all others"]
    assert [sum(column) for column in zip(*totals, strict=True)] == [3, 3, 2]
