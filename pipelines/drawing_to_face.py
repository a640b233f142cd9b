"""The pairs of `face-to-drawing` the other way: the drawing goes in, the face should come out."""

from __future__ import annotations

from pipelines.face_to_drawing import RECIPE as FACE_TO_DRAWING

RECIPE = FACE_TO_DRAWING.revised(task="drawing-to-face", second_draws="source")
