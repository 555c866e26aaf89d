"""Cases run ahead of the test that asks for them, so what a single test leaves behind can't be told here."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> None:
    """In the place of the check after each test: the one at the end of the whole run counts."""
