"""Filters are what spec 3.2 says, read slowly and directly."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.logic.filters import Filters

PATTERNS = st.lists(
    st.sampled_from([b"a", b"b", b"ab", b"/", b"*", b"**", b"?", b"[", b".", b"\\", b"\xff", b"\n", b"|"]),
    min_size=1,
    max_size=6,
).map(b"".join)
SEGMENTS = st.lists(st.sampled_from([b"a", b"b", b"[", b".", b"\\", b"\xff", b"\n", b"|"]), min_size=1, max_size=4)
PATHS = st.builds(
    lambda segments, slash: b"/" + b"/".join(map(b"".join, segments)) + slash,
    st.lists(SEGMENTS, min_size=1, max_size=3),
    st.sampled_from([b"", b"/"]),
)
RULES = st.lists(st.tuples(st.booleans(), PATTERNS), max_size=5)
ANY_NAME = st.binary(min_size=1).map(lambda name: name.replace(b"/", b"").replace(b"\0", b"") or b"x")


def ends_of(pattern: bytes, path: bytes, start: int) -> set[int]:
    """Where a match of the whole pattern that begins at `start` may end."""
    if not pattern:
        return {start}
    if pattern.startswith(b"**"):
        rest = pattern.lstrip(b"*")
        return {end for begin in range(start, len(path) + 1) for end in ends_of(rest, path, begin)}
    if pattern.startswith(b"*"):
        stop = path.find(b"/", start)
        stop = len(path) if stop < 0 else stop
        return {end for begin in range(start, stop + 1) for end in ends_of(pattern[1:], path, begin)}
    if start < len(path) and (path[start] == pattern[0] or (pattern[:1] == b"?" and path[start : start + 1] != b"/")):
        return ends_of(pattern[1:], path, start + 1)
    return set()


def matches(pattern: bytes, path: bytes, includes: bool) -> bool:
    if pattern == b"/":
        return False
    bare = pattern.removeprefix(b"/")
    segments = [place + 1 for place, byte in enumerate(path) if byte == ord("/")]
    for start in segments[:1] if pattern.startswith(b"/") else segments:
        for end in ends_of(bare, path, start):
            if pattern.endswith(b"/"):
                if not includes or end == len(path):
                    return True
            elif end == len(path) or path[end : end + 1] == b"/":
                return True
    return False


@given(rules=RULES, excludes=st.lists(PATTERNS, max_size=5), path=PATHS)
def test_filters_are_what_the_rules_say(rules: list[tuple[bool, bytes]], excludes: list[bytes], path: bytes) -> None:
    filters = Filters()
    given_rules = [(includes, pattern) for includes, pattern in rules if not pattern[:1].isspace()]
    for includes, pattern in given_rules:
        filters.append_filter((b"+ " if includes else b"- ") + pattern)
    for pattern in excludes:
        filters.add_exclude(pattern)
    decided = [not includes for includes, pattern in given_rules if matches(pattern, path, includes)]
    expected = decided[0] if decided else any(matches(pattern, path, False) for pattern in excludes)
    assert filters.excludes_path(path) == expected


@given(name=ANY_NAME, other=ANY_NAME)
def test_a_name_without_wildcards_matches_itself_alone(name: bytes, other: bytes) -> None:
    filters = Filters()
    filters.add_exclude(name.replace(b"*", b"x").replace(b"?", b"x"))
    plain = name.replace(b"*", b"x").replace(b"?", b"x")
    assert filters.excludes_path(b"/" + plain)
    assert filters.excludes_path(b"/d/" + plain + b"/below")
    assert filters.excludes_path(b"/" + other) == (other == plain)
