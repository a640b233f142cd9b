"""The card says what a data set is, and its ten lines of Python read one."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from data_sets import DIGEST, make_data_set, recipe_of

from distill.shards.card import card_text, escape, write_card


def card_of(folder, **changes):
    reports = make_data_set(folder, **changes)
    write_card(folder, recipe=recipe_of(**changes), digest=DIGEST, n=6, reports=reports)
    return (folder / "README.md").read_text()


def test_it_names_weights_recipe_and_acceptance(tmp_path):
    card = card_of(tmp_path)
    assert card.startswith("# style-mix: 6 triplets\n")
    for fact in ("ab" * 32, "CC0-1.0", "a test", DIGEST):
        assert fact in card
    assert "| `truncation_psi` | 0.7 |" in card
    assert "| tried | 10 | 100.0 % |" in card
    assert "| accepted | 6 | 60.0 % |" in card
    assert "| dropped: face.none | 2 | 20.0 % |" in card
    assert "`shard-00000.h5` … `shard-00001.h5`" in card


def test_the_same_data_set_gives_the_same_bytes_whatever_the_order_of_the_recipe_keys(tmp_path):
    reports = make_data_set(tmp_path)
    recipe = recipe_of()
    turned = {key: recipe[key] for key in reversed(recipe)}
    turned["generator"] = {key: recipe["generator"][key] for key in reversed(recipe["generator"])}
    first, second = (card_text(recipe=r, digest=DIGEST, n=6, reports=reports) for r in (recipe, turned))
    assert first == second


@pytest.mark.parametrize("codec", ["raw", "jpeg", "webp"])
@pytest.mark.parametrize("inputs", [["content", "style"], ["source"]])
def test_the_code_in_it_runs(tmp_path, codec, inputs):
    card = card_of(tmp_path, codec=codec, inputs=inputs)
    code = re.search(r"```python\n(.*?)```", card, flags=re.DOTALL)[1]
    assert len(code.splitlines()) <= 10
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "3 rows" in result.stdout
    for role in (*inputs, "mixed"):
        assert f"'{role}': (16, 16, 3)" in result.stdout


def test_text_from_a_recipe_stays_text(tmp_path):
    generator = {"name": "x | y\n# <script>alert(1)</script>", "licence": "[click](http://example.org)"}
    card = card_of(tmp_path, generator=generator)
    assert "<script>" not in card
    assert "\n# <" not in card
    assert "| name | x \\| y \\# \\<script\\>alert(1)\\</script\\> |" in card
    assert "\\[click\\]" in card


def test_escape_leaves_plain_words_alone():
    assert escape("NVIDIA Source Code License-NC, 1-Way 0.5") == "NVIDIA Source Code License-NC, 1-Way 0.5"
