"""Patterns, one by one (spec 3.2): they mean what they mean to rsync, which the property test asks."""

from __future__ import annotations

import random

import pytest

from orchestrator.logic.filters import Filters, read_exclude_lines, read_filter_lines
from orchestrator.logic.patterns import Automaton, parse

PATHS = [
    b"/a", b"/b", b"/a.tmp", b"/a.tmpx", b"/d/", b"/d/a", b"/d/b", b"/d/x.c", b"/e/", b"/e/d/", b"/e/d/a", b"/e/d/zz",
    b"/ab", b"/axb", b"/a-b-b", b"/a.b", b"/a%b", b"/x", b"/[x]", b"/q/", b"/q/a/", b"/q/a/b", b"/dd", b"/ a", b"/a ",
    b"/^a", b"/$", b"/a*b", b"/a\\b", b"/e/aa", b"/\xff\n",
]  # fmt: skip


def of(filters: list[bytes] = [], excludes: list[bytes] = []) -> Filters:  # noqa: B006
    rules = Filters()
    for line in filters:
        rules.append_filter(line)
    for pattern in excludes:
        rules.add_exclude(pattern)
    return rules


def excluded(rules: Filters) -> list[bytes]:
    return [path for path in PATHS if rules.excludes_path(path)]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (b"a", [b"/a", b"/d/a", b"/e/d/a", b"/q/a/", b"/q/a/b"]),
        (b"/a", [b"/a"]),
        (b"/d", [b"/d/", b"/d/a", b"/d/b", b"/d/x.c"]),
        (b"d/a", [b"/d/a", b"/e/d/a"]),
        (b"/e/d/a", [b"/e/d/a"]),
        (b"*.tmp", [b"/a.tmp"]),
        (b"/d/*", [b"/d/a", b"/d/b", b"/d/x.c"]),
        (b"d/*", [b"/d/a", b"/d/b", b"/d/x.c", b"/e/d/a", b"/e/d/zz"]),
        (b"/d/**", [b"/d/a", b"/d/b", b"/d/x.c"]),
        (b"/d/***", [b"/d/", b"/d/a", b"/d/b", b"/d/x.c"]),
        (b"/d**", [b"/d/", b"/d/a", b"/d/b", b"/d/x.c", b"/dd"]),
        (b"/a?b", [b"/axb", b"/a.b", b"/a%b", b"/a*b", b"/a\\b"]),
        (b"/a**b", [b"/ab", b"/axb", b"/a-b-b", b"/a.b", b"/a%b", b"/a*b", b"/a\\b"]),
        (b"d?a", []),
        (b"/e*zz", []),
        (b"a[/x]b", []),
        (b"e**a", [b"/e/d/a", b"/e/aa"]),
        (b"e/*/a", [b"/e/d/a"]),
        (b"**/a", [b"/a", b"/d/a", b"/e/d/a", b"/q/a/", b"/q/a/b"]),
        (b"/**/a", [b"/d/a", b"/e/d/a", b"/q/a/", b"/q/a/b"]),
        (b"***", PATHS),
        (b"*", PATHS),
        (b"[x]", [b"/x"]),
        (b"\\[x]", [b"/[x]"]),
        (b"[[]x]", [b"/[x]"]),
        (b"a[!a-z]b", [b"/a.b", b"/a%b", b"/a*b", b"/a\\b"]),
        (b"[[:digit:]a", []),
        (b"?[[:punct:]]b", [b"/a.b", b"/a%b", b"/a*b", b"/a\\b"]),
        (b"a.b", [b"/a.b"]),
        (b"a%b", [b"/a%b"]),
        (b"a\\*b", [b"/a*b"]),
        (b"a\\b", [b"/a\\b"]),
        (b"^a", [b"/^a"]),
        (b"$", [b"/$"]),
        (b" a", [b"/ a"]),
        (b"a ", [b"/a "]),
        (b"\xff?", [b"/\xff\n"]),
        (b"x\ny\r\ndd", [b"/x", b"/dd"]),
        # what rsync reads of such a line
        (b"- x", [b"/x"]),
        (b"+ x", []),
        (b"#x", []),
        (b";x", []),
        (b"- - x", []),
        (b"/", []),
        (b"a//", []),
        (b"a/", [b"/q/a/", b"/q/a/b"]),
        (b"/d/", [b"/d/", b"/d/a", b"/d/b", b"/d/x.c"]),
        (b"/*/", [path for path in PATHS if path.startswith((b"/d/", b"/e/", b"/q/"))]),
        # lsyncd excludes every directory while running; rsync ignores an empty line
        (b"", []),
    ],
)
def test_an_exclude_pattern(pattern: bytes, expected: list[bytes]) -> None:
    assert excluded(of(excludes=[pattern])) == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([b"- a"], [b"/a", b"/d/a", b"/e/d/a", b"/q/a/", b"/q/a/b"]),
        ([b"+ /d/a", b"- /d/*"], [b"/d/b", b"/d/x.c"]),
        # rsync does not look into what it leaves out
        ([b"+ *.c", b"- *"], PATHS),
        ([b"+ */", b"+ *.c", b"- *"], [p for p in PATHS if not p.endswith(b"/") and p != b"/d/x.c"]),
        ([b"+ a"], []),
        ([b"- /d/a", b"+ /d/***", b"- *"], [path for path in PATHS if not path.startswith(b"/d/") or path == b"/d/a"]),
        ([b"- /d/a", b"+ /d/**", b"- *"], PATHS),
    ],
)
def test_the_first_filter_rule_that_matches_decides(lines: list[bytes], expected: list[bytes]) -> None:
    assert excluded(of(filters=lines)) == expected


def test_excludes_count_where_no_filter_rule_matches() -> None:
    rules = of(filters=[b"+ /d/a", b"- *.c"], excludes=[b"a", b"x"])
    assert excluded(rules) == [b"/a", b"/d/x.c", b"/e/d/a", b"/x", b"/q/a/", b"/q/a/b"]


def test_the_root_is_never_left_out() -> None:
    assert not of(filters=[b"- *"], excludes=[b"**", b"/"]).excludes_path(b"/")


def test_rules_are_told_as_they_were_given() -> None:
    rules = of(filters=[b"+ /keep**", b"  -/drop ", b"+  two"], excludes=[b"b", b"a", b"b"])
    assert rules.filter_lines() == [b"+ /keep**", b"- /drop ", b"+ two"]
    assert rules.excludes() == [b"b", b"a"]


@pytest.mark.parametrize("line", [b"", b"a", b"* a", b"; a", b"+", b"- ", b"include a", b"- a\nb"])
def test_a_bad_filter_rule_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011
        Filters().append_filter(line)
    assert error.value.args == (line,)


def test_rules_can_change_while_running() -> None:
    rules = Filters()
    assert not rules
    assert not rules.excludes_path(b"/a")
    rules.add_exclude(b"a")
    assert rules
    assert rules.excludes_path(b"/a")
    assert rules.rm_exclude(b"a")
    assert not rules.rm_exclude(b"a")
    assert not rules.excludes_path(b"/a")
    rules.append_filter(b"- a")
    assert rules.excludes_path(b"/a")


def test_a_copy_goes_its_own_way() -> None:
    rules = of(excludes=[b"a"])
    copy = rules.copy()
    copy.add_exclude(b"b")
    assert not rules.excludes_path(b"/b")
    assert copy.excludes_path(b"/a")


def test_an_exclude_file() -> None:
    text = b"# note\n\n- foo\n+ bar\n  lead\ntrail  \n-name\r\n- #7\n   \n; semi\n- \nlast"
    assert read_exclude_lines(text) == [b"foo", b"lead", b"trail  ", b"-name", b"- #7", b"; semi", b"last"]


def test_a_filter_file() -> None:
    assert read_filter_lines(b"# note\n+ a\n\n \n- b \nbad") == [b"+ a", b"- b ", b"bad"]


def test_many_patterns_with_long_common_beginnings() -> None:
    """Each is the beginning of the next: more than a regex compiler nests."""
    rules = of(filters=[b"- /" + b"a" * length + b"b" for length in range(1, 600)])
    assert rules.excludes_path(b"/" + b"a" * 599 + b"b")
    assert not rules.excludes_path(b"/" + b"a" * 600 + b"b")


def test_rules_say_what_an_exclude_list_means() -> None:
    rules = of(filters=[b"+ /keep", b"- /k*"], excludes=[b"a", b"- + b", b"+ c", b"#d", b"", b"- "])
    assert rules.rules() == [b"+ /keep", b"- /k*", b"- a", b"- + b", b"+ c"]
    rules.add_exclude(b"!")
    rules.add_exclude(b"e")
    assert rules.rules() == [b"- e"]
    assert rules.excludes_path(b"/e")
    assert not rules.excludes_path(b"/a")


def test_what_is_below_an_excluded_directory_is_excluded_whatever_the_rules_say_of_it() -> None:
    rules = of(filters=[b"+ /a/b/***", b"- *"])
    assert rules.excludes_path(b"/a/")
    assert rules.excludes_path(b"/a/b/")
    assert rules.excludes_path(b"/a/b/c")


HOSTILE = [
    (b"*-*-*-*-*.log", b"/" + b"-" * 4000),
    (b"*.*.*.*.*.gz", b"/" + b"." * 4000),
    (b"**/cache/**/tmp/**/*.o", b"/cache/tmp" * 400 + b"/x"),
    (b"**/**/**/**/*a*b*c", b"/ab" * 1300),
    (b"a/**/a/**/a/**/b", b"/a" * 2000),
    (b"*[a-z]*[a-z]*[a-z]*0", b"/" + b"a" * 4000),
]


@pytest.mark.parametrize(("pattern", "path"), HOSTILE)
def test_a_path_is_read_once_whatever_the_pattern(pattern: bytes, path: bytes) -> None:
    """Cost in steps, each of which touches every place in every pattern once: linear in pattern and path."""
    automaton = Automaton([(False, parsed)]) if (parsed := parse(pattern)) else pytest.fail("no pattern")
    automaton.steps = 0
    assert not automaton.excludes(path)
    assert automaton.steps <= 2 * len(path)
    automaton.steps = 0
    assert not automaton.excludes(path[:-1] + b"y")
    assert automaton.steps < 10  # what resembles earlier paths costs hardly any


def test_what_is_kept_of_paths_has_a_bound() -> None:
    rules = of(excludes=[b"*%d*[%d]*" % (number, number % 10) for number in range(50)])
    rng = random.Random(1)
    for _ in range(300):
        directory = b"/" + b"%d" % rng.getrandbits(256)
        rules.excludes_path(directory + b"/x" * 2000)
    automaton = rules._automaton
    assert automaton is not None
    states, remembered = automaton.kept()
    assert states <= 1000
    assert remembered <= 1 << 20


def test_few_directories_are_kept_by_their_paths() -> None:
    rules = of(excludes=[b"/x"])
    for number in range(400):
        rules.excludes_path(b"/%d" % number + b"/d" * 2000 + b"/f")
    assert rules._automaton is not None
    states, remembered = rules._automaton.kept()
    assert states < 10
    assert 1 << 19 < remembered <= 1 << 20
