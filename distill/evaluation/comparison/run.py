"""`distill compare`: methods of face editing beside each other on the same photographs.

plan ─► frozen list of aligned faces ─► each method: draw, measure ─► set distances ─► table, sheet, A/B page
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from distill.attributes.judge import Judge, open_judge
from distill.devices import resolve_device
from distill.errors import DistillError
from distill.evaluation.comparison.freeze import freeze_photos, kept_photos
from distill.evaluation.comparison.measure import PictureMeter
from distill.evaluation.comparison.methods import ComparedMethod, open_methods
from distill.evaluation.comparison.photo_list import FrozenFace, FrozenPhotos, read_list
from distill.evaluation.comparison.plan import PhotoPlan, plan_photos
from distill.evaluation.comparison.report import PHOTOGRAPHS, ComparisonReport, MethodResult
from distill.evaluation.comparison.request import REAL, CompareRequest
from distill.evaluation.comparison.rows import ComparedRow, summarise
from distill.evaluation.comparison.sets import Floats, features_of, halves, set_distance
from distill.evaluation.comparison.store import METHODS, MethodStore, store_folder
from distill.evaluation.student_scores import evenly
from distill.faces.outputs import OutputFolder
from distill.files import path_text
from distill.generation.recipe import TaskRecipe
from distill.metrics.features import Features, load_features
from distill.networks.perceptual import PerceptualFeatures, default_perceptual, load_perceptual
from distill.progress import Progress, plural
from distill.schema import canonical_json

OpenBar = Callable[[int, str], Progress]  # this many pictures, what is done with them


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """A comparison that can begin: everything fits and is open. `kept`: the photographs of an earlier run."""

    request: CompareRequest
    plan: PhotoPlan
    methods: Sequence[ComparedMethod]
    size: int
    judge: Judge
    features: Features
    perceptual: PerceptualFeatures
    device: torch.device
    kept: FrozenPhotos | None

    def head(self) -> list[tuple[str, str]]:
        """What is compared, as lines for people."""
        return [
            ("edit", self.plan.edit.text),
            (PHOTOGRAPHS, path_text(self.request.truth or self.request.photos or "")),
            ("size", f"{self.size} px"),
            ("scorer", self.judge.name),
            ("features", f"{self.features.name}; perceptual: {self.perceptual.name}"),
        ]

    def outline(self) -> list[tuple[str, str]]:
        """The same before the run, with what is known of photographs and methods."""
        done = f"; {len(self.kept.faces)} are aligned already" if self.kept else ""
        counts = f": {self.plan.counts()}{done}"
        head = [(name, f"{value}{counts}" if name == PHOTOGRAPHS else value) for name, value in self.head()]
        return [*head, *[(method.name, self._line(method)) for method in self.methods]]

    def _line(self, method: ComparedMethod) -> str:
        if self.kept is None:
            few = f", on {self.request.latent_limit} photographs at most" if method.few else ""
            return f"{path_text(method.what) or method.name}{few}"
        faces = self.faces_of(method, self.kept)
        method.check(faces)
        folder = self.request.out / store_folder(
            self.request.out, method.name, method.key(faces, self.kept.key)
        )
        done = len(list(folder.glob("*.png")))
        return f"{path_text(method.what) or method.name}, {plural(len(faces), 'photograph')}, {done} done already"

    def facts(self) -> dict[str, Any]:
        """The same as plain values."""
        return {
            "edit": self.plan.edit.text,
            "photos": path_text(self.request.truth or self.request.photos or "", line=False),
            "true_pairs": self.request.truth is not None,
            "align": self.plan.align,
            "size": self.size,
            "scorer": {"name": self.judge.name, "sha256": sorted(self.judge.hashes)},
            "features": self.features.name,
            "perceptual": self.perceptual.name,
            "methods": {
                method.name: {"what": path_text(method.what, line=False), "kind": method.kind, **method.facts}
                for method in self.methods
            },
        }

    def faces_of(self, method: ComparedMethod, photos: FrozenPhotos) -> list[FrozenFace]:
        """The faces that a method edits: all, or of a slow one some, evenly spread."""
        most = self.request.latent_limit if method.few else len(photos.faces)
        return [photos.faces[at] for at in evenly(len(photos.faces), most)]

    def run(self, outputs: OutputFolder, open_bar: OpenBar) -> ComparisonReport:
        """Draw and measure what is missing, and put the table together; `open_bar` shows the progress of a part.

        Raises DistillError where too few photographs show a face, and for a method's folder that lacks pictures.
        """
        photos = self.kept
        if photos is None:
            with open_bar(self.plan.count, "aligning") as bar:
                photos = freeze_photos(self.plan, self.size, self.judge, outputs, bar.advance)
        for method in self.methods:
            method.check(self.faces_of(method, photos))
        with open_bar(len(photos.real), "features of the real pictures") as bar:
            real = self._features(photos.real, METHODS, photos.key, outputs, bar.advance)
        meter = PictureMeter(judge=self.judge, perceptual=self.perceptual, device=self.device)
        results = []
        for number, method in enumerate(self.methods, 1):
            title = f"{method.name} ({number} of {len(self.methods)})"
            results.append(self._result(method, photos, real, meter, outputs, open_bar, title))
        return ComparisonReport(
            comparison=self.facts(),
            head=self.head(),
            edit=self.plan.edit,
            photos=photos,
            results=results,
            between=ComparedRow(name=REAL, count=0, distance=set_distance(*halves(real))),
            judge=self.judge,
            features=self.features.name,
            perceptual=self.perceptual.name,
            seed=self.request.seed,
            in_page=self.request.in_page,
        )

    def _result(
        self,
        method: ComparedMethod,
        photos: FrozenPhotos,
        real: Floats,
        meter: PictureMeter,
        outputs: OutputFolder,
        open_bar: OpenBar,
        title: str,
    ) -> MethodResult:
        faces = self.faces_of(method, photos)
        store = MethodStore(outputs, method.name, method.key(faces, photos.key), meter.depends_on())
        with open_bar(len(faces), title) as bar:
            try:
                draw_and_measure(method, faces, store, meter, bar)
            finally:
                store.save(now=True)
        key = canonical_json([store.made[face.name]["sha256"] for face in faces])
        found = self._features([store.path(face) for face in faces], store.below, key, outputs)
        row = ComparedRow(
            name=method.name,
            count=len(faces),
            measures=summarise(
                [store.rows[face.name] for face in faces],
                [face.way for face in faces],
                self.plan.edit,
                self.judge.scorer.kinds,
            ),
            distance=set_distance(found, real),
            time=store.image_time(method.how),
            samples=method.samples,
            minutes=method.minutes,
            init=method.init,
            facts={"method_sha256": store.key},
        )
        return MethodResult(method=method, row=row, pictures={face.name: store.path(face) for face in faces})

    def _features(
        self,
        paths: Sequence[Path],
        below: str,
        key: str,
        outputs: OutputFolder,
        advance: Callable[[int], object] = lambda count: None,
    ) -> Floats:
        return features_of(paths, self.features, outputs=outputs, below=below, key=key, advance=advance)


def draw_and_measure(
    method: ComparedMethod,
    faces: Sequence[FrozenFace],
    store: MethodStore,
    meter: PictureMeter,
    bar: Progress,
) -> None:
    """Do what is not done yet, batch by batch; an interruption loses the batch in hand."""
    if method.time is not None and store.time is None:
        store.timed(method.time(faces))
    for first in range(0, len(faces), method.batch):
        some = faces[first : first + method.batch]
        before = {face.name for face in some if store.has(face)}
        missing = [face for face in some if face.name not in before]
        if missing:
            started = time.perf_counter()
            pictures = method.draw(missing)
            seconds = (time.perf_counter() - started) / len(missing)
            for face, picture in zip(missing, pictures, strict=True):
                store.add(face, picture, seconds)
        left = [face for face in some if face.name not in store.rows]
        for face in left:
            store.rows[face.name] = meter(face, store.pixels(face))
        store.save()
        bar.skip(len(some) - len(left))
        bar.advance(len(left))


def prepare(request: CompareRequest, recipes: Mapping[str, TaskRecipe]) -> Comparison:
    """Find the photographs, open methods and scorer, and look at what the folder holds.

    `recipes` by task say how far an edit in latent space goes. Raises DistillError for what is missing or does not
    fit, before anything is written.
    """
    device = resolve_device(request.device)
    judge = open_judge(request.scorer, device=device)
    plan = plan_photos(request, judge)
    methods = open_methods(request, plan.edit, recipes)
    size = chosen_size(request, methods)
    perceptual = default_perceptual() if request.perceptual == "auto" else request.perceptual
    return Comparison(
        request=request,
        plan=plan,
        methods=methods,
        size=size,
        judge=judge,
        features=load_features(request.features, device=device),
        perceptual=load_perceptual(perceptual, device=device),
        device=torch.device(device),
        kept=kept_photos(plan, request.out, size),
    )


def chosen_size(request: CompareRequest, methods: Sequence[ComparedMethod]) -> int:
    """Return the size of the aligned faces: as asked, as the folder has it, else that of the largest method.

    Raises DistillError where none of them says one.
    """
    kept = read_list(request.out)
    if request.size is not None:
        return request.size
    if kept is not None:
        return int(kept["asked"]["size"])
    sizes = [method.size or method.facts.get("size") for method in methods]
    found = [int(size) for size in sizes if size]
    if not found:
        raise DistillError(
            "no method has a size of its own at which to compare faces: add --size, or a --method that has one"
        )
    return max(found)
