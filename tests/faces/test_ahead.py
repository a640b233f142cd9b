"""Work on threads ahead of whoever takes the results: in order, a few at a time, silent."""

from __future__ import annotations

import threading
import time
import warnings
from pathlib import Path

import pytest
from PIL import Image

from distill.faces.decode import read_photo
from distill.faces.detection import ahead


def slow_first(number: int) -> int:
    time.sleep(0.05 if number % 3 == 0 else 0)
    return number * 10


@pytest.mark.parametrize("threads", [1, 3])
def test_results_come_in_order(threads: int) -> None:
    results = ahead(slow_first, range(12), threads=threads, weigh=lambda _: 1, most=100)
    assert list(results) == [number * 10 for number in range(12)]


@pytest.mark.parametrize(("most", "held"), [(100, 4), (2, 2), (0, 1)])
def test_only_a_few_are_done_before_they_are_taken(most: int, held: int) -> None:
    begun: list[int] = []
    results = ahead(lambda number: begun.append(number), range(50), threads=2, weigh=lambda _: 1, most=most)
    for taken in range(1, 20):
        next(results)
        time.sleep(0.005)
        assert len(begun) <= taken + held
    results.close()


def test_an_error_comes_where_its_item_would_and_nothing_is_begun_after_it() -> None:
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        if number == 2:
            raise ValueError("two")
        return number

    results = ahead(work, range(50), threads=2, weigh=lambda _: 1, most=100)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="two"):
        next(results)
    assert len(begun) <= 2 + 1 + 4


def test_warnings_are_silent_on_every_thread_and_heard_again_after(tmp_path: Path) -> None:
    """A palette picture with transparency in bytes makes Pillow warn; pytest turns warnings into errors."""
    picture = Image.new("P", (40, 40))
    picture.putpalette([value for number in range(256) for value in (number, number, number)])
    picture.save(tmp_path / "odd.png", transparency=bytes(range(256)))
    before = list(warnings.filters)
    failed: list[Exception] = []

    def read_often() -> None:
        try:
            for _ in range(40):
                read_photo(tmp_path / "odd.png")
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=read_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert list(warnings.filters) == before
