"""From photos through a student and back: the right images in, the right files out."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from distill.editing.pictures import GAP, LABEL, MOST, ContactSheet, labelled, side_by_side
from distill.editing.translate import TranslatedFace, TranslateRequest, translate_photos
from distill.editing.translator import Translator, make_translator
from distill.errors import DistillError
from distill.faces.find import find_photos
from distill.faces.photo_results import SkippedPhoto
from distill.networks.pix2pixhd import Architecture
from distill.networks.student import Student, StudentFacts, load_student

GOLDEN = Path(__file__).parents[1] / "golden"


class Channels(nn.Module):
    """A network that returns three of its input channels."""

    def __init__(self, inputs: int, first: int = 0) -> None:
        super().__init__()
        self.architecture = Architecture(inputs=inputs, downsamplings=2)
        self.first = first

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, self.first : self.first + 3]


def student(channels: int = 3, first: int = 0, **facts) -> Student:
    return Student(
        network=Channels(channels, first),
        facts=StudentFacts(**facts),
        path=Path("student.pth"),
        device=torch.device("cpu"),
    )


def portrait(side=512):
    with Image.open(GOLDEN / "alignment" / "astronaut.png") as image:
        return image.convert("RGB").resize((side, side), Image.Resampling.LANCZOS)


def pixels(path):
    with Image.open(path) as image:
        return np.array(image.convert("RGB")).astype(int)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    portrait().save(folder / "me.png")
    canvas = Image.new("RGB", (900, 512), "grey")
    canvas.paste(portrait(), (388, 0))
    canvas.paste(portrait(340), (10, 100))
    canvas.save(folder / "sheet.png")  # a name that our own file has
    Image.new("RGB", (200, 200), "teal").save(folder / "wall.png")
    return folder


def run(folder, out, ready, **options):
    request = TranslateRequest(photos=(folder,), model=Path("student.pth"), out=out, **options)
    return translate_photos(request, find_photos(request.photos, out), ready).results


def test_every_face_of_every_photo_and_the_photos_themselves(photos, tmp_path):
    ready = Translator(student=student(), size=256, batch=2)
    results = run(photos, tmp_path, ready, paste_back=True, all_faces=True)
    assert [type(result) for result in results] == [
        TranslatedFace,
        TranslatedFace,
        TranslatedFace,
        SkippedPhoto,
    ]
    names = ["me_01.png", "sheet-2_01.png", "sheet-2_02.png"]
    assert [result.output.name for result in results[:3]] == names
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".distill-outputs.json",
        "compare",
        *names[:1],
        "pasted",
        *names[1:],
        "sheet.png",
    ]
    assert sorted(path.name for path in (tmp_path / "pasted").iterdir()) == ["me.png", "sheet-2.png"]
    assert (results[3].reason, results[3].photo.name) == ("no face", "wall.png")
    for photo, pasted in (("me.png", "me.png"), ("sheet.png", "sheet-2.png")):
        before, after = pixels(photos / photo), pixels(tmp_path / "pasted" / pasted)
        assert before.shape == after.shape
        assert np.abs(after - before).mean() < 0.5  # the student changes nothing
        assert (after[-100:] == before[-100:]).all()
    assert pixels(results[0].comparison).shape == (256 + LABEL, 2 * 256 + GAP, 3)
    assert pixels(tmp_path / "sheet.png").shape[0] > 128


def test_a_batch_or_one_by_one_is_the_same(photos, tmp_path):
    for batch in (1, 8):
        run(photos, tmp_path / str(batch), Translator(student=student(), size=64, batch=batch))
    for name in ("me.png", "sheet-2.png"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "8" / name).read_bytes()
    assert not (tmp_path / "1" / "pasted").exists()


def test_threads_ahead_of_the_student_change_nothing(photos, tmp_path, monkeypatch):
    monkeypatch.setattr("distill.editing.translate.PHOTOS_A_THREAD", 1)
    monkeypatch.setattr("distill.editing.translate.usable_cores", lambda: 3)
    found = {}
    for threads in (1, 3):
        monkeypatch.setattr("distill.editing.translate.MOST_THREADS", threads)
        results = run(photos, tmp_path / str(threads), Translator(student=student(), size=64, batch=2))
        found[threads] = [result.photo.name for result in results]
    assert found[1] == found[3] == ["me.png", "sheet.png", "wall.png"]
    files = [path.relative_to(tmp_path / "1") for path in (tmp_path / "1").rglob("*.png")]
    assert len(files) == 5
    assert all((tmp_path / "1" / name).read_bytes() == (tmp_path / "3" / name).read_bytes() for name in files)


@pytest.mark.parametrize(
    ("roles", "first", "shown"),
    [
        ((), 0, "photo"),
        ((), 3, "style"),
        (("content", "style"), 3, "style"),
        (("style", "content"), 0, "style"),
        (("person", "reference"), 0, "photo"),
        (("person", "reference"), 3, "style"),
        (("reference", "person"), 0, "style"),
    ],
)
def test_the_style_goes_where_the_student_was_taught_to_look(roles, first, shown):
    ready = Translator(
        student=student(6, first, inputs=roles), size=32, style=np.full((32, 32, 3), 200, np.uint8)
    )
    (output,) = ready([np.full((32, 32, 3), 50, np.uint8)])
    assert (output == {"photo": 50, "style": 200}[shown]).all()
    assert ready.roles == (roles or ("photo", "style"))


def test_the_style_is_aligned_as_the_photo_is(photos):
    ready = make_translator(student(6, 3), style=photos / "me.png", size=64, batch=8)
    assert ready.style.shape == (64, 64, 3)
    golden = np.asarray(Image.open(GOLDEN / "alignment" / "astronaut_ffhq256.png").convert("RGB").reduce(4))
    assert np.abs(ready.style.astype(int) - golden).mean() < 12


def test_options_that_do_not_fit_the_student_are_refused(photos):
    def message(which, style=None, size=None):
        with pytest.raises(DistillError) as caught:
            make_translator(which, style=style, size=size, batch=8)
        assert caught.value.exit_code == 2
        return str(caught.value)

    assert "takes 2 images (6 channels), a photo and a style: add --style" in message(student(6))
    swap = student(6, inputs=("person", "reference"))
    assert "a person and a reference: add --style IMAGE, the reference" in message(swap)
    assert "takes 1 image (3 channels): leave out --style" in message(student(), photos / "me.png")
    assert "takes 3 images" in message(student(9))
    assert "multiples of 4 px" in message(student(), size=66)
    assert "wall.png: no face" in message(student(6), photos / "wall.png")
    assert "gone.png: unreadable" in message(student(6), photos / "gone.png")


def test_the_size_is_that_of_the_training_and_else_256(photos):
    for facts, size, expected in [
        ({}, None, 256),
        ({"resolution": 64}, None, 64),
        ({"resolution": 64}, 128, 128),
    ]:
        ready = make_translator(student(**facts), style=None, size=size, batch=8)
        assert ready.size == expected


def test_a_photo_is_never_replaced(photos, tmp_path):
    (tmp_path / "pasted").mkdir()
    photo = tmp_path / "pasted" / "me.png"
    portrait().save(photo)
    before = photo.read_bytes()
    ready = Translator(student=student(), size=32)
    with pytest.raises(DistillError, match="could be replaced"):
        run(photo, tmp_path, ready, paste_back=True)
    assert photo.read_bytes() == before


def test_nothing_is_left_where_no_photo_had_a_face(photos, tmp_path):
    ready = Translator(student=student(), size=32)
    assert [
        type(result) for result in run(photos / "wall.png", tmp_path / "out", ready, paste_back=True)
    ] == [SkippedPhoto]
    assert not (tmp_path / "out").exists()


def test_a_published_generator_translates(photos, tmp_path):
    with np.load(GOLDEN / "pix2pixhd_global.npz") as data:
        keys = [key for key in data.files if key.startswith("state/")]
        state = OrderedDict((key.removeprefix("state/"), torch.from_numpy(data[key])) for key in keys)
    torch.save(state, tmp_path / "latest_net_G.pth")
    ready = make_translator(
        load_student(tmp_path / "latest_net_G.pth"),
        style=photos / "me.png",
        size=64,
        batch=8,
    )
    (result,) = run(photos / "me.png", tmp_path / "out", ready)
    assert pixels(result.comparison).shape == (64 + LABEL, 3 * 64 + 2 * GAP, 3)
    assert pixels(result.output).std() > 1


def test_a_full_gpu_is_told_with_what_to_do():
    def full(_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate …")

    broken = student()
    broken.network.forward = full
    with pytest.raises(DistillError, match=r"a batch of 4 at 32 px does not fit .*: use --batch 2"):
        Translator(student=broken, size=32)([np.zeros((32, 32, 3), np.uint8)] * 4)


def test_pictures_stand_beside_each_other_and_a_sheet_has_an_end():
    black, white = np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8)
    row = side_by_side([black, white, black])
    assert row.shape == (8, 24 + 2 * GAP, 3)
    assert (row[:, :8] == 0).all()
    assert (row[:, 8:-8] == 255).all()
    sheet = ContactSheet(["photo", "output"])
    for number in range(MOST + 5):
        sheet.add(f"a photo with a very long name {number}" * 3, [black, white])
    drawn = sheet.draw()
    assert sheet.count == MOST + 5
    assert drawn.shape[1] <= 1600
    assert (drawn[:10] == 255).all()


def test_a_comparison_says_what_each_picture_is():
    tiles = [np.full((64, 64, 3), level, np.uint8) for level in (10, 90, 170)]
    row = labelled(tiles, ["photo", "style", "output"])
    assert (row[LABEL:] == side_by_side(tiles)).all()
    heads = [row[:LABEL, place * (64 + GAP) :][:, :64] for place in range(3)]
    assert all(head.min() < 160 for head in heads)
    assert (heads[0] != heads[1]).any()


def drawn(name):
    sheet = ContactSheet(["photo"])
    sheet.add(name, [np.full((128, 128, 3), 200, np.uint8)])
    return sheet.draw()


def test_names_with_accents_are_written_on_sheets_and_unknown_letters_are_question_marks():
    boxes = drawn("\ue000")
    assert (boxes == drawn("?")).all()
    for name in ("é", "Ł", "ß", "Ж", "ñ", "ő"):
        assert (drawn(name) != boxes).any()
        assert (drawn(name) != drawn("e")).any()
    assert (drawn("e\u0301") == drawn("é")).all()  # as macOS spells it
    assert (drawn("a\x1b\n") == drawn("a??")).all()


def test_a_command_that_is_printed_can_be_pasted():
    with pytest.raises(DistillError, match=r"leave out --style 'my photos/a b.jpg'"):
        make_translator(student(), style=Path("my photos/a b.jpg"), size=None, batch=8)


def test_a_student_that_fails_leaves_nothing(photos, tmp_path):
    def full(_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate …")

    broken = student()
    broken.network.forward = full
    with pytest.raises(DistillError, match="does not fit"):
        run(photos, tmp_path / "not" / "there", Translator(student=broken, size=32), paste_back=True)
    assert list(tmp_path.iterdir()) == []
