"""The page for blind comparison holds everything, names no method beside a picture, and is balanced."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import Counter

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
