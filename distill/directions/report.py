"""What was found about directions, as lines for a terminal, plain values for JSON, and a card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from distill.directions.file import Direction
from distill.directions.summary import APART
from distill.directions.workflow import Facts, Judged, cosines
from distill.progress import plural

UNITS = {"age": "years", "yaw": "degrees"}
NAMED = {
    "age": "age (years)",
    "yaw": "yaw (degrees)",
    "identity": "identity",
    "found": "face",
    "flipped": "flipped",
}


def as_json(judged: Judged, path: Path, together: Facts) -> Facts:
    """Return everything about one direction as plain values; `together` is `entanglement` of all of them."""
    direction = judged.direction
    return {
        "name": direction.name,
        "attribute": direction.attribute,
        "file": path.name,
        "generator_sha256": direction.generator_sha256,
        "facts": dict(direction.facts),
        "drawn": judged.drawn,
        "entanglement": together,
    }


def entanglement(several: Sequence[Judged]) -> Facts:
    """Return how much a unit of strength of each direction moves every score, and the cosines between them."""
    return {
        "movement": {one.direction.name: one.direction.facts["movement"] for one in several},
        "cosines": cosines([one.direction for one in several]),
    }


def direction_lines(judged: Judged, path: Path) -> list[str]:
    """Say of one direction how it was found and what it does."""
    direction = judged.direction
    lines = [f"{direction.attribute} → {path}"]
    lines += [f"  {line}" for line in how_found(direction.facts)]
    lines += [f"  {line}" for line in aligned(curve_rows(judged.drawn, direction.attribute, whole=True))]
    return [*lines, f"  {recommendation(direction.attribute, direction.facts)}"]


def direction_facts(direction: Direction, path: Path) -> Facts:
    """Return what is known of a direction, as plain values."""
    lengths = direction.vector.norm(dim=1).tolist()
    return {
        "name": direction.name,
        "attribute": direction.attribute,
        "file": str(path),
        "sha256": direction.sha256,
        "generator_sha256": direction.generator_sha256,
        "shape": list(direction.vector.shape),
        "lengths": [round(length, 4) for length in lengths],
        "facts": dict(direction.facts),
    }


def known_lines(direction: Direction) -> list[str]:
    """Say the same in lines: what it moves, of which generator, its shape, how it was found, how far to go."""
    facts, known = direction.facts, direction_facts(direction, Path())
    does = "is said to move" if facts.get("oriented") is False else "raises"
    found = [f"{direction.name}: {does} {direction.attribute}, of {facts.get('teacher', 'a generator')}"]
    about = [
        f"shape {known['shape']}, lengths {known['lengths']}",
        f"generator sha256 {direction.generator_sha256}",
    ]
    if "layers" in facts:
        about += how_found(facts)
        about += [
            f"{name} {value:+.3f} per unit of strength" for name, value in facts.get("movement", {}).items()
        ]
    if "recommended_strength" in facts:
        about.append(recommendation(direction.attribute, facts))
    return [*found, *(f"  {line}" for line in about)]


def how_found(facts: Mapping[str, Any]) -> list[str]:
    """Say where a direction is from, in sentences without an end."""
    layers = "-".join(map(str, facts["layers"]))
    lines = []
    if "held_out" in facts:
        low, high = facts["ends"]
        ends = f"{low} at the low and {high} at the high end"
        ends += f" (confidence at least {facts['confidence']:g})" if "confidence" in facts else " (thirds)"
        lines.append(
            f"{facts['method']} on {facts['faces']} faces of {facts['samples']} samples, {ends};"
            f" layers {layers}, psi {facts['truncation_psi']:g}"
        )
        lines.append(held_out_text(facts["held_out"]))
    else:
        lines.append(f"{facts['source']}; layers {layers}")
    if facts.get("orthogonal_to"):
        lines.append(f"at right angles to {', '.join(facts['orthogonal_to'])}")
    if facts.get("oriented") is False:
        lines.append("its own sign and length: no scorer says which way it goes")
    if facts.get("turned"):
        lines.append("turned round: the scores of edited faces fell along the direction as it was")
    return lines


def held_out_text(held_out: Mapping[str, Any]) -> str:
    """Say how a direction does on faces it has not seen."""
    said = [f"held out ({plural(held_out['faces'], 'face')}): accuracy {_percent(held_out['accuracy'])}"]
    if held_out["balanced"] is not None:
        said.append(f"both classes alike {_percent(held_out['balanced'])}")
    if held_out.get("sure") is not None:
        said.append(f"sure faces {_percent(held_out['sure'])}")
    if held_out["correlation"] is not None:
        said.append(f"correlation {held_out['correlation']:.2f}")
    return ", ".join(said)


def recommendation(attribute: str, facts: Mapping[str, Any]) -> str:
    """Say which strength makes pairs."""
    apart = (
        f"{APART[attribute]:g} {UNITS[attribute]} apart"
        if attribute in APART
        else "in opposite classes, each at least 90% sure"
    )
    if facts.get("recommended_strength") is None:
        return f"no strength makes pairs: no face has ends that are {apart}"
    share = _percent(facts.get("recommended_share"))
    return f"recommended strength {facts['recommended_strength']:g}: {share} of faces have ends {apart}"


def curve_rows(drawn: Mapping[str, Any], attribute: str, *, whole: bool) -> list[list[str]]:
    """Return the table of a curve, headings first; `whole` strengths only, or all."""
    columns = {**drawn["mean"], "found": drawn["found"]}
    columns |= {name: drawn[name] for name in ("flipped", "identity") if name in drawn}
    rows = [["strength", *(NAMED.get(name, name) for name in columns)]]
    for k, strength in enumerate(drawn["strengths"]):
        if not whole or strength == round(strength):
            rows.append(
                [f"{strength:+g}" if strength else "0", *(_cell(n, v[k]) for n, v in columns.items())]
            )
    return rows


def movement_rows(together: Mapping[str, Any]) -> list[list[str]]:
    """Return the entanglement matrix as a table, headings first."""
    columns = list(dict.fromkeys(name for moved in together["movement"].values() for name in moved))
    rows = [["per unit of strength", *(_heading(name) for name in columns)]]
    for name, moved in together["movement"].items():
        rows.append([name, *(f"{moved[column]:+.3f}" if column in moved else "-" for column in columns)])
    return rows


def cosine_lines(together: Mapping[str, Any]) -> list[str]:
    """Say how every two directions lie to each other."""
    names, table = list(together["movement"]), together["cosines"]
    return [
        f"cosine of {first} and {names[j]}: {table[i][j]:+.3f}"
        for i, first in enumerate(names)
        for j in range(i + 1, len(names))
    ]


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay out a table for a terminal: the first column to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if k == 0 else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Lay out a table as Markdown."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], f"|---{'|--:' * (len(rows[0]) - 1)}|", *lines[1:]])


def card(judged: Judged, path: Path, together: Facts, *, licence: str, command: str) -> str:
    """Return the card of a direction in Markdown: picture, origin, curve, what else moves, what it is not."""
    direction = judged.direction
    facts, name = direction.facts, direction.name
    found = "\n".join(f"- {line[0].upper()}{line[1:]}." for line in how_found(facts))
    return (
        f"""# Direction: `{name}`

A step in w+ of the generator `{facts["teacher"]}` (sha256 {direction.generator_sha256[:12]}…) that raises the score
`{direction.attribute}`. Strength 1 is one standard deviation of w along it.

![{name}: a row for each face, a column for each strength]({path.with_suffix(".png").name})

{found}
- {recommendation(direction.attribute, facts)[0].upper()}{recommendation(direction.attribute, facts)[1:]}.
- Scores: `{facts["scorer"]}`, read off drawn pictures: what a network makes of a face, no fact about anybody.
- Licence: that of the generator ({licence}).

```sh
{command}
```

## Score against strength

Means over {judged.drawn["faces"]} drawn faces that took no part in the fit, psi {facts["truncation_psi"]:g}.
`face`: share in which dlib still finds one; `flipped`: share on the other side than before; `identity`: distance of
dlib's descriptors to the face before (above 0.6, in sharp photographs, it counts as another person).

{markdown(curve_rows(judged.drawn, direction.attribute, whole=False))}

## What else moves

{markdown(movement_rows(together))}

Slopes up to strength 2. {"; ".join(cosine_lines(together))}
""".rstrip()
        + "\n"
    )


def _heading(name: str) -> str:
    return f"{name.removesuffix('_logit')} (logit)" if name.endswith("_logit") else NAMED.get(name, name)


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    if name in ("found", "flipped"):
        return f"{value:.0%}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1%}"
