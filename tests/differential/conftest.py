"""The tables as pytest runs them. Many cases run at a time, ahead of the tests that ask for them."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> None:
    """In the place of the check after each test, which can't tell here: the one at the end of the whole run counts."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One process of pytest-xdist gets a whole table (`--dist loadgroup`): its threads run the cases side by side."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
