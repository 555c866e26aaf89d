"""Brings the tree of watches in line with the directories on the disk.

The kernel's events are history: when one is read, the disk may have moved on. What makes this safe:

* A directory is watched first and read afterwards, so that whatever happens in it later is told by an event.
* All events come through one queue in order. What is told about a new watch comes after everything that had happened
  before it was set, so each directory that we find in the "wrong" place, because the disk is ahead of the events, has
  its own event still waiting in the queue. That event finds it watched under another name (the kernel gives the same
  number for the same directory) and puts it right: `_take`.
* Before a directory is given up because an event says so, the kernel is asked whether it is still there: the event
  may be about an earlier one of the same name.

Where the tree was wrong, the changes told make up for it: Delete for the wrong place, Create for all of the right one.
Iterative throughout: the depth of a tree is not limited by Python's stack.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from orchestrator.logic.change import Change, Found
from orchestrator.monitor.kernel import is_out_of_watches, is_shortage
from orchestrator.monitor.watches import COVERED, MISSING, POLLED, REFUSED, TWIN, UNWANTED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from orchestrator.monitor.kernel import Kernel
    from orchestrator.monitor.polled import Polled
    from orchestrator.monitor.watches import Node, Watches

_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_PERIOD = 1000  # directories between two calls of `progress`
_SOON = 50  # between two looks at the kernel's queue: it holds 16,384 events, and a disk may take 10 ms for a directory


class Survey:
    """Watches directories, reads them, and tells of what it finds in `changes`."""

    def __init__(
        self,
        kernel: Kernel,
        watches: Watches,
        wants: Callable[[bytes], bool],
        log: Callable[[str, str], None],
        drain: Callable[[], None],
    ) -> None:
        """`drain` is called now and then during long work, to keep the kernel's queue from overflowing.

        `wants` may have a method `all_in(directory)`: whether everything below is wanted, so that nobody need ask.
        """
        self.changes: list[Change] = []
        self.is_uprooted = False  # whether a watch has ended that a source depends on; cleared by who looks after those
        self.progress: Callable[[int], None] | None = None
        self.polled: Polled | None = None
        """Who takes care of what cannot be watched for want of watches; None: that is a MonitorError."""
        self._kernel = kernel
        self._watches = watches
        self._wants = wants
        self._all_wanted: Callable[[bytes], bool] = getattr(wants, "all_in", lambda directory: False)
        self._log = log
        self._drain = drain
        self._stack: list[tuple[Node, bytes, bool, bool]] = []  # to be read: directory, path, report, again
        self._doubtful: list[tuple[Node, bytes]] = []  # places (parent, name) to be looked at again
        self._unread: dict[Node, bool] = {}  # not read for want of descriptors or memory; whether to report
        self._is_short = False  # that has been said
        self._bound: list[Node] = []  # watched since `settle()`, while events were waiting, perhaps
        self._entered: list[Node] = []  # whole trees, likewise
        self._unmounted: set[int] = set()
        self._new = b""  # the directory that an event told of, and in which things are found
        self._told: set[bytes] = set()  # directories whose end was told when their watch ended
        self._is_shuffled = False  # whether directories went away since then, as the events tell
        self._shifts = 0  # how often a directory turned out to be elsewhere: paths on the stack are stale then
        self._is_sweeping = False  # what is put right then is not told
        self._count = 0  # directories read since `_run` began

    # -- sources ---------------------------------------------------------------------------------------------------

    def enter(self, path: bytes) -> Node:
        """Watches the whole tree of a source and tells nothing of what it finds. Raises OSError, MonitorError."""
        try:
            wd = self._kernel.watch(path)
        except OSError as error:
            if self.polled is None or not is_out_of_watches(error):
                raise
            return self.polled.find(path) or self._poll(self._watches.add(POLLED, None, path[:-1]), path, False)
        node = self._watches.nodes.get(wd)
        if node is not None and self._watches.path(node) == path:
            self._look_again(self._watches.idle_below(node))
            return node
        if node is not None:
            if self._is_at(node):
                self._say_twin(path, node)
                return self._watches.add(TWIN, None, path[:-1])
            self._discard(node)
            wd = self._kernel.watch(path)
        node = self._watches.add(wd, None, path[:-1])
        self._entered.append(node)
        self._stack.append((node, path, False, False))
        self._run()
        return node

    def trust(self) -> None:
        """No events were waiting: everything is where we found it."""
        self._bound.clear()
        self._entered.clear()
        self._is_shuffled = False

    def leave(self, top: Node) -> None:
        """Ends all watches at and below `top`."""
        self._discard(top, again=False)

    def sweep(self, top: Node) -> None:
        """Reads the whole tree again, as after lost events: watches what is new and wanted, drops what is not."""
        self._is_sweeping = True
        self._stack.append((top, self._watches.path(top), False, True))
        self._run()
        self._is_sweeping = False

    # -- events ----------------------------------------------------------------------------------------------------

    def appeared(self, parent: Node, name: bytes, path: bytes, *, again: bool = False) -> None:
        """A directory was created or moved in. `again`: tell of all of it even if it is known already."""
        self._told.discard(path)
        self._new = path
        self._visit(parent, name, path, report=True, again=again)
        self._run()

    def vanished(self, parent: Node, name: bytes, path: bytes) -> None:
        """A directory was deleted or moved out."""
        self._is_shuffled = True
        if path in self._told:
            self._told.discard(path)
        else:
            self.changes.append(Change("Delete", path))
        node = self._watches.child(parent, name)
        if node is None:
            return
        if node.wd > 0 and self._leads_to(path[:-1], node.wd):
            self.appeared(parent, name, path, again=True)
        else:
            self._discard(node, again=False)

    def renamed(self, origin: tuple[Node, bytes, bytes], destination: tuple[Node, bytes, bytes]) -> None:
        """A directory was renamed within what is watched: `parent, name, path` of both ends."""
        self._is_shuffled = True
        parent, name, path = destination
        self._told.discard(path)
        node = self._watches.child(origin[0], origin[1])
        there = self._watches.child(parent, name)
        if (
            node is None
            or node.wd in (COVERED, MISSING, TWIN)
            or self._is_polled_in(node)
            or self._watches.is_below(parent, node)
            or (there is not None and self._watches.is_below(node, there))
            or (there is not None and there.wd > 0 and self._leads_to(path[:-1], there.wd))
        ):
            # The disk is ahead of the events: what was renamed is not what we know under that name.
            self.vanished(*origin)
            if self._is_known(parent):  # it may have been below what has vanished
                self.appeared(parent, name, path, again=True)
            return
        if there is not None and there.wd == POLLED:
            self._give_up(there)  # it was emptied first, which no round may have seen
        elif there is not None:
            self._discard(there, again=False)
        self._watches.move(node, parent, name)
        self.changes.append(Change("Move", origin[2], path))
        if node.wd > 0 and not self._wants(path):
            self._discard(node, again=False)
            self._watches.add(UNWANTED, parent, name)
        else:
            self._look_again(self._watches.idle_below(node))

    def retell(self, wd: int, name: bytes) -> None:
        """A file was removed where, by now, a directory is known: it was told of too early, so it is told of again."""
        parent = self._watches.nodes.get(wd)
        if parent is not None and parent.children is not None and name in parent.children:
            self.appeared(parent, name, b"%s%s/" % (self._watches.path(parent), name), again=True)

    def touched(self, parent: Node, name: bytes, path: bytes) -> None:
        """A directory's attributes changed: one that we were refused may be open to us now."""
        self.changes.append(Change("Attrib", path))
        node = self._watches.child(parent, name)
        if node is not None and node.wd == REFUSED:
            self._look_again([node])

    def unmounted(self, wd: int) -> None:
        """A directory's file system was unmounted: `ended` comes next."""
        self._unmounted.add(wd)

    def ended(self, wd: int) -> None:
        """The kernel has ended a watch: the directory is deleted, or its file system is unmounted."""
        node = self._watches.nodes.get(wd)
        if node is not None:
            self._is_shuffled = True
            is_unmounted = wd in self._unmounted
            if not is_unmounted and node.parent is not None:
                path = self._watches.path(node)
                self.changes.append(Change("Delete", path))
                # the parent's own event of it comes right behind
                self._told.add(path)
            self._replace(node, COVERED if is_unmounted else MISSING)
        self._unmounted.discard(wd)

    def settle(self) -> bool:
        """To be called when all events are worked off: finds what was taken for another directory of the same path.

        That can be when one went away after it was told of and before we came, and another one took its place. Gives
        whether there was anything to put right; then more events may have come meanwhile.
        """
        bound, self._bound = self._bound, []
        entered, self._entered = self._entered, []
        self._told.clear()  # whatever was right behind has come
        if not self._is_shuffled:
            return False
        self._is_shuffled = False
        for top in entered:
            if self._is_known(top):
                self.sweep(top)
        wrong = [node for node in bound if self._is_known(node) and not self._is_at(node)]
        for node in wrong:
            if self._is_known(node):
                self._discard(node)
        self._run()
        self.retry_missing()
        return bool(entered or wrong or self._bound)

    def retry_unread(self) -> None:
        """Reads what could not be read for want of descriptors or memory."""
        if not self._unread and not self._is_short:
            return
        unread, self._unread = self._unread, {}
        for node, report in unread.items():
            if self._is_known(node):
                self._stack.append((node, self._watches.path(node), report, False))
        self._run()
        if self._is_short and not self._unread:
            self._is_short = False
            self._log("Normal", "All directories could be read now.")

    def remounted(self, tops: Iterable[Node], places: Iterable[bytes]) -> None:
        """Something was mounted or unmounted at these places (no slash at the end): what is there now is watched.

        What is covered, or uncovered no longer, is not told to be gone: that nobody sees it is no deletion.
        """
        for top in tops:
            above = self._watches.path(top)
            for place in sorted(place for place in places if place.startswith(above)):
                node = self._watches.known(top, place + b"/")
                if node is None or node is top or not (node.wd > 0 or node.wd == TWIN):
                    continue
                if self._is_at(node):  # again, perhaps: what was read may have been something else
                    self._stack.append((node, place + b"/", True, False))
                else:
                    self._replace(node, COVERED)
        self._run()
        self.retry_missing()

    def retry_missing(self) -> None:
        """Looks again for what was not there: something may be mounted now."""
        self._look_again([node for node in self._watches.idle if node.wd in (COVERED, MISSING)])

    def contents(self, top: Node) -> Iterator[Change]:
        """A Create for everything below a directory, as it is on the disk; parents first.

        Only of what is watched: what is not yet, is told of when its own event is worked off, and what is gone then
        would otherwise never be told to be gone.
        """
        stack = [(top, self._watches.path(top))]
        while stack:
            node, path = stack.pop()
            try:
                entries = self._kernel.entries(path)
            except OSError:
                continue
            if not self._is_at(node):
                continue
            for name, is_directory in entries:
                if not is_directory:
                    yield Change("Create", path + name)
                    continue
                below = self._watches.child(node, name)
                if below is not None:
                    yield Change("Create", b"%s%s/" % (path, name))
                    if below.wd > 0:
                        stack.append((below, b"%s%s/" % (path, name)))

    # -- inside ----------------------------------------------------------------------------------------------------

    def _visit(self, parent: Node, name: bytes, path: bytes, *, report: bool, again: bool) -> None:
        """Watches the directory found at a place, and puts it on the stack if its contents are to be read."""
        watches = self._watches
        known = None if parent.children is None else parent.children.get(name)
        if (known is None or known.wd in (UNWANTED, MISSING, COVERED) or self._is_sweeping) and not self._wants(path):
            if known is None:
                watches.add(UNWANTED, parent, name)
                self._tell(report, path)
            else:
                self._replace(known, UNWANTED)
            return
        if known is not None and known.wd == POLLED:
            if self._is_sweeping or not (again and report):
                return
            self._give_up(known)
            known = None
        try:
            wd = self._kernel.watch(path[:-1])
        except OSError as error:
            self._fail(parent, name, path, known, error, report)
            return
        node = watches.nodes.get(wd)
        if node is None:
            if known is not None:
                self._give_up(known)
            node = watches.add(wd, parent, name)
            if known is not None and known.wd == COVERED and not again:
                if report:  # a Create could be taken for leave to delete what is not in there now
                    self.changes.append(Change("Attrib", path))
            else:
                self._tell(report, path)
            if report or again:
                self._bound.append(node)
            self._stack.append((node, path, report, again))
        elif node is not known:
            self._take(node, parent, name, path, known, report)
        elif again:
            self._tell(report, path)
            self._stack.append((node, path, report, again))

    def _tell(self, report: bool, path: bytes) -> None:
        if report:
            self.changes.append(Change("Create", path) if path == self._new else Found("Create", path))

    def _fail(self, parent: Node, name: bytes, path: bytes, known: Node | None, error: OSError, report: bool) -> None:
        wd = MISSING if error.errno in _GONE else REFUSED
        if known is not None and known.wd > 0:
            if not (self._is_sweeping and is_out_of_watches(error)):
                return  # still watched; if it is gone, its event comes
            self._discard(known, again=False)  # it is another one, whose event was lost
            known = None
        if self.polled is not None and is_out_of_watches(error):
            self._tell(report, path)
            self._poll_new(parent, name, path, known, report)
            return
        if wd == REFUSED and (known is None or known.wd != REFUSED):
            self._warn(path, error)
        if known is None:
            self._watches.add(wd, parent, name)
            self._tell(report, path)
        else:
            known.wd = wd

    def _poll_new(self, parent: Node, name: bytes, path: bytes, known: Node | None, report: bool) -> None:
        source = None if self.polled is None else self.polled.find(path)
        if known is not None:
            known.wd = POLLED
        elif source is not None:
            self._watches.move(source, parent, name)
            return
        else:
            known = self._watches.add(POLLED, parent, name)
        self._poll(known, path, report)

    def _poll(self, node: Node, path: bytes, report: bool) -> Node:
        """Has a directory polled that cannot be watched."""
        assert self.polled is not None
        self.polled.add(node, path, report=report, progress=self._polled_more)
        self.changes += self.polled.changes
        self.polled.changes.clear()
        return node

    def _polled_more(self, directories: int) -> None:
        """Called while a tree is looked at that is to be polled."""
        self._drain()
        if self.progress is not None:
            self.progress(len(self._watches.nodes) + len(self.polled or ()) + directories)

    def _is_polled_in(self, node: Node) -> bool:
        """Whether something at or below `node` is polled: who repeats a rename would not know all that is in it."""
        return bool(self.polled) and any(idle.wd == POLLED for idle in self._watches.idle_below(node))

    def _take(self, node: Node, parent: Node, name: bytes, path: bytes, known: Node | None, report: bool) -> None:
        """`node`, known elsewhere, was found here: the disk is ahead of the events, or behind a bind mount."""
        watches = self._watches
        if watches.path(node) == path:  # a source inside another one, or seen from there
            self._put(node, parent, name, known)
            self._tell(report, path)
            if report:
                self._stack.append((node, path, report, True))
            return
        if self._is_at(node):
            if known is None:
                self._say_twin(path, node)
                watches.add(TWIN, parent, name)
                self._tell(report, path)
            return
        if watches.is_below(parent, node):  # all that we believe of this branch is out of date
            self._discard(node)
            return
        self._doubt(node)
        self._put(node, parent, name, known)
        self._tell(report, path)
        self._stack.append((node, path, report, True))

    def _put(self, node: Node, parent: Node, name: bytes, known: Node | None) -> None:
        self._watches.move(node, None, node.name)  # `known`, which has to go, may be above it
        if known is not None:
            self._give_up(known)
        self._watches.move(node, parent, name)
        self._bound.append(node)
        self._shifts += 1

    def _doubt(self, node: Node) -> None:
        """What is at the place that `node` is about to leave is to be found out, and told anew."""
        if node.parent is not None:
            if not self._is_sweeping:
                self.changes.append(Change("Delete", self._watches.path(node)))
            self._doubtful.append((node.parent, node.name))

    def _discard(self, top: Node, *, again: bool = True) -> None:
        """Forgets a branch and ends its watches; `again`: looks at its place afterwards."""
        if again:
            self._doubt(top)
        wds = self._watches.drop(top)
        if not self._watches.landmarks.isdisjoint(wds):
            self.is_uprooted = True
        for count, wd in enumerate(wds, 1):
            self._kernel.unwatch(wd)
            if count % _PERIOD == 0:  # each ended watch is an event of its own
                self._drain()

    def _give_up(self, top: Node) -> None:
        """Discards a branch that is not what we took it for: what was told of it is taken back."""
        if not self._is_sweeping and (top.wd > 0 or top.wd == POLLED):
            self.changes.append(Change("Delete", self._watches.path(top)))
        self._discard(top, again=False)

    def _miss(self, node: Node) -> None:
        """A directory went away while we were reading it."""
        parent, name = node.parent, node.name
        self._give_up(node)
        if parent is not None:
            self._watches.add(MISSING, parent, name)

    def _replace(self, node: Node, wd: int) -> None:
        """In place of a watched directory, the reason why it is watched no longer."""
        parent, name = node.parent, node.name
        self._discard(node, again=False)
        if parent is not None:
            self._watches.add(wd, parent, name)

    def _look_again(self, idle: list[Node]) -> None:
        for node in idle:
            if node in self._watches.idle and node.parent is not None:
                self._visit(node.parent, node.name, self._watches.path(node), report=True, again=False)
        self._run()

    def _run(self) -> None:
        """Reads all directories on the stack, and what is found below them."""
        watches, stack, doubtful = self._watches, self._stack, self._doubtful
        shifts = self._shifts
        self._count = 0
        while stack or doubtful:
            if not stack:
                parent, name = doubtful.pop()
                if self._is_known(parent):
                    path = b"%s%s/" % (watches.path(parent), name)
                    if name not in (parent.children or ()):
                        watches.add(MISSING, parent, name)  # told of only if it is there
                    self._visit(parent, name, path, report=not self._is_sweeping, again=False)
                continue
            node, path, report, again = stack.pop()
            if watches.nodes.get(node.wd) is not node:
                continue
            if shifts != self._shifts:
                path = watches.path(node)
            try:
                if report or again:
                    self._read(node, path, report, again)
                    self._step()
                else:
                    self._read_new(node, path)
            except OSError as error:
                self._cannot_read(node, path, error, report)

    def _step(self) -> None:
        """One more directory has been looked at."""
        self._count += 1
        if self._count % _SOON == 0:
            self._drain()
        if self._count % _PERIOD == 0 and self.progress is not None:
            self.progress(self._count)

    def _read_new(self, node: Node, path: bytes) -> None:
        """`_read` of a directory watched for the first time, with nothing to tell: starting on a big tree is this.

        Of a directory that is as it should be, and has none in it, nobody needs to hear again.
        """
        watches, push, step = self._watches, self._stack.append, self._step
        names = self._kernel.directories(path)
        for name in [name for name in names if name in (node.children or ())]:
            self._visit(node, name, b"%s%s/" % (path, name), report=False, again=False)
            if not self._is_known(node):
                return
        if node.children is not None:
            names = [name for name in names if name not in node.children]
        if not self._all_wanted(path):
            names = [name for name in names if self._is_wanted(node, name, path)]
        for start in range(0, len(names), _PERIOD):
            found = self._kernel.watch_all(path, names[start : start + _PERIOD])
            for place, (name, wd, is_leaf) in enumerate(found):
                if wd > 0 and wd not in watches.nodes and (node.children is None or name not in node.children):
                    new = watches.add(wd, node, name)
                    if is_leaf:
                        step()
                    else:
                        push((new, b"%s%s/" % (path, name), False, False))
                    continue
                self._visit(node, name, b"%s%s/" % (path, name), report=False, again=False)
                if not self._is_known(node):
                    self._forget(wd for _, wd, _ in found[place + 1 :])
                    return
        step()

    def _is_wanted(self, parent: Node, name: bytes, path: bytes) -> bool:
        """Whether any sync has a use for a directory just found; if not, that is noted."""
        is_wanted = self._wants(b"%s%s/" % (path, name))
        if not is_wanted and self._watches.child(parent, name) is None:
            self._watches.add(UNWANTED, parent, name)
        return is_wanted

    def _forget(self, wds: Iterable[int]) -> None:
        """Ends watches that belong to nobody."""
        for wd in wds:
            if wd > 0 and wd not in self._watches.nodes and wd not in self._watches.landmarks:
                self._kernel.unwatch(wd)

    def _read(self, node: Node, path: bytes, report: bool, again: bool) -> None:
        changes = self.changes
        entries = self._kernel.entries(path) if report else [(name, True) for name in self._kernel.directories(path)]
        if not self._is_still_at(node, path):
            return
        self._drop_unlisted(node, entries)
        for name, is_directory in entries:
            if is_directory:
                self._visit(node, name, b"%s%s/" % (path, name), report=report, again=again)
                if not self._is_known(node):
                    return  # it turned out that nothing is where we believed it to be
            else:
                changes.append(Found("Create", path + name))

    def _drop_unlisted(self, node: Node, entries: list[tuple[bytes, bool]]) -> None:
        """Directories known here that were not found: whatever becomes of them is to be told from the beginning."""
        if node.children is not None:
            listed = {name for name, is_directory in entries if is_directory}
            for name in [name for name in node.children if name not in listed]:
                child = self._watches.child(node, name)
                if child is not None:
                    self._give_up(child)

    def _cannot_read(self, node: Node, path: bytes, error: OSError, report: bool) -> None:
        if error.errno in _GONE:
            self._miss(node)
            return
        if is_shortage(error):
            if not self._is_short:
                self._is_short = True
                self._log("Warn", f"Cannot read {_shown(path)}: {error.strerror}. Trying again.")
            self._unread[node] = report
            return
        self._warn(path, error)
        if node.parent is not None:
            self._replace(node, REFUSED)

    def _is_still_at(self, node: Node, path: bytes) -> bool:
        """Whether what was just read at `path` was that directory; if not, its event is on its way."""
        if self._leads_to(path if node.parent is None else path[:-1], node.wd):
            return True
        self._miss(node)
        return False

    def _is_known(self, node: Node) -> bool:
        return self._watches.nodes.get(node.wd) is node

    def _is_at(self, node: Node) -> bool:
        """Whether a watched directory is where we believe it to be."""
        path = self._watches.path(node)
        return self._leads_to(path if node.parent is None else path[:-1], node.wd)

    def _leads_to(self, place: bytes, wd: int) -> bool:
        return leads_to(self._kernel, self._watches, place, wd)

    def _warn(self, path: bytes, error: OSError) -> None:
        self._log("Warn", f"Cannot watch {_shown(path)}: {error.strerror}. Trying again when its attributes change.")

    def _say_twin(self, path: bytes, node: Node) -> None:
        there = _shown(self._watches.path(node))
        self._log("Warn", f"{_shown(path)} is the same directory as {there}: changes are seen there only.")


def leads_to(kernel: Kernel, watches: Watches, place: bytes, wd: int) -> bool:
    """Whether the directory at `place` is the one watched as `wd`."""
    try:
        found = kernel.watch(place)
    except OSError:
        return False
    if found != wd and found not in watches.nodes and found not in watches.landmarks:
        kernel.unwatch(found)  # somebody else; if it is of interest, its own event or a second look comes
    return found == wd


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")
