"""Source and target within each other: refused, left out, or warned of (spec 6 row 30)."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import ConfigError
from orchestrator.logic.filters import Filters
from orchestrator.sync.nesting import is_this_host, nesting_of, warnings_of_links
from orchestrator.sync.target import Target
from tests.kit.need import missing

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def box(tmp_path: Path) -> bytes:
    (tmp_path / "d" / "in" / "deeper").mkdir(parents=True)
    (tmp_path / "dd").mkdir()
    (tmp_path / "link").symlink_to("d")
    return os.fsencode(tmp_path.resolve())


def filters(*excludes: bytes, rule: bytes = b"") -> Filters:
    made = Filters()
    for pattern in excludes:
        made.add_exclude(pattern)
    if rule:
        made.append_filter(rule)
    return made


@pytest.mark.parametrize(
    ("source", "target"),
    [(b"/d/in/", b"/d"), (b"/d/in/", b"/d/"), (b"/d/in/deeper/", b"/d"), (b"/d/in/", b"/link"), (b"/d/", b"/dd/..")],
)
def test_a_source_inside_the_target_is_refused(box: bytes, source: bytes, target: bytes) -> None:
    def ask(deletes: bool, rules: Filters, deletes_excluded: bool = False) -> None:
        nesting_of(box + source, Target(box + target, box + target, deletes, deletes_excluded), rules)

    spares = filters(b"/in/", b"/d/")
    with pytest.raises(ConfigError, match="lies inside the target"):
        ask(True, filters())
    ask(False, filters())
    ask(True, spares)
    with pytest.raises(ConfigError, match="lies inside the target"):
        ask(True, spares, deletes_excluded=True)


@pytest.mark.parametrize(
    ("target", "left_out"),
    [
        (b"/d/in", b"/in/"),
        (b"/d/in/", b"/in/"),
        (b"/link/in/deeper", b"/in/deeper/"),
        (b"/d/not there/yet", b"/not there/yet/"),
        (b"/d/a[b]*\\c", b"/a?b???c/"),
    ],
)
def test_a_target_inside_the_source_is_left_out(box: bytes, target: bytes, left_out: bytes) -> None:
    found = nesting_of(box + b"/d/", Target(target, box + target), filters())
    assert found is not None
    assert found.left_out == left_out
    for rule, *excludes in ((b"",), (b"+ *",), (b"", b"+ *"), (b"+ *", b"!"), (b"", b"x", b"!", b"+ *")):
        rules = filters(*excludes, rule=rule)
        rules.exclude_first(left_out)
        assert rules.excludes_path(os.path.realpath(box + target)[len(box) + 2 :] + b"/f")
        assert not rules.excludes_path(b"/f")
    assert nesting_of(box + b"/d/", Target(target, box + target), filters(left_out)) is None, "the user has done so"


@pytest.mark.parametrize("target", [b"/dd", b"/d2/in", b"/"])
def test_beside_each_other(box: bytes, target: bytes) -> None:
    assert nesting_of(box + b"/d/", Target(target, box + target, deletes=False), filters()) is None


def test_of_a_target_on_a_host_that_is_this_one_it_is_said(box: bytes) -> None:
    def said(host: str, path: bytes, deletes: bool = True) -> str:
        found = nesting_of(box + b"/d/in/", Target(b"shown", None, deletes, host=host, path=path), filters())
        assert found is None or found.left_out is None, "nobody knows for sure"
        return found.warning if found is not None else ""

    assert "is deleted" in said("localhost", box + b"/d")
    assert "copied into itself" in said("localhost", box + b"/d/in/deeper")
    assert said("localhost", box + b"/d", deletes=False) == ""
    assert said("localhost", box + b"/dd") == ""
    assert said("other.example", box + b"/d") == ""
    assert said("localhost", b"d") == "", "below a home directory"


@pytest.mark.parametrize(
    ("name", "is_own"),
    [
        *((name, True) for name in ("localhost", "LOCALHOST.", "127.0.0.1", "127.1.2.3", "[::1]", "ip6-localhost")),
        (socket.gethostname(), True),
        *((name, False) for name in ("example.org", "192.0.2.1", "2001:db8::1", "", "a b")),
    ],
)
def test_which_hosts_are_this_one(name: str, is_own: bool) -> None:
    assert is_this_host(name) is is_own


def test_links_of_other_users_on_the_way_are_reported(box: bytes) -> None:
    if os.geteuid() != 0:
        missing("only root can give a link away")
    os.symlink(box + b"/d", box + b"/ours")
    target = Target(b"t", box + b"/ours/in")
    assert warnings_of_links(box + b"/ours", target) == []
    os.chown(box + b"/ours", 65534, 65534, follow_symlinks=False)
    remote = Target(b"h:t", None)
    for way, where, said in (
        (b"/ours", remote, ["source"]), (b"/d", target, ["target"]), (b"/ours", target, ["source", "target"]),
        (b"/d", None, []),
    ):  # fmt: skip
        found = warnings_of_links(box + way, where)
        assert [line.split(" leads")[0] for line in found] == [f"the way to the {what}" for what in said]
        assert all(f": {os.fsdecode(box)}/ours;" in line for line in found)
