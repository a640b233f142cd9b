"""What the exported page writes into a PNG before it is downloaded, by Node."""

from __future__ import annotations

import base64
import io
import json
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from distill.pixels import Mark, encode_png
from distill.serve.web_export import PAGE

NODE = shutil.which("node")
CODE = """
const { withTexts } = await import(process.argv[1]);
const [text, texts] = JSON.parse(process.argv[2]);
const blob = new Blob([Buffer.from(text, "base64")], { type: "image/png" });
const marked = await withTexts(blob, texts);
process.stdout.write(Buffer.from(await marked.arrayBuffer()).toString("base64"));
"""


@pytest.mark.skipif(NODE is None, reason="needs node")
def test_the_page_puts_the_same_texts_into_a_png_as_python() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 6, 3), np.uint8)
    mark = Mark(by="the student 学生", partly=True)
    given = json.dumps([base64.b64encode(encode_png(pixels)).decode(), mark.texts()])
    done = subprocess.run(
        [str(NODE), "--input-type=module", "--eval", CODE, str(PAGE / "mark.js"), given],
        capture_output=True,
        text=True,
        check=True,
    )
    data = base64.b64decode(done.stdout)
    Image.open(io.BytesIO(data)).verify()  # every checksum
    with Image.open(io.BytesIO(data)) as marked:
        assert np.array_equal(np.asarray(marked), pixels)
        assert marked.text == mark.texts()
