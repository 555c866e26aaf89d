"""All daemons that are served: found by themselves, or by the sockets that were named; with their latest status."""

from __future__ import annotations

import asyncio
import os
import re
import stat
import time
from typing import TYPE_CHECKING, Any, Final

from orchestrator.control.client import places
from orchestrator.control.web.history import Histories
from orchestrator.control.web.link import Failed, Link
from orchestrator.monitor.names import Names
from orchestrator.requests.place import sockets_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.control.web.streams import Streams

MOST: Final = 64
"""Daemons."""

FORGET_AFTER: Final = 3600.0
"""Seconds for which a daemon that has gone is shown, unless its socket was named."""

PAUSE: Final = 0.5
"""Seconds at least between two statuses that are asked for on behalf of those who watch."""

_ALL: Final = ""

_FEW: Final = 50
"""Syncs that are asked for by name; more: all."""

SCRAPE: Final = 5.0
"""Seconds in which a daemon must answer to count in a status of all."""


class Known:
    """One daemon: its connection, and what it has said last."""

    def __init__(self, link: Link, name: str, *, is_named: bool) -> None:
        self.link = link
        self.name = name
        """The path of its config, the same after a restart; until it is known, that of its socket."""
        self.is_named = is_named
        """Whether the user has named its socket."""
        self.task: asyncio.Task[None] | None = None
        self.status: dict[str, Any] | None = None
        self.syncs: dict[str, dict[str, Any]] = {}
        self.changed: set[str] = set()
        """Syncs whose status here is old."""
        self.gone_since: float | None = None
        self.pusher: asyncio.Task[None] | None = None

    @property
    def is_up(self) -> bool:
        """Whether it answers and has said how it is."""
        return self.link.greeting is not None and self.status is not None

    def shown(self) -> dict[str, Any]:
        """All that is known of it, for a client."""
        return {
            "daemon": self.name,
            "socket": self.link.path,
            "is_up": self.is_up,
            "trouble": self.link.trouble,
            "may": (self.link.greeting or {}).get("may"),
            "status": self.status if self.is_up else None,
            "syncs": [*self.syncs.values()] if self.is_up else [],
        }


class Daemons:
    """All of them. `sockets`: those that the user named; none: whatever is found in the usual directories."""

    def __init__(self, sockets: Sequence[str], streams: Streams) -> None:
        self._streams = streams
        self._named = [os.path.abspath(path) for path in sockets]
        self._directories = sorted({os.path.dirname(path) for path in self._named}) or places()
        self._known: dict[str, Known] = {}
        self._names: Names | None = None
        self.histories = Histories()

    async def start(self) -> None:
        """Begin to look for daemons, and to connect."""
        for path in self._named[:MOST]:
            self._add(path, is_named=True)
        try:
            self._names = Names()
        except OSError:
            pass  # no descriptors for it: connections that are tried again find most of it
        else:
            asyncio.get_running_loop().add_reader(self._names.fileno(), self._look)
        self._look()

    async def stop(self) -> None:
        """End all connections."""
        if self._names is not None:
            asyncio.get_running_loop().remove_reader(self._names.fileno())
            self._names.close()
        tasks = [task for known in self._known.values() for task in (known.task, known.pusher) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def all(self) -> list[Known]:
        """Those that are worth showing, by name."""
        self._forget_old()
        # a socket that was found and that nobody listens at belongs to a daemon that was killed before we came
        shown = (
            known
            for known in self._known.values()
            if known.is_named or known.gone_since is not None or known.status is not None or not _is_silent(known)
        )
        return sorted(shown, key=lambda known: known.name)

    def shown(self) -> list[dict[str, Any]]:
        """All that is known, for a client."""
        return [known.shown() for known in self.all()]

    async def refresh(self) -> list[tuple[Known, bool]]:
        """Ask every daemon for its status. Each that is worth showing, and whether it has answered in time."""
        asked = [*self._known.values()]
        answered = dict(zip(asked, await asyncio.gather(*map(self._refresh, asked)), strict=True))
        return [(known, answered.get(known, False)) for known in self.all()]

    def _look(self) -> None:
        """Names have changed where sockets are: there may be new daemons, or lost ones may be back."""
        if self._names is not None:
            self._names.read()
            for directory in self._directories:
                try:
                    self._names.watch(directory)
                except OSError:
                    pass  # not for us to read: neither are the sockets in it
        for path in [] if self._named else sorted(_sockets_in(self._directories)):
            if path not in self._known and len(self._known) < MOST:
                self._add(path, is_named=False)
        for known in [*self._known.values()]:
            if known.is_named or os.path.exists(known.link.path):
                known.link.wake()
            elif known.link.greeting is None and known.gone_since is None:
                self._drop(known)

    def _add(self, path: str, *, is_named: bool) -> None:
        link = Link(path, self._greeted, self._happened, self._lost)
        known = self._known[path] = Known(link, path, is_named=is_named)
        known.task = asyncio.get_running_loop().create_task(link.run())

    def _drop(self, known: Known) -> None:
        del self._known[known.link.path]
        if known.task is not None:
            known.task.cancel()

    def _greeted(self, link: Link) -> None:
        known = self._known[link.path]
        known.gone_since = None
        # an answer of the last daemon may have come after its end
        known.status, known.syncs, known.changed = None, {}, set()
        known.pusher = asyncio.get_running_loop().create_task(self._welcome(known))

    def _lost(self, link: Link) -> None:
        known = self._known[link.path]
        known.gone_since = time.monotonic()
        if known.pusher is not None:
            known.pusher.cancel()
            known.pusher = None
        if known.status is None and not known.is_named:
            known.gone_since = None
        known.status, known.syncs = None, {}
        self._streams.publish("daemon", known.shown())
        self._forget_old()

    def _happened(self, link: Link, event: dict[str, Any]) -> None:
        known = self._known[link.path]
        kind, sync = event.get("event"), event.get("sync")
        if not isinstance(kind, str):
            return
        if kind == "queue" and isinstance(sync, str):
            self._record(known, sync, event.get("waiting"), event.get("bytes"))
        known.changed.add(sync if isinstance(sync, str) else _ALL)
        self._streams.publish(kind, {**event, "daemon": known.name})
        # while nobody watches, nobody asks
        if len(self._streams) and (known.pusher is None or known.pusher.done()):
            known.pusher = asyncio.get_running_loop().create_task(self._push(known))

    async def _welcome(self, known: Known) -> None:
        """It has greeted: ask how it is, and show it to those who watch."""
        pause = PAUSE
        while known.status is None and not await self._refresh(known):
            await asyncio.sleep(pause)
            pause *= 2
        self._streams.publish("daemon", known.shown())
        await self._push(known)

    async def _push(self, known: Known) -> None:
        """Ask for what has changed, and send it to those who watch: until nothing has."""
        while known.changed and len(self._streams):
            await asyncio.sleep(PAUSE)
            names = known.changed
            if _ALL in names or len(names) > _FEW:
                is_fresh = await self._refresh(known)
            else:
                is_fresh = await self._refresh(known, sorted(names))
                is_fresh = is_fresh or await self._refresh(known)
            if not is_fresh:
                return
            syncs = [*known.syncs.values()] if _ALL in names else [known.syncs[name] for name in names & {*known.syncs}]
            shown = {"daemon": known.name, "status": known.status, "syncs": syncs, "is_all": _ALL in names}
            self._streams.publish("status", shown)

    async def _refresh(self, known: Known, names: Sequence[str] = ()) -> bool:
        """Ask for the status of these syncs, or of all. Whether there was an answer."""
        if known.link.greeting is None:
            return False
        changed, known.changed = known.changed, set()
        try:
            answer = await known.link.ask(
                "status", {"syncs": [_exactly(name) for name in names]} if names else {}, SCRAPE
            )
            status, syncs = answer["daemon"], {str(sync["name"]): sync for sync in answer["syncs"]}
            counts = {name: (sync["waiting"], sync["counts"]["bytes"]) for name, sync in syncs.items()}
            name = str(status["config"] or f"process {status['pid']}")
        except (Failed, LookupError, TypeError) as error:
            known.changed |= changed
            if not isinstance(error, Failed):
                known.link.trouble = "it is no daemon of this kind"
            return False
        self._rename(known, name)
        known.status = status
        if names:
            known.syncs.update(syncs)
        else:
            known.syncs = syncs
            self.histories.forget(known.name, frozenset(syncs))
        for name, (waiting, moved) in counts.items():
            self._record(known, name, waiting, moved)
        return True

    def _record(self, known: Known, sync: str, waiting: object, moved: object) -> None:
        if known.status is not None and isinstance(waiting, int) and isinstance(moved, int):
            self.histories.add((known.name, sync), time.monotonic(), waiting, moved)

    def _rename(self, known: Known, name: str) -> None:
        """It has said which config it runs. A daemon that has gone leaves its name to its successor."""
        if name == known.name or known.name == _numbered(name, known):
            return
        for other in [*self._known.values()]:
            if other is not known and other.name == name:
                if other.link.greeting is None and not other.is_named:
                    self._drop(other)
                else:
                    name = _numbered(name, known)
        known.name = name

    def _forget_old(self) -> None:
        """Those that went long ago, and the oldest where there are too many."""
        gone = [known for known in self._known.values() if known.gone_since is not None and not known.is_named]
        gone.sort(key=lambda known: known.gone_since or 0)
        surplus = len(self._known) - MOST + 1
        for number, known in enumerate(gone):
            if number < surplus or time.monotonic() - (known.gone_since or 0) > FORGET_AFTER:
                self._drop(known)
                self.histories.forget(known.name)


def _numbered(name: str, known: Known) -> str:
    return f"{name} ({(known.link.greeting or {}).get('pid')})"


def _is_silent(known: Known) -> bool:
    """Nothing there, or not tried yet."""
    return known.link.is_absent or not known.link.trouble


def _sockets_in(directories: Sequence[str]) -> list[str]:
    """The sockets in those directories that only root or we can put any into: others' would give others' answers."""
    found = []
    for directory in directories:
        try:
            status = os.lstat(directory)
        except OSError:
            continue  # not there yet
        if stat.S_ISDIR(status.st_mode) and status.st_uid in (0, os.geteuid()):
            found += [path for _, path in sockets_in(directory)]
    return found


def _exactly(name: str) -> str:
    """A pattern that stands for this name alone."""
    return re.sub(r"[*?[]", r"[\g<0>]", name)
