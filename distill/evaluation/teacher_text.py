"""An assessment in words: the section of a model card, and the lines of a terminal."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from distill.errors import DistillError
from distill.evaluation.teacher import Assessment
from distill.evaluation.teacher_measures import Spread
from distill.files import size_text
from distill.networks.efficientnet_lite import NAME as LITE0
from distill.progress import plural
from distill.shards.card import code, escape, table
from distill.shards.summary import value_text

BEGIN, END = "<!-- assessment: begin -->", "<!-- assessment: end -->"
LIKENESS = {
    "samples_to_training": "sample to the nearest training face",
    "held_out_to_training": "held-out face, never trained on, to the nearest training face",
    "training_to_other_training": "training face to the nearest other training face",
    "different_people": "two different training faces, all pairs",
    "mirror_pairs": "training face to its own mirror image",
    "sample_pairs": "two different samples, all pairs",
}


def section(found: Assessment, command: str, *, grid: str) -> str:
    """Return the Markdown of an assessment, under a second heading; `grid` is the name of the picture of samples."""
    parts = [
        _opening(found, command, grid),
        _generator(found.generator),
        _score(found),
        _variety(found),
        _faces(found),
        _likeness(found),
        _left_out(found),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def put_into(card: str, text: str) -> str:
    """Replace what stands between the two marks of a card by `text`, or append it with the marks."""
    marked = f"{BEGIN}\n{text}{END}"
    if (card.count(BEGIN), card.count(END)) == (0, 0):
        return f"{card.rstrip()}\n\n{marked}\n".lstrip()
    match = re.fullmatch(f"(.*){re.escape(BEGIN)}.*{re.escape(END)}(.*)", card, flags=re.DOTALL)
    if match is None or (card.count(BEGIN), card.count(END)) != (1, 1):
        raise DistillError(
            f"the card needs one line {BEGIN} and after it one {END}, or none of both to have them added"
        )
    return f"{match[1]}{marked}{match[2]}"


def summary(found: Assessment) -> str:
    """Return the main numbers, a line each."""
    varied = found.variety
    lines = []
    if found.score:
        lines.append(f"{found.score.name:24} {found.score.value:.2f}")
    ratio = "" if varied.ratio is None else f", {100 * varied.ratio:.0f} % of the training pictures'"
    lines.append(f"{'median pair distance':24} {varied.samples_psi_1.median:.3g} at ψ 1{ratio}")
    lines.append(f"{'near duplicates':24} {_percent(varied.samples.close)} of pairs")
    if found.faces:
        lines.append(f"{'exactly one face':24} {_percent(found.faces.samples.one)} of samples")
    if found.likeness:
        near = found.likeness.samples_to_training
        lines.append(
            f"{'nearest training face':24} {near.median:.2f} (median), {_percent(near.close)} below {near.limit:g}"
        )
    return "\n".join([*lines, *(f"left out                 {text}" for text in found.left_out)])


def _opening(found: Assessment, command: str, grid: str) -> str:
    plan, pictures = found.plan, found.pictures
    who = escape(str(found.generator.get("name", "the teacher")))
    first = min(plan.samples, 64)
    beside = ""
    if pictures:
        used, total = pictures["used"], pictures["total"]
        which = f"all {total:,}" if used == total else f"{used:,} of {total:,}"
        beside = (
            f" Beside them stand {which} training pictures ({code(pictures['name'])});"
            f" both were compared at {found.side} px."
        )
    return "\n\n".join(
        [
            "## Measured",
            f"![The first {first} samples of {who} at ψ {plan.truncation_psi:g}]({grid})",
            f"Measured on {plan.samples:,} samples of seed {plan.seed} at truncation ψ {plan.truncation_psi:g},"
            f" and the same latents at ψ 1.{beside} Again: `{command}`",
        ]
    )


def _generator(about: Mapping[str, Any]) -> str:
    training = about.get("training", {})
    rows = [
        ("name", code(str(about["name"]))),
        ("resolution", f"{about['resolution']} × {about['resolution']} px"),
        ("latents", f"z {about['z_dim']}, w {about['w_dim']}, {about['num_ws']} layers"),
        ("size", f"{about['parameters']:,} numbers, {size_text(about['bytes'])}"),
        ("sha256", code(str(about["sha256"]))),
        *((escape(key.replace("_", " ")), escape(value_text(value))) for key, value in training.items()),
    ]
    return f"### Generator\n\n{table(('', 'as its file says'), rows)}"


def _score(found: Assessment) -> str:
    score = found.score
    if score is None:
        return ""
    features = escape(score.name.removeprefix("frechet_"))
    kin = "it is FID, of few images" if features == "inception" else "FID has other features, Inception's"
    taught = found.generator.get("training", {}).get("critic") == "projected"
    flattery = (
        " The generator learned to please a critic that sees these very features, so the score flatters it."
        if taught and score.name == f"frechet_{LITE0}"
        else ""
    )
    return (
        f"### Score\n\nFréchet distance {score.value:.2f} ({code(score.name)}: features of {features})"
        f" between {score.samples:,} samples at ψ 1 and {score.pictures:,} training pictures. It compares only"
        f" with scores of the same features and the same counts; {kin}.{flattery}"
    )


def _variety(found: Assessment) -> str:
    varied, psi = found.variety, found.plan.truncation_psi
    sets: list[tuple[str, Spread | None]] = [("samples, ψ 1", varied.samples_psi_1)]
    if psi != 1:
        sets.append((f"samples, ψ {psi:g}", varied.samples))
    sets.append(("training pictures", varied.pictures))
    rows = [
        (
            name,
            f"{s.count:,}",
            f"{s.least:.3f}",
            f"{s.percent_5:.3f}",
            f"{s.median:.3f}",
            f"{s.limit:.3f}",
            _percent(s.close),
        )
        for name, s in sets
        if s
    ]
    head = ("", "pairs", "least", "5 %", "median", "limit", "near duplicates")
    ratio = (
        ""
        if varied.ratio is None
        else f" At ψ 1 the samples' median is {100 * varied.ratio:.0f} % of the training pictures'."
    )
    return (
        f"### Variety\n\nDistances of all pairs ({code(varied.measure)} at {varied.side} px). A pair is a near"
        " duplicate when it is closer than the limit, which is how far a picture lies from itself moved by one"
        f" pixel. A collapsed generator has many near duplicates and a small median.{ratio}\n\n"
        f"{table(head, rows, align='lrrrrrr')}"
    )


def _faces(found: Assessment) -> str:
    faces = found.faces
    if faces is None:
        return ""
    sets = [
        (f"samples, ψ {found.plan.truncation_psi:g}", faces.samples),
        ("training pictures", faces.pictures),
    ]
    rows = [
        (name, f"{s.count:,}", _percent(s.one), _percent(s.none), _percent(s.several))
        for name, s in sets
        if s
    ]
    return (
        f"### Faces\n\ndlib's frontal face detector on pictures of {found.side} px enlarged to"
        f" {faces.enlarged_to} px; every box with a score above 0 counts as a face.\n\n"
        f"{table(('', 'pictures', 'exactly one face', 'none', 'several'), rows, align='lrrrr')}"
    )


def _likeness(found: Assessment) -> str:
    like = found.likeness
    if like is None:
        return ""
    sets = [(text, getattr(like, name)) for name, text in LIKENESS.items()]
    limit = like.samples_to_training.limit
    rows = [
        (
            text,
            f"{s.count:,}",
            *(f"{x:.2f}" for x in (s.least, s.percent_5, s.median, s.percent_95)),
            _percent(s.close),
        )
        for text, s in sets
        if s is not None
    ]
    missing = (
        f" In {plural(like.without_face, 'training picture')} no face was found; they are left out."
        if like.without_face
        else ""
    )
    return (
        "### Likeness to the training pictures\n\n"
        f"Distances of dlib's face descriptors. Below {limit:g} dlib calls two sharp photographs one person; at"
        f" {found.side} px different people lie closer, so the other rows are the scale. Nearest is the nearest of"
        " all training faces and their mirror images; each training picture counts as another person."
        f"{_searched(found)}{missing}\n\n"
        f"{table(('', 'count', 'least', '5 %', 'median', '95 %', f'below {limit:g}'), rows, align='lrrrrrr')}\n\n"
        f"{_percent(like.copies)} of the samples are as close to a training face as 95 % of training faces are to"
        f" their own mirror image ({like.mirror_pairs.percent_95:.2f}): as good as copies of a face."
    )


def _searched(found: Assessment) -> str:
    pictures = found.pictures or {}
    rest = pictures.get("total", 0) - pictures.get("used", 0)
    return f" {rest:,} training pictures were not searched: a copy of one would not show." if rest else ""


def _left_out(found: Assessment) -> str:
    lines = [f"- {escape(text)}" for text in found.left_out]
    return "### Left out\n\n" + "\n".join(lines) if lines else ""


def _percent(share: float) -> str:
    """Write a share; a small one is not rounded to none."""
    return f"{share:.2%}".replace("%", " %") if 0 < share < 0.001 else f"{share:.1%}".replace("%", " %")
