"""Files that a visitor of the repository meets first: they parse, and say the version and what is there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import click
import pytest
import yaml

import distill
from distill.cli.main import all_commands, cli

ROOT = Path(__file__).resolve().parents[1]
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def test_the_citation_has_the_version_of_the_package_and_the_paper() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["version"] == distill.__version__
    assert {"cff-version", "message", "title", "authors"} <= cited.keys()
    (paper,) = cited["references"]
    assert [author["family-names"] for author in paper["authors"]] == ["Viazovetskyi", "Ivashkin", "Kashin"]
    assert (paper["year"], paper["identifiers"][0]["value"]) == (2020, "arXiv:2003.03581")


def test_the_licence_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert project["license"] == cited["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text()


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_for_issues_asks_something(path: Path) -> None:
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    if path.stem == "config":
        assert isinstance(form["blank_issues_enabled"], bool)
        return
    assert form["name"]
    assert form["description"]
    labels = [field["attributes"]["label"] for field in form["body"]]
    assert len(set(labels)) == len(labels) >= 2
    assert any(field.get("validations", {}).get("required") for field in form["body"])


def test_commands_and_options_that_the_security_policy_names_exist() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`distill ([a-z][a-z-]*)", text)) <= set(all_commands())
    context = click.Context(cli)
    known = {
        name
        for command in all_commands()
        for option in (cli.get_command(context, command) or cli).params
        for name in (*option.opts, *option.secondary_opts)
    }
    assert set(re.findall(r"--[a-z][a-z-]+", text)) - {"--version"} <= known
    assert "@" not in text  # no address that nobody reads
