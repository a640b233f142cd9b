"""The app: asked by scripts, flooded with bad uploads, and looked at in a real Chromium."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from data_sets import make_data_set
from PIL import Image
from serving import Served, serving
from skimage import data as pictures
from web_pages import Visit, chromium, png

from distill.serve.editors import open_students
from distill.serve.photos import edit_upload

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 360, "height": 720}, "device_scale_factor": 2}


@pytest.fixture(scope="module")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets") / "triplets"
    make_data_set(folder, shards=12)
    return folder


@pytest.fixture(scope="module")
def app(data_set: Path) -> Iterator[Served]:
    with serving("--generator", "portraits", "--data", str(data_set)) as served:
        yield served


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def astronaut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "astronaut.png"
    path.write_bytes(png(np.asarray(pictures.astronaut())))
    return path


def uploaded(app: Served, data: bytes, name: str = "photo.png") -> str:
    path: str = app.upload(data, name).json()[0]
    return path


def huge() -> bytes:
    """100 megapixels."""
    file = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(file, "PNG")
    return file.getvalue()


BAD = {
    "empty": (b"", "The photo is empty"),
    "text": (b"Dear Madam,", "The photo cannot be used: not an image"),
    "cut": (png(np.asarray(pictures.astronaut()))[:5000], "The photo cannot be used: damaged"),
    "huge": (huge(), "The photo has 100 megapixels"),
    "no face": (png(np.asarray(pictures.coffee())), "No face was found in the photo"),
}


def test_a_script_translates_a_photo(app: Served, astronaut: Path, tmp_path: Path) -> None:
    gradio_client = pytest.importorskip("gradio_client", reason="needs the extra web")
    client = gradio_client.Client(
        app.address, verbose=False, analytics_enabled=False, download_files=str(tmp_path)
    )
    photo, faces, note = client.predict(
        photo=gradio_client.handle_file(str(astronaut)),
        student="attributes",
        edit="age=+20",
        api_name="/translate",
    )
    (editor,) = open_students(["attributes"])
    done = edit_upload(astronaut, editor, edit="age=+20")
    assert note == done.note
    assert (np.asarray(Image.open(photo)) == done.after()).all()
    assert (np.asarray(Image.open(faces[0])) == done.outputs[0]).all()
    note = "rawn by a neural network: the student attributes, age=+20"
    for path, start in ((faces[0], "D"), (photo, "Partly d")):
        with Image.open(path) as picture:
            assert picture.info["Comment"] == start + note
    client.close()


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_upload_gets_a_sentence(app: Served, kind: str) -> None:
    data, says = BAD[kind]
    end, said = app.translate(uploaded(app, data))
    assert end == "error"
    assert says in said["error"]
    assert "/" not in said["error"].replace("0/0", "")  # no path of the server


def test_a_file_that_is_too_long_is_refused(app: Served) -> None:
    found = app.upload(bytes(31_000_000))
    assert found.status_code == 413
    assert "30" in found.text or "size" in found.text.lower()


@pytest.mark.parametrize("path", ["/etc/passwd", "https://example.com/photo.png", "http://127.0.0.1:1/x.png"])
def test_nothing_else_is_opened(app: Served, path: str) -> None:
    end, _ = app.translate(path)
    assert end == "error"
    assert requests.get(
        f"{app.address}gradio_api/file={path}", timeout=60, allow_redirects=False
    ).status_code in (
        403,
        404,
    )


def test_numbers_of_a_data_set_for_a_script(app: Served) -> None:
    end, (found,) = app.call("rows", "triplets", "ssim > 0.55", "ssim", True, 1)
    assert end == "complete"
    assert (found["kept"], found["pages"], found["names"][-1]) == (24, 1, "ssim")
    assert [row[-1] for row in found["rows"]] == [0.7] * 12 + [0.6] * 12
    end, said = app.call("rows", "triplets", "beauty > 2", "ssim", True, 1)
    assert end == "error"
    assert "beauty" in said["error"]


def test_samples_and_mixes_for_a_script(app: Served) -> None:
    end, (sample,) = app.call("sample", 3, 0.7, "age=+2", "none")
    assert end == "complete"
    picture = Image.open(io.BytesIO(requests.get(sample["url"], timeout=60).content))
    assert picture.info["Comment"].startswith("Drawn by a neural network: the generator ")
    assert app.call("mix", "0-1", "2", 0.7, 5)[0] == "complete"
    end, said = app.call("mix", "0-99", "2", 0.7, 5)
    assert end == "error"
    assert "give 1 to 12" in said["error"]


def test_nothing_listens_beyond_loopback(app: Served) -> None:
    family = [app.process, *app.process.children(recursive=True)]
    listening = [c.laddr.ip for process in family for c in process.net_connections() if c.status == "LISTEN"]
    assert listening == ["127.0.0.1"]
    away = [c.raddr.ip for process in family for c in process.net_connections() if c.raddr]
    assert set(away) <= {"127.0.0.1"}


def test_two_hundred_bad_uploads_and_twenty_at_once(app: Served, astronaut: Path) -> None:
    kinds = [BAD[kind] for kind in ("empty", "text", "cut", "huge", "no face")]
    photo = uploaded(app, astronaut.read_bytes())

    def bad(number: int) -> None:
        data, says = kinds[number % 4 if number % 20 else 4]
        end, said = app.translate(uploaded(app, data, f"{number}.png"))
        assert end == "error"
        assert says in said["error"]

    def good(number: int) -> str:
        return app.translate(photo, ("ageing", "gender-swap")[number % 2])[0]

    def twenty() -> None:
        with ThreadPoolExecutor(20) as pool:
            assert list(pool.map(good, range(20))) == ["complete"] * 20

    for number in range(120):  # until no more visits are remembered
        bad(number)
    twenty()
    before = app.memory
    for number in range(200):
        bad(number)
    twenty()
    after = app.memory
    print(f"{before:.0f} MB before, {after:.0f} MB after")
    assert after - before < 25


def test_a_token_is_asked_for_beyond_this_machine() -> None:
    with serving("ageing", "--host", "0.0.0.0") as app:
        token = app.link.partition("token=")[2]
        assert len(token) >= 24
        assert requests.get(app.address, timeout=60).status_code == 401
        assert app.upload(b"x").status_code == 401
        session = requests.Session()
        page = session.get(f"{app.address}?token={token}", timeout=60)
        assert (page.status_code, page.url) == (200, app.address)
        assert "gradio" in page.text
        bearer = {"Authorization": f"Bearer {token}"}
        assert requests.get(f"{app.address}config", headers=bearer, timeout=60).status_code == 200


def test_the_page_names_nothing_to_load_from_elsewhere(app: Served) -> None:
    page = requests.get(app.address, timeout=60).text
    assert re.findall(r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=.(?:https?:)?//[^>]*", page) == []
    style = requests.get(f"{app.address}theme.css", timeout=60).text
    assert re.findall(r"url\([\"']?(?:https?:)?//|@import", style) == []
    config = requests.get(f"{app.address}config", timeout=60).json()
    assert config["analytics_enabled"] is False
    assert config["stylesheets"] == []


def test_under_another_name_it_does_not_answer(app: Served) -> None:
    found = requests.get(app.address, headers={"Host": "evil.example"}, timeout=60)
    assert found.status_code == 421


def test_ctrl_c_ends_it_and_leaves_nothing(tmp_path: Path) -> None:
    pytest.importorskip("gradio", reason="needs the extra web")
    command = [sys.executable, "-m", "distill", "serve", "ageing", "--port", "0"]
    places = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=places) as process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("open "):
            assert process.poll() is None
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert [path for path in tmp_path.iterdir() if path.name.startswith("distill-serve-")] == []


def visit(browser: Any, app: Served, **settings: Any) -> Visit:
    page = Visit(browser, app.address, **settings)
    page.page.wait_for_selector("button:has-text('Translate')")
    return page


def give(page: Visit, data: bytes, name: str = "photo.png", place: int = 0) -> None:
    page.page.set_input_files(
        "input[type=file] >> nth=" + str(place), {"name": name, "mimeType": "image/png", "buffer": data}
    )


def said(page: Visit, text: str) -> None:
    page.page.wait_for_selector(f".note:visible:has-text({text!r})")


def test_a_photo_is_translated_in_the_browser(
    browser: Any, app: Served, astronaut: Path, tmp_path: Path
) -> None:
    page = visit(browser, app, viewport={"width": 1200, "height": 900})
    choose(page, "Student", "ageing")
    give(page, astronaut.read_bytes())
    said(page, "ageing: 1 face")
    page.page.wait_for_selector("text=Before and after")
    assert page.page.locator("img:visible").count() >= 3
    page.page.click("button:has-text('Make the file')")
    with page.page.expect_download() as download:
        page.page.click("a[download]:visible >> nth=0")
    download.value.save_as(tmp_path / "photo.png")
    with Image.open(tmp_path / "photo.png") as picture:
        assert picture.size == (512, 512)
    for kind, (data, says) in BAD.items():
        if kind not in ("empty", "text"):  # the browser itself refuses those
            page.page.click("button[aria-label='Remove Image']:visible >> nth=0")
            give(page, data, f"{kind}.png")
            said(page, says)
            assert not page.page.is_visible("text=Before and after")
    assert page.elsewhere == page.faults == []
    page.context.close()


def choose(page: Visit, label: str, option: str) -> None:
    """Choose from a list."""
    page.page.get_by_label(label).first.click()
    page.page.get_by_role("option", name=option, exact=True).click()


def test_on_a_phone_nothing_sticks_out(browser: Any, app: Served, astronaut: Path) -> None:
    page = visit(browser, app, **PHONE)
    choose(page, "Student", "attributes")
    page.page.wait_for_selector("text=younger to older")
    give(page, astronaut.read_bytes())
    said(page, "attributes: 1 face")
    width = page.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width[0] <= width[1] == 360
    assert page.elsewhere == page.faults == []
    page.context.close()


def test_data_is_filtered_paged_and_saved(browser: Any, app: Served, data_set: Path) -> None:
    page = visit(browser, app)
    page.page.get_by_role("tab", name="Data").click()
    said(page, "36 of 36 rows, page 1 of 2.")
    page.page.click("button:has-text('Next')")
    said(page, "page 2 of 2.")
    page.page.get_by_label("Keep rows where").fill("ssim = 1")
    page.page.click("button:has-text('Show'):visible")
    said(page, "two numbers are compared with ==")
    page.page.get_by_label("Keep rows where").fill("ssim > 0.55")
    page.page.click("button:has-text('Show'):visible")
    said(page, "24 of 36 rows, page 1 of 1.")
    page.page.click("text=Save the selection as a data set")
    page.page.get_by_label("Name of the new folder").fill("better")
    page.page.get_by_role("button", name="Save", exact=True).click()
    page.page.wait_for_selector("text=24 rows in")
    assert (data_set.parent / "better" / "manifest.json").is_file()
    assert page.elsewhere == page.faults == []
    page.context.close()


def test_a_sample_is_drawn_in_the_browser(browser: Any, app: Served) -> None:
    page = visit(browser, app)
    page.page.get_by_role("tab", name="Teacher").click()
    said(page, "Seed 0 at ψ 0.7.")
    page.page.get_by_label("Seed").fill("5")
    page.page.get_by_role("button", name="Draw", exact=True).click()
    said(page, "Seed 5 at ψ 0.7.")
    page.page.get_by_role("tab", name="Style mixing").click()
    page.page.wait_for_selector(".sheet img:visible")
    assert page.elsewhere == page.faults == []
    page.context.close()
