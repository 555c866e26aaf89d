"""Which monitor watches which source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.errors import MonitorError, Terminated
from orchestrator.logic.change import Change
from orchestrator.monitor.base import Monitor, MonitorKind
from orchestrator.monitor.monitors import MonitorFailed, Monitors

if TYPE_CHECKING:
    from collections.abc import Callable


class Watching(Monitor):
    """A monitor that has no more than it must have, and nothing to report."""

    def __init__(self, refuses: bytes = b"") -> None:
        self.roots: list[bytes] = []
        self.refuses = refuses
        self.is_closed = False

    def fileno(self) -> int:
        return 7

    def watch(self, root: bytes, progress: Callable[[int], None] | None = None) -> None:
        if root == self.refuses:
            raise MonitorError("no handles.")
        if progress is not None:
            progress(1)
        self.roots.append(root)

    def unwatch(self, root: bytes) -> None:
        self.roots.remove(root)

    def read(self) -> list[Change]:
        return [Change("Create", root + b"f") for root in self.roots]

    def lost_roots(self) -> list[bytes]:
        return [b"/lost/"]

    def returned_roots(self) -> list[bytes]:
        return [b"/back/"]

    def watched(self) -> list[bytes]:
        return self.roots

    def close(self) -> None:
        self.is_closed = True


class Broken(Watching):
    """A monitor whose every method fails, once it was made."""

    def __getattribute__(self, name: str) -> Any:
        if name[0] == "_":
            return super().__getattribute__(name)

        def fail(*_: object) -> None:
            raise RuntimeError("no luck")

        return fail


def kind(name: str, made: dict[str, Any], refuses: bytes = b"") -> MonitorKind:
    def make(mode: str, wants: Callable[[bytes], bool], log: Callable[..., None]) -> Monitor:
        made[name] = Watching(refuses)
        return made[name]  # type: ignore[no-any-return]

    return MonitorKind(name, make)


def ignore(directories: int) -> None:
    """As `progress`."""


def impossible(mode: str, wants: Callable[[bytes], bool], log: Callable[..., None]) -> Monitor:
    raise MonitorError("not root.")


def monitors(*kinds: MonitorKind, said: list[tuple[str, str]] | None = None) -> Monitors:
    log = (lambda *entry: said.append(entry)) if said is not None else (lambda *_: None)
    return Monitors({kind.name: kind for kind in kinds}, "CloseWrite", lambda _: True, log)  # type: ignore[arg-type]


def test_one_of_each_is_made_when_it_is_asked_for() -> None:
    made: dict[str, Any] = {}
    both = monitors(kind("inotify", made), kind("poll", made))
    first = both.watch("inotify", b"/a/", ignore)
    assert list(made) == ["inotify"]
    assert both.watch("poll", b"/b/", ignore) is not first
    assert both.watch("inotify", b"/c/", ignore) is first
    assert made["inotify"].roots == [b"/a/", b"/c/"]
    both.close()
    assert made["inotify"].is_closed
    assert made["poll"].is_closed


def test_auto_takes_the_better_one_source_by_source() -> None:
    made: dict[str, Any] = {}
    said: list[tuple[str, str]] = []
    both = monitors(kind("inotify", made), kind("fanotify", made, refuses=b"/overlay/"), said=said)
    for root in (b"/a/", b"/overlay/", b"/b/"):
        both.watch("auto", root, ignore)
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
    monitors(kind("inotify", made), *kinds, said=said).watch("auto", b"/a/", ignore)
    assert made["inotify"].roots == [b"/a/"]
    assert said == [("Warn", f"{reason} Taking inotify instead.")]


def test_what_is_asked_for_by_name_must_be_had() -> None:
    with pytest.raises(MonitorError, match="not root"):
        monitors(MonitorKind("fanotify", impossible)).watch("fanotify", b"/a/", ignore)


# ---- a monitor of a plugin ------------------------------------------------------------------------

METHODS: dict[str, tuple[object, ...]] = {
    "unwatch": (b"/a/",),
    "read": (),
    "lost_roots": (),
    "returned_roots": (),
    "watched": (),
    "close": (),
    "rescan": (ignore,),
    "drain": (),
    "is_behind": (),
    "has_shortage": (),
    "pause": (b"/a/",),
    "resume": (b"/a/", ignore),
    "polled": (),
    "count_watched": (),
    "fileno": (),
    "watch": (b"/a/", ignore),
}


def served(monitor: object) -> Monitor:
    """As the daemon gets it."""
    return monitors(MonitorKind("mine", lambda *_: monitor))._make("mine")  # type: ignore[arg-type, return-value]


def test_all_methods_of_the_contract_are_listed_here() -> None:
    assert set(METHODS) == {name for name in vars(Monitor) if name[0] != "_"} - {"overflowed"}


@pytest.mark.parametrize("method", METHODS)
def test_whatever_fails_names_the_monitor_and_the_reason(method: str) -> None:
    with pytest.raises(MonitorFailed, match=r'^event monitor "mine" failed: RuntimeError: no luck$') as raised:
        getattr(served(Broken()), method)(*METHODS[method])
    assert raised.value.reason == "RuntimeError: no luck"


def test_all_calls_get_through() -> None:
    mine = Watching()
    monitor = served(mine)
    monitor.watch(b"/a/", ignore)
    monitor.watch(b"/b/")
    monitor.unwatch(b"/b/")
    assert (monitor.fileno(), monitor.watched()) == (7, [b"/a/"])
    assert monitor.read() == [Change("Create", b"/a/f")]
    assert (monitor.lost_roots(), monitor.returned_roots()) == ([b"/lost/"], [b"/back/"])
    mine.overflowed = True
    assert monitor.overflowed
    monitor.overflowed = False
    assert not mine.overflowed
    monitor.close()
    assert mine.is_closed


def test_a_monitor_may_do_without_slices_pauses_and_queues() -> None:
    monitor = served(Watching())
    monitor.rescan(ignore)
    monitor.drain()
    monitor.pause(b"/a/")
    monitor.resume(b"/a/", ignore)
    assert (monitor.is_behind(), monitor.has_shortage(), monitor.polled()) == (False, False, [])


def test_the_end_of_the_daemon_comes_through_long_work() -> None:
    def stop(directories: int) -> None:
        raise Terminated(143)

    with pytest.raises(Terminated):
        served(Watching()).watch(b"/a/", stop)


class Incomplete(Monitor):
    """A monitor that cannot even be read."""


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda *_: "inotify", "TypeError: 'inotify' is no orchestrator.api.Monitor"),
        (lambda *_: Incomplete(), "TypeError: Can't instantiate abstract class Incomplete"),  # type: ignore[abstract]
    ],
)
def test_what_is_no_monitor_is_refused(make: Callable[..., Monitor], reason: str) -> None:
    with pytest.raises(MonitorFailed, match=reason):
        monitors(MonitorKind("mine", make)).watch("mine", b"/a/", ignore)
