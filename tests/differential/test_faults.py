"""All faults done to ours: what comes of them is what FAULTS.md says, which `make faults` writes."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from differential.commands import ours
from differential.confine import confinement
from differential.faults import SCENARIOS, WORKERS, Scenario, play, recorded

from tests.kit.need import missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="module")
def outcome_of() -> Iterator[Callable[[Scenario], str]]:
    """Some are done at a time: they mostly wait."""
    if confinement() is None:
        missing("there are no mount name spaces")
    pool = ThreadPoolExecutor(WORKERS)
    started: dict[Scenario, Future[str]] = {}

    def ask(scenario: Scenario) -> str:
        first = SCENARIOS.index(scenario)
        for one in SCENARIOS[first : first + 2 * WORKERS]:
            if one not in started:
                started[one] = pool.submit(play, one, ours(), is_ours=True)
        return started[scenario].result()

    yield ask
    pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.play.__name__)
def test_what_comes_of_it(scenario: Scenario, outcome_of: Callable[[Scenario], str]) -> None:
    assert outcome_of(scenario) == recorded()[scenario.words][1]


def test_the_table_has_each_once() -> None:
    assert list(recorded()) == [scenario.words for scenario in SCENARIOS]
