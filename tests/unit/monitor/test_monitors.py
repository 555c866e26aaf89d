"""Which monitor watches which source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from orchestrator.errors import MonitorError
from orchestrator.monitor.base import Monitor, MonitorKind
from orchestrator.monitor.monitors import Monitors

if TYPE_CHECKING:
    from collections.abc import Callable


class Watching:
    def __init__(self, refuses: bytes) -> None:
        self.roots: list[bytes] = []
        self.refuses = refuses
        self.is_closed = False

    def watch(self, root: bytes, progress: object) -> None:
        if root == self.refuses:
            raise MonitorError("no handles.")
        self.roots.append(root)

    def close(self) -> None:
        self.is_closed = True


def kind(name: str, made: dict[str, Any], refuses: bytes = b"") -> MonitorKind:
    def make(mode: str, wants: Callable[[bytes], bool], log: Callable[..., None]) -> Monitor:
        made[name] = Watching(refuses)
        return cast("Monitor", made[name])

    return MonitorKind(name, make)


def impossible(mode: str, wants: Callable[[bytes], bool], log: Callable[..., None]) -> Monitor:
    raise MonitorError("not root.")


def monitors(*kinds: MonitorKind, said: list[tuple[str, str]] | None = None) -> Monitors:
    log = (lambda *entry: said.append(entry)) if said is not None else (lambda *_: None)
    return Monitors({kind.name: kind for kind in kinds}, "CloseWrite", lambda _: True, log)  # type: ignore[arg-type]


def test_one_of_each_is_made_when_it_is_asked_for() -> None:
    made: dict[str, Any] = {}
    both = monitors(kind("inotify", made), kind("poll", made))
    first = both.watch("inotify", b"/a/", print)
    assert list(made) == ["inotify"]
    assert both.watch("poll", b"/b/", print) is not first
    assert both.watch("inotify", b"/c/", print) is first
    assert made["inotify"].roots == [b"/a/", b"/c/"]
    both.close()
    assert made["inotify"].is_closed
    assert made["poll"].is_closed


def test_auto_takes_the_better_one_source_by_source() -> None:
    made: dict[str, Any] = {}
    said: list[tuple[str, str]] = []
    both = monitors(kind("inotify", made), kind("fanotify", made, refuses=b"/overlay/"), said=said)
    for root in (b"/a/", b"/overlay/", b"/b/"):
        both.watch("auto", root, print)
    assert made["fanotify"].roots == [b"/a/", b"/b/"]
    assert made["inotify"].roots == [b"/overlay/"]
    assert said == [("Warn", "no handles. Taking inotify instead.")]


@pytest.mark.parametrize(
    ("kinds", "reason"),
    [([], 'event monitor "fanotify" unknown.'), ([MonitorKind("fanotify", impossible)], "not root.")],
)
def test_auto_without_the_better_one(kinds: list[MonitorKind], reason: str) -> None:
    made: dict[str, Any] = {}
    said: list[tuple[str, str]] = []
    monitors(kind("inotify", made), *kinds, said=said).watch("auto", b"/a/", print)
    assert made["inotify"].roots == [b"/a/"]
    assert said == [("Warn", f"{reason} Taking inotify instead.")]


def test_what_is_asked_for_by_name_must_be_had() -> None:
    with pytest.raises(MonitorError, match="not root"):
        monitors(MonitorKind("fanotify", impossible)).watch("fanotify", b"/a/", print)
