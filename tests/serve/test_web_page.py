"""The exported page in a real Chromium: the pictures of Python, and a sentence for what it cannot use."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conditioned_students import make_conditioned
from PIL import Image
from skimage import data as pictures
from web_pages import Visit, chromium, export, from_page, png, psnr, served, to_page

from distill.editing.translator import Translator
from distill.faces.alignment import Pixels, align, ffhq_quad
from distill.faces.paste import FaceEdit, paste_back
from distill.faces.photo_detection import PhotoDetector
from distill.networks.student import Student, load_student

pytestmark = pytest.mark.browser

LEAST_PSNR = 40.0  # dB
DARK = {"color_scheme": "dark", "viewport": {"width": 360, "height": 720}, "device_scale_factor": 2}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def ageing() -> Student:
    return load_student("ageing", precision="fp32")


@pytest.fixture(scope="module")
def visit(browser: Any, ageing: Student, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visit]:
    """One visit to the page of the student ageing, for all tests of it."""
    folder = export(ageing, tmp_path_factory.mktemp("ageing") / "page")
    with served(folder) as address:
        page = Visit(browser, address, viewport={"width": 1100, "height": 900})
        page.status("Ready")
        yield page
        assert page.elsewhere == []
        assert page.faults == []


@pytest.fixture(scope="module")
def astronaut() -> Pixels:
    return np.asarray(pictures.astronaut())


@pytest.fixture(scope="module")
def landmarks(astronaut: Pixels) -> Any:
    return PhotoDetector()(astronaut)[0].landmarks


def translated(student: Student, *inputs: Pixels, changes: list[float] | None = None) -> Pixels:
    """What Python makes of aligned faces."""
    translate = Translator(student=student, size=len(inputs[0]), style=inputs[1] if len(inputs) > 1 else None)
    return translate([inputs[0]], None if changes is None else np.array([changes], np.float32))[0]


def contrast(colours: list[str]) -> float:
    """The contrast of two colours "rgb(r, g, b)" by WCAG 2."""
    light = []
    for colour in colours:
        share = np.array([float(part) for part in colour.strip("rgb() ").split(",")]) / 255
        linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
        light.append(linear @ [0.2126, 0.7152, 0.0722])
    return (max(light) + 0.05) / (min(light) + 0.05)


def test_the_crop_is_that_of_python(visit: Visit, astronaut: Pixels, landmarks: Any) -> None:
    quad = visit.call("alignment.js", "return m.ffhqQuad(v[0])", landmarks.tolist())
    assert np.abs(np.array(quad) - ffhq_quad(landmarks)).max() < 1e-6


@pytest.mark.parametrize(
    ("place", "scale", "size"),
    [
        ((0, 512, 0, 512), 1, 128),
        ((0, 180, 130, 300), 1, 64),
        ((60, 260, 180, 400), 1, 256),
        ((0, 400, 40, 440), 3, 64),
    ],
    ids=["inside", "over two edges", "over the upper and left edge", "large"],
)
def test_a_face_is_cut_out_as_in_python(
    visit: Visit, astronaut: Pixels, landmarks: Any, place: tuple[int, ...], scale: int, size: int
) -> None:
    top, bottom, left, right = place
    part = Image.fromarray(astronaut[top:bottom, left:right])
    photo = np.asarray(part.resize((part.width * scale, part.height * scale), Image.Resampling.BICUBIC))
    points = (landmarks - [left, top]) * scale
    body = "return toText(m.warpQuad(fromText(v[0]), m.ffhqQuad(v[1]), v[2]))"
    found = from_page(visit.call("alignment.js", body, to_page(photo), points.tolist(), size))
    same = psnr(found, align(photo, points, size))
    print(f"{same:.1f} dB")
    assert same >= LEAST_PSNR


def test_the_astronaut_is_dropped_and_translated(
    visit: Visit, ageing: Student, astronaut: Pixels, tmp_path: Path
) -> None:
    visit.drop("#photo-drop", "astronaut.png", png(astronaut))
    assert visit.status("Done").startswith("Done: 1 face in ")
    photo, pasted = visit.compared()
    assert (photo == astronaut).all()
    visit.page.click("#views button:has-text('The face')")
    face, output = visit.compared()
    assert psnr(output, translated(ageing, face)) >= LEAST_PSNR
    assert psnr(output, face) < 35  # it did something
    with visit.page.expect_download() as download:
        visit.page.click("#views button:has-text('The photo')")
        visit.page.click("#download")
    assert download.value.suggested_filename == "astronaut-ageing.png"
    download.value.save_as(tmp_path / "photo.png")
    with Image.open(tmp_path / "photo.png") as saved:
        assert (np.asarray(saved.convert("RGB")) == pasted).all()
        assert saved.info["Comment"] == "Partly drawn by a neural network: the student ageing"
        assert "compositeWithTrainedAlgorithmicMedia" in saved.info["XML:com.adobe.xmp"]


def test_its_own_landmarks_are_near_those_of_dlib(visit: Visit, astronaut: Pixels, landmarks: Any) -> None:
    body = "const faces = await m.engine.open(fromText(v[0])); return faces.map((face) => face.landmarks)"
    (found,) = np.array(visit.call("page.js", body, to_page(astronaut)))
    eyes = [landmarks[36:42].mean(axis=0), landmarks[42:48].mean(axis=0)]
    distance = np.hypot(*(eyes[1] - eyes[0]))
    between = np.hypot(*(found[36:48].mean(axis=0) - landmarks[36:48].mean(axis=0))) / distance
    corners = np.hypot(*(ffhq_quad(found) - ffhq_quad(landmarks)).T).max() / distance
    print(
        f"of the distance of the eyes: their middle {between:.3f}, farthest corner of the crop {corners:.3f} off"
    )
    assert between < 0.06
    assert corners < 0.15  # the side of a crop is about four distances


def test_several_faces_are_pasted_back_as_in_python(visit: Visit, ageing: Student, astronaut: Pixels) -> None:
    wide = np.concatenate([astronaut[:300, 60:420], astronaut[:300, 420:60:-1]], axis=1)
    visit.drop("body", "two.png", png(wide))
    assert visit.status("Done: 2 faces")
    pasted = visit.compared()[1]
    body = "const faces = await m.engine.open(fromText(v[0])); return faces.map(({ quad }) => quad)"
    quads = np.array(visit.call("page.js", body, to_page(wide)))
    edits = []
    for place, quad in enumerate(quads):
        visit.page.click(f"#views button:has-text('Face {place + 1}')")
        face, output = visit.compared()
        assert psnr(output, translated(ageing, face)) >= LEAST_PSNR
        edits.append(FaceEdit(quad=quad, pixels=output))
    assert psnr(pasted, paste_back(wide, edits)) >= LEAST_PSNR
    assert psnr(pasted, wide) < LEAST_PSNR


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("empty.jpg", b"", "empty.jpg is empty (0 bytes)"),
        ("letter.txt", b"Dear Madam,", "letter.txt is not a picture"),
        ("cut.png", png(np.asarray(pictures.astronaut()))[:40], "cut.png is not a picture"),
        ("coffee.png", png(np.asarray(pictures.coffee())), "No face was found"),
    ],
)
def test_what_cannot_be_used_gets_a_sentence(visit: Visit, name: str, data: bytes, says: str) -> None:
    visit.drop("#photo-drop", name, data)
    assert says in visit.complaint()
    assert not visit.page.is_visible("#result")
    assert not visit.page.is_visible("#progress")


def test_without_a_face_its_middle_can_be_taken(visit: Visit, ageing: Student) -> None:
    visit.drop("#photo-drop", "coffee.png", png(np.asarray(pictures.coffee())))
    visit.page.click("#alert button:has-text('middle')")
    visit.status("Done: 1 face")
    assert not visit.page.is_visible("#alert")
    visit.page.click("#views button:has-text('The face')")
    face, output = visit.compared()
    assert psnr(output, translated(ageing, face)) >= LEAST_PSNR


def test_a_hundred_megapixels_are_reduced(visit: Visit, astronaut: Pixels) -> None:
    huge = Image.fromarray(astronaut).resize((10_000, 10_000), Image.Resampling.NEAREST)
    file = io.BytesIO()
    huge.save(file, "JPEG", quality=50)
    visit.drop("#photo-drop", "huge.jpg", file.getvalue(), "image/jpeg")
    visit.status("Done: 1 face")
    assert "has 100 megapixels; it was reduced to 25 (5000 × 5000)" in visit.page.text_content("#note")


def test_a_photo_is_taken_by_the_camera(visit: Visit) -> None:
    visit.page.click("#camera-button")
    visit.page.wait_for_function("() => document.querySelector('video').videoWidth > 0")
    visit.page.click("#camera button:has-text('Take the photo')")
    assert "No face was found" in visit.complaint()  # the false camera shows a pattern
    visit.page.click("#camera-button")
    visit.page.wait_for_selector("#camera", state="visible")
    visit.page.keyboard.press("Escape")
    visit.page.wait_for_selector("#camera", state="hidden")


def test_the_line_is_moved_by_keys(visit: Visit, astronaut: Pixels) -> None:
    visit.drop("#photo-drop", "astronaut.png", png(astronaut))
    visit.status("Done")
    slider = visit.page.locator("#compare input")
    slider.focus()
    visit.page.keyboard.press("Home")
    assert slider.get_attribute("aria-valuetext") == "0 % before, 100 % after"
    visit.page.keyboard.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == "1 % before, 99 % after"


def test_a_style_image_goes_in_beside_the_photo(
    browser: Any, astronaut: Pixels, tmp_path_factory: pytest.TempPathFactory
) -> None:
    student = load_student("style-mix", precision="fp32")
    folder = export(student, tmp_path_factory.mktemp("style") / "page")
    other = np.ascontiguousarray(astronaut[:300, 420:60:-1, ::-1])
    with served(folder) as address:
        visit = Visit(browser, address, **DARK)
        visit.drop("#photo-drop", "astronaut.png", png(astronaut))  # waits until all is loaded
        visit.status("Now choose a style image")
        visit.drop("#style-drop", "letter.txt", b"Dear Madam,")
        assert "letter.txt is not a picture" in visit.complaint()
        visit.drop("#style-drop", "style.png", png(other))
        visit.status("Done: 1 face")
        visit.page.click("#views button:has-text('The face')")
        face, output = visit.compared()
        style = visit.canvas("#style-face")
        assert psnr(output, translated(student, face, style)) >= LEAST_PSNR
        check_on_a_dark_phone(visit)
        visit.drop("#photo-drop", "two.png", png(np.concatenate([other, other], axis=1)))
        visit.drop("#style-drop", "astronaut.png", png(astronaut))  # while the photo is being looked at
        visit.status("Done: 2 faces")
        assert visit.faults == visit.elsewhere == []
        visit.context.close()


def check_on_a_dark_phone(visit: Visit) -> None:
    """Nothing sticks out to the side, and light text stands on dark paper."""
    width = visit.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width[0] <= width[1] == 360
    colours = visit.page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    assert contrast(colours) >= 7
    assert contrast([colours[1], "rgb(0, 0, 0)"]) < 2
    main = visit.page.eval_on_selector(
        "#download", "(button) => [getComputedStyle(button).color, getComputedStyle(button).backgroundColor]"
    )
    assert contrast(main) >= 4.5


def test_sliders_change_what_a_student_of_any_strength_does(
    browser: Any, astronaut: Pixels, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("conditions")
    student = make_conditioned(folder / "run")
    with served(export(student, folder / "page")) as address:
        visit = Visit(browser, address)
        visit.drop("#photo-drop", "astronaut.png", png(astronaut))
        visit.status("Done")
        visit.page.click("#views button:has-text('The face')")
        face, unchanged = visit.compared()
        assert psnr(unchanged, translated(student, face, changes=[0, 0, 0])) >= LEAST_PSNR
        age = visit.page.locator("#sliders input[name=age]")
        age.focus()
        visit.page.keyboard.press("End")
        visit.page.keyboard.press("ArrowLeft")
        assert age.get_attribute("aria-valuetext") == "+29 years"
        visit.page.wait_for_function("() => document.getElementById('progress').hidden")
        visit.page.wait_for_timeout(300)
        visit.status("Done")
        older = visit.compared()[1]
        assert psnr(older, translated(student, face, changes=[0, 29, 0])) >= LEAST_PSNR
        assert psnr(older, unchanged) < LEAST_PSNR
        visit.page.click("#reset")
        visit.status("Done")
        assert age.get_attribute("aria-valuetext") == "no change"
        assert visit.faults == visit.elsewhere == []
        visit.context.close()
