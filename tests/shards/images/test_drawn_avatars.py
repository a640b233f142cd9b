from __future__ import annotations

import sys
import threading

import numpy as np
import pytest
from image_sets import files_of, read_image_set

from distill.errors import DistillError, Interrupted
from distill.shards.images.avatar_set import (
    AvatarAttributes,
    RenderAvatarsRequest,
    batches,
    plan_avatars,
    render,
)
from distill.shards.images.avatars import draw, licence_of, licences

for package in ("dicebear", "dicebear_styles", "resvg_py"):
    pytest.importorskip(package, reason="needs the extra 'avatars'")


def run(out, n=40, *, workers=1, seed=0, style="toon-head"):
    wanted = RenderAvatarsRequest(style=style, n=n, out=out, resolution=16, seed=seed, workers=workers)
    return render(plan_avatars(wanted), stop=threading.Event())


def test_a_set_of_avatars(tmp_path):
    assert run(tmp_path / "a").rows == 40
    found = read_image_set(tmp_path / "a")
    assert found["name"].tolist()[:2] == ["0-0", "0-1"]
    assert len({image.tobytes() for image in found["images"]}) == 40
    assert {"labels/hairVariant", "labels/skinColor", "labels/beardVariant"} <= found.keys()
    assert found["source"]["licence"]["name"] == "CC BY 4.0"
    assert "Johan Melin" in found["source"]["licence"]["attribution"]
    image, options = draw("toon-head", "0-33", 16)
    np.testing.assert_array_equal(found["images"][33], image)
    assert found["labels/hairVariant"][33] == options["hairVariant"]


def test_a_stopped_set_goes_on_to_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr("distill.shards.images.image_set.rows_per_shard", lambda *_, **__: 10)
    stop = threading.Event()
    wanted = RenderAvatarsRequest(style="toon-head", n=40, out=tmp_path / "a", resolution=16, workers=1)
    with pytest.raises(Interrupted, match="2 shards done; the same command goes on from there"):
        render(plan_avatars(wanted), stop=stop, progress=StopAfter(25, stop))
    run(tmp_path / "a")
    run(tmp_path / "b")
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")


class StopAfter:
    """Progress that stops the work after so many pictures."""

    def __init__(self, count, stop):
        self.left, self.stop = count, stop

    def __call__(self, pictures):
        self.left -= pictures
        if self.left <= 0:
            self.stop.set()


@pytest.mark.cluster
def test_workers_change_nothing(tmp_path):
    run(tmp_path / "one")
    run(tmp_path / "two", workers=2)
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


def test_another_seed_gives_other_avatars():
    first, second = draw("toon-head", "0-1", 32)[0], draw("toon-head", "1-1", 32)[0]
    assert (first != second).any()


def test_a_larger_set_begins_with_the_smaller_one():
    small, large = (batches("toon-head", n, resolution=8, seed=0) for n in (40, 70))
    assert [batch.first for batch in small] == [0, 32]
    assert sum(batch.count for batch in large) == 70
    assert small[0] == large[0]


def test_toon_heads_with_a_bun_have_no_beard():
    drawn = [draw("toon-head", f"0-{index}", 8)[1] for index in range(120)]
    beards = [options for options in drawn if options.get("beardVariant")]
    assert 20 <= len(beards) <= 50
    assert not any(options["hairVariant"] == "bun" for options in beards)


def test_the_head_is_in_the_middle_on_a_plain_ground():
    image = draw("toon-head", "0-1", 64)[0].astype(int)
    assert (image[:20, [0, 63]] == 255).all()
    assert (image[32, 20:44].mean(axis=1) < 250).all()


def test_labels_are_the_attributes_that_differ():
    attributes = AvatarAttributes()
    attributes.add({"a": "x", "bVariant": "one", "c": 1, "d": ["#fff"], "scale": 1, "e": 2})
    attributes.add({"a": "y", "c": 2, "d": [], "scale": 1, "e": 2, "f": 3})
    attributes.add({"a": "y", "c": 2.5, "d": [], "f": 4})
    labels, same = attributes.labels()
    assert labels["a"] == ["x", "y", "y"]
    assert labels["bVariant"] == ["one", "none", "none"]
    np.testing.assert_array_equal(labels["c"], np.array([1, 2, 2.5], np.float32))
    np.testing.assert_array_equal(labels["f"], np.array([np.nan, 3, 4], np.float32))
    assert same == {"d": "#fff", "e": 2}


def test_every_style_has_a_licence():
    known = licences()
    assert len(known) > 40
    assert all(licence.name and licence.attribution for licence in known.values())
    assert known["lorelei"].name.startswith("CC0")


def test_an_unknown_style_lists_the_known_ones():
    with pytest.raises(
        DistillError, match=r"no style 'nope'.*CC BY 4\.0: adventurer.*; CC0 1\.0: "
    ) as caught:
        licence_of("nope")
    assert "\n" not in str(caught.value)
    with pytest.raises(DistillError, match="no style"):
        licence_of("../toon-head")


def test_a_style_of_letters_is_refused():
    with pytest.raises(DistillError, match="fonts"):
        licence_of("initials")


@pytest.mark.parametrize("package", ["dicebear", "dicebear_styles", "resvg_py"])
def test_a_missing_package_names_the_extra(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(DistillError, match=r"pip install 'distill\[avatars\]'"):
        licence_of("toon-head")
