"""Programs that tests run against. Where one is missing the test cannot be run, and in CI that is a failure.

`REQUIRE_ALL=1` (set by .ci/run) turns "not installed" from a skip into a failure.
"""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest

SEARCH = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"


def program(name: str) -> str:
    """The path of a program. Skips the test where it is not installed, or fails it where all must be there."""
    path = shutil.which(name, path=SEARCH)
    if path is None:
        missing(f"{name} is not installed")
    return path


def missing(what: str) -> NoReturn:
    """What this test needs is not here."""
    if os.environ.get("REQUIRE_ALL") == "1":
        pytest.fail(f"{what}, and REQUIRE_ALL=1 asks for all tests")
    pytest.skip(what)
