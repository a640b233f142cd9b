"""Numbers as people read them."""

from __future__ import annotations

import pytest

from distill.files import size_text
from distill.progress import plural
from distill.timing import clock


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59, "59 s"), (61, "1 min 01 s"), (7300, "2 h 01 min")]
)
def test_durations_are_written_for_people(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_sizes_are_written_for_people() -> None:
    assert [size_text(n) for n in (0, 1023, 1536, 5 * 2**30)] == [
        "0 bytes",
        "1023 bytes",
        "1.5 KiB",
        "5.0 GiB",
    ]


def test_one_shard_two_shards() -> None:
    assert [plural(1, "shard"), plural(2, "shard")] == ["1 shard", "2 shards"]
