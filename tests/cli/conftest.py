"""What all tests of commands share."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def quick_pages(pages_without_curves: None) -> None:
    """Many commands train for a moment; `tests/training` looks at the curves of their pages."""
