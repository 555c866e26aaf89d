"""The same config through ours and through the real lsyncd: what comes out must be the same, but for what page 6 says.

``REQUIRE_LSYNCD=1`` makes a missing oracle a failure; without it only the cases that never ask the oracle are left.
``DIFFERENTIAL_WORKERS`` sets how many cases run at a time (they mostly wait).
"""

from __future__ import annotations

import os
import shutil
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from differential.commands import oracle, ours
from differential.compare import differences
from differential.confine import UnsafeCase, check_targets, confinement
from differential.table import CASES
from differential.world import Case, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from differential.world import Outcome

ORACLE = oracle()
WORKERS = int(os.environ.get("DIFFERENTIAL_WORKERS", "6"))
RUN = [case for case in CASES if (case.only_ours or ORACLE is not None) and not (case.unsafe and confinement() is None)]


@pytest.fixture(scope="module")
def outcomes() -> Iterator[Callable[[Case], tuple[Outcome | None, Outcome]]]:
    """Runs cases a few ahead of the test that asks: they mostly wait for delays, so many run at a time."""
    # a short path: Lua cuts names of files in its messages to 60 characters
    base = Path(tempfile.mkdtemp(prefix="d-"))
    pool = ThreadPoolExecutor(WORKERS)
    started: dict[str, Future[tuple[Outcome | None, Outcome]]] = {}
    ahead = 2 * WORKERS

    def both(case: Case, place: Path) -> tuple[Outcome | None, Outcome]:
        theirs = None if case.only_ours or ORACLE is None else run(case, ORACLE, place / "o")
        return theirs, run(case, ours(), place / "m")

    def ask(case: Case) -> tuple[Outcome | None, Outcome]:
        first = RUN.index(case)
        for number, one in enumerate(RUN[first : first + ahead], first):
            if one.name not in started:
                started[one.name] = pool.submit(both, one, base / str(number))
        return started[case.name].result()

    yield ask
    pool.shutdown(cancel_futures=True)
    shutil.rmtree(base, ignore_errors=True)


def test_oracle_is_here_where_it_must_be() -> None:
    required = os.environ.get("REQUIRE_LSYNCD") == "1"
    assert ORACLE is not None or not required, "REQUIRE_LSYNCD=1, but there is no lsyncd 2.2.3 in /usr/bin"


@pytest.mark.parametrize("case", RUN, ids=[case.name for case in RUN])
def test_same_as_the_real_lsyncd(case: Case, outcomes: Callable[[Case], tuple[Outcome | None, Outcome]]) -> None:
    theirs, mine = outcomes(case)
    found = differences(case, theirs, mine)
    assert not found, f"\n{found}"


def test_table_is_sound() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    assert len(names) >= 80
    for case in CASES:
        assert bool(case.ours) == bool(case.why), f"{case.name}: a wanted difference names its reason"
        assert not case.unsafe or case.only_ours, f"{case.name}: the oracle never gets an unsafe target"


@pytest.mark.parametrize(
    "config",
    [
        'sync{ default.direct, source="/x", target="/" }',
        'sync{ default.direct, source="/x", target="" }',
        "sync{ default.direct, source='/x', target='../elsewhere' }",
        "sync{ default.rsync, source='/x', target=[[/srv]] }",
        "sync{ default.rsyncssh, source='/x', host='h', targetdir='/srv' }",
    ],
)
def test_no_target_outside_the_sandbox(config: str, tmp_path: Path) -> None:
    with pytest.raises(UnsafeCase):
        check_targets(tmp_path, config, ())


@pytest.mark.parametrize(("option", "values"), [("-rsync", ["s", "/"]), ("--direct", ["s", ""])])
def test_no_target_outside_the_sandbox_by_option(option: str, values: list[str], tmp_path: Path) -> None:
    with pytest.raises(UnsafeCase):
        check_targets(tmp_path, "", ["-nodaemon", option, *values])
