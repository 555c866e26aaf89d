"""Every rename whose halves are neighbours is found, nothing is lost, and the order stays (spec 3.1)."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.logic.moves import IN_MOVED_FROM, IN_MOVED_TO, RawEvent, is_halfway, pair_moves

EVENTS = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.sampled_from([IN_MOVED_FROM, IN_MOVED_TO, 0x4000_0000 | IN_MOVED_FROM, 0x4000_0000 | IN_MOVED_TO, 0x100]),
        st.integers(0, 2),
        st.binary(max_size=2),
    )
)


@given(events=EVENTS)
def test_nothing_is_lost_or_moved(events: list[RawEvent]) -> None:
    paired = pair_moves(events)
    assert [event for pair in paired for event in pair if event is not None] == events


@given(events=EVENTS)
def test_neighbours_with_one_cookie_are_pairs_and_nothing_else(events: list[RawEvent]) -> None:
    expected = [
        (one, other)
        for one, other in pairwise(events)
        if one[1] & IN_MOVED_FROM and other[1] & IN_MOVED_TO and one[2] == other[2]
    ]
    assert [pair for pair in pair_moves(events) if pair[1] is not None] == expected


@given(events=EVENTS, cut=st.integers(0, 20))
def test_two_reads_pair_as_one_does(events: list[RawEvent], cut: int) -> None:
    """With the rule of the caller: a read that ends halfway is joined with the next."""
    first, second = events[:cut], events[cut:]
    apart = pair_moves(first + second) if is_halfway(first) else pair_moves(first) + pair_moves(second)
    assert apart == pair_moves(events)
