"""What the queue gives out, done on a copy of the tree, makes the copy equal to the source (spec 3.3, 3.4).

A source tree changes at random; its changes go through the queue, some late; transfers run one after
the other, some fail and are tried again. The transfers are models of what real actions do:

* sets: like rsync with a list of paths. What a path is in the source, it becomes in the target; Moves,
  where the sync takes them, are done by renaming (rsyncssh), several at once where none waits for another.
  Both do a full run now and then, after which waiting Moves are none any more.
* handlers: like default.direct. Each kind of change is one command: mkdir, cp, rm, mv, chmod.

A Move that cannot be done becomes a Delete and a Create, with those that wait for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.logic.event import ACTIVE, ATTRIB, CREATE, DELETE, FULL, MODIFY, MOVE, WAIT
from orchestrator.logic.queue import Queue

if TYPE_CHECKING:
    from orchestrator.logic.delay import Delay

NOW = 1.0


@dataclass(frozen=True)
class Entry:
    """A file or directory: what is in it (a file's content is a number) and its mode."""

    is_dir: bool
    content: int
    mode: int


class Tree(dict[bytes, Entry]):
    """Entries by path, without a directory's slash; the root is not listed."""

    def below(self, path: bytes) -> list[bytes]:
        return sorted(other for other in self if other.startswith(path + b"/"))

    def is_dir(self, path: bytes) -> bool:
        return path == b"" or (path in self and self[path].is_dir)

    def parent(self, path: bytes) -> bytes:
        return path[: path.rfind(b"/")]

    def remove(self, path: bytes) -> None:
        for other in [*self.below(path), path]:
            self.pop(other, None)

    def move(self, path: bytes, path2: bytes) -> None:
        """rename(2): what is at the destination is replaced."""
        moved = {path2 + other[len(path) :]: self[other] for other in [path, *self.below(path)]}
        self.remove(path)
        self.remove(path2)
        self.update(moved)


@dataclass
class World:
    """A source, its sync's queue, and a target.

    `tells_creates`: False with `inotifyMode = "CloseWrite only"`, where a new file is told of by its close.
    """

    sets: bool
    on_move: bool
    tells_creates: bool
    chains_moves: bool = False
    source: Tree = field(default_factory=Tree)
    target: Tree = field(default_factory=Tree)
    late: list[tuple[str, bytes, bytes | None]] = field(default_factory=list)
    running: list[Delay] = field(default_factory=list)
    seen: Tree | None = None
    number: int = 0

    def __post_init__(self) -> None:
        self.queue = Queue(sets=self.sets, on_move=self.on_move, chains_moves=self.chains_moves)

    # -- the source changes

    def name(self, path: bytes) -> bytes:
        return path + b"/" if self.source.is_dir(path) else path

    def event(self, etype: str, path: bytes, path2: bytes | None = None) -> None:
        self.late.append((etype, path, path2))

    def deliver(self) -> None:
        """The events that are under way arrive; what is read for them is what is there by now."""
        for etype, path, path2 in self.late:
            was_split = self.queue.add(etype, 0.0, path, path2)
            whole = path2 if was_split else path if etype == CREATE else None
            if whole is not None and whole.endswith(b"/"):
                for below in self.source.below(whole[:-1]):
                    self.queue.add(CREATE, 0.0, self.name(below))
        self.late.clear()

    def write(self, path: bytes) -> None:
        if not self.source.is_dir(self.source.parent(path)) or self.source.is_dir(path):
            return
        if path not in self.source and self.tells_creates:
            self.event(CREATE, path)
        self.number += 1
        mode = self.source[path].mode if path in self.source else 0
        self.source[path] = Entry(False, self.number, mode)
        self.event(MODIFY, path)

    def chmod(self, path: bytes) -> None:
        if path in self.source:
            self.number += 1
            entry = self.source[path]
            self.source[path] = Entry(entry.is_dir, entry.content, self.number)
            self.event(ATTRIB, self.name(path))

    def mkdir(self, path: bytes) -> None:
        if self.source.is_dir(self.source.parent(path)) and path not in self.source:
            self.number += 1
            self.source[path] = Entry(True, 0, self.number)
            self.event(CREATE, self.name(path))
            self.deliver()  # what happens in a directory is heard of from its watch on

    def remove(self, path: bytes) -> None:
        if path not in self.source:
            return
        for other in [*reversed(self.source.below(path)), path]:
            self.event(DELETE, self.name(other))
            del self.source[other]

    def rename(self, path: bytes, path2: bytes) -> None:
        source = self.source
        if path not in source or not source.is_dir(source.parent(path2)) or (path2 + b"/").startswith(path + b"/"):
            return
        if path2 in source and (source.is_dir(path) != source.is_dir(path2) or source.below(path2)):
            return
        slash = b"/" if source.is_dir(path) else b""
        source.move(path, path2)
        self.event(MOVE, path + slash, path2 + slash)
        if slash:
            self.deliver()

    def gather(self, path: bytes, other: bytes, path2: bytes) -> None:
        """Something that the target has is moved into a new directory, which is then renamed."""
        self.deliver()
        self.work_off()
        self.mkdir(path)
        self.rename(other, path + b"/a")
        self.rename(path, path2)

    def move_in(self, path: bytes) -> None:
        """A file from outside takes a name, used or not."""
        if self.source.is_dir(self.source.parent(path)) and not self.source.is_dir(path):
            self.number += 1
            self.source[path] = Entry(False, self.number, self.number)
            self.event(CREATE, path)

    def move_out(self, path: bytes) -> None:
        """With all that is below it, of which nothing is told."""
        if path not in self.source:
            return
        self.event(DELETE, self.name(path))
        for gone in [*self.source.below(path), path]:
            del self.source[gone]

    def ask_for_everything(self) -> None:
        """A crontab, or an overflow."""
        if not any(delay.etype == FULL for delay in self.queue):
            self.queue.append(FULL, 0.0, b"", stacked=False)

    # -- transfers

    def start(self, reads_at_once: bool) -> bool:
        """Give out what is next, as the action would. False: nothing is.

        A transfer reads the source at some time between its start and its end: here at one of them.
        """
        if self.running:
            return True
        first = self.queue.first_due(NOW, 1000)
        if first is None:
            return False
        if not self.sets or first.etype == FULL:
            self.running = [first]
        elif first.etype == MOVE:
            self.running = self.queue.select(
                lambda delay: delay.status == WAIT if delay.etype == MOVE else "break",
            )
        else:
            self.running = self.queue.select(
                lambda delay: "break" if delay.etype == MOVE else delay.etype != FULL,
            )
        self.queue.activate(self.running)
        self.seen = Tree(self.source) if reads_at_once else None
        return True

    def finish(self, fails: bool) -> None:
        """The transfer ends; one that fails has done nothing, or all but its last part."""
        running, self.running = self.running, []
        undone = [delay for delay in (running[:-1] if fails else running) if not self.transfer(delay)]
        # The loop reads events before it collects children. Otherwise a file that was renamed and
        # made anew during its own transfer is taken for the old one when the Move arrives.
        self.deliver()
        if any(delay.etype == FULL for delay in running):
            self.split_moves()
        if not fails:
            for delay in undone:
                self.make_up_for(delay)
        for delay in running:
            if fails:
                self.queue.retry(delay, NOW)
            else:
                self.queue.remove(delay)

    def work_off(self) -> None:
        while self.start(False):
            self.finish(False)

    def split_moves(self) -> None:
        """As Inlet.split_moves."""
        self.split([delay for delay in self.queue if delay.etype == MOVE and delay.status != ACTIVE])

    def make_up_for(self, move: Delay) -> None:
        """As Inlet.split, or what direct does, of a Move that could not be done."""
        assert move.path2 is not None
        behind = self.queue.moves_behind(move)
        if self.sets:
            self.queue.add(DELETE, 0.0, move.path)
        self.create(move.path2)
        self.split(behind)

    def split(self, moves: list[Delay]) -> None:
        for delay in moves:
            path2 = delay.path2
            self.queue.turn(delay)
            if path2 is not None:
                self.create(path2)

    def create(self, path: bytes) -> None:
        """As Inlet.create."""
        if self.sets or self.is_there(path):
            if self.sets and path.endswith(b"/"):
                self.queue.add(DELETE, 0.0, path)
            self.queue.add(CREATE, 0.0, path)
            for below in self.source.below(path[:-1]) if path.endswith(b"/") else []:
                self.queue.add(CREATE, 0.0, self.name(below))

    def is_there(self, path: bytes) -> bool:
        entry = self.source.get(path.removesuffix(b"/"))
        return entry is not None and entry.is_dir == path.endswith(b"/")

    def transfer(self, delay: Delay) -> bool:
        """False: it was a Move that could not be done."""
        source = self.source if self.seen is None else self.seen
        if delay.etype == FULL:
            self.target = Tree(source)
            return True
        path = delay.path.removesuffix(b"/")
        if delay.path2 is not None:
            return self.rename_on_target(path, delay.path2.removesuffix(b"/"))
        if self.sets:
            self.bring_up_to_date(source, path, delay.path.endswith(b"/") and delay.etype == DELETE)
        else:
            self.run_command(source, delay.etype, path, delay.path.endswith(b"/"))
        return True

    def rename_on_target(self, path: bytes, path2: bytes) -> bool:
        """mv -T; direct removes what it could not move."""
        target = self.target
        is_right = path in target and target.is_dir(target.parent(path2)) and not (path2 + b"/").startswith(path + b"/")
        if is_right and path2 in target:
            is_right = target.is_dir(path) == target.is_dir(path2) and not target.below(path2)
        if is_right:
            target.move(path, path2)
        elif not self.sets:
            target.remove(path)
        return is_right

    def bring_up_to_date(self, source: Tree, path: bytes, is_whole: bool) -> None:
        """rsync: the path, the directories that it is in and, of a deleted directory, all that is below."""
        segments = path.split(b"/")
        for end in range(2, len(segments) + 1):
            part = b"/".join(segments[:end])
            if part not in source:
                break
            if part in self.target and self.target.is_dir(part) != source.is_dir(part):
                self.target.remove(part)
            self.target[part] = source[part]
        for below in self.target.below(path) if is_whole else []:
            self.target.pop(below) if below not in source else None
        for below in source.below(path) if is_whole else []:
            self.target[below] = source[below]
        if path not in source and not self.target.below(path):
            self.target.pop(path, None)

    def run_command(self, source: Tree, etype: str, path: bytes, is_directory: bool) -> None:
        entry = source.get(path)
        if etype == DELETE:
            self.target.remove(path)
        elif not self.target.is_dir(self.target.parent(path)):
            return
        elif entry is None:
            if etype == CREATE and is_directory:  # mkdir does not ask the source
                self.target.setdefault(path, Entry(True, 0, 0))
        elif etype == ATTRIB:
            there = self.target.get(path)
            if there is not None and there.is_dir == entry.is_dir:
                self.target[path] = Entry(there.is_dir, there.content, entry.mode)
        elif path not in self.target or self.target.is_dir(path) == entry.is_dir:
            self.target[path] = entry


PATHS = st.sampled_from([b"/a", b"/b", b"/c", b"/a/a", b"/a/b", b"/b/a", b"/a/b/c", b"/a/b/d"])
"""Few, so that they meet."""

STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["write", "chmod", "mkdir", "remove", "move_in", "move_out"]), PATHS),
        st.tuples(st.just("rename"), PATHS, PATHS),
        st.tuples(st.just("gather"), PATHS, PATHS, PATHS),
        st.tuples(st.sampled_from(["deliver", "ask_for_everything"])),
        st.tuples(st.sampled_from(["start", "finish"]), st.booleans()),
    ),
    min_size=20,  # hypothesis tends to short lists, in which little happens
    max_size=80,
)


@pytest.mark.parametrize("sets", [True, False])
@pytest.mark.parametrize(("on_move", "chains_moves"), [(True, True), (True, False), (False, False)])
@given(tells_creates=st.booleans(), steps=STEPS)
def test_what_is_given_out_makes_the_target_equal(
    sets: bool, on_move: bool, chains_moves: bool, tells_creates: bool, steps: list[tuple[object, ...]]
) -> None:
    world = World(sets, on_move, tells_creates, chains_moves)
    for method, *arguments in steps:
        getattr(world, str(method))(*arguments)
    world.deliver()
    world.work_off()
    assert not list(world.queue)
    assert world.target == world.source


@pytest.mark.parametrize("sets", [True, False])
def test_a_move_that_a_full_run_has_overtaken(sets: bool) -> None:
    world = World(sets, on_move=True, tells_creates=True)
    world.write(b"/a")
    for _ in range(2):
        world.start(False)
        world.finish(False)
    world.ask_for_everything()
    world.start(False)
    world.rename(b"/a", b"/b")
    world.write(b"/a")
    world.finish(False)
    world.work_off()
    assert world.target == world.source


@pytest.mark.parametrize("sets", [True, False])
def test_a_directory_that_has_gone_on_since_a_full_run_overtook_its_move(sets: bool) -> None:
    world = World(sets, on_move=True, tells_creates=True)
    world.mkdir(b"/a")
    for _ in range(2):
        world.start(False)
        world.finish(False)
    world.ask_for_everything()
    world.start(False)
    world.rename(b"/a", b"/b")
    world.write(b"/b/a")
    world.move_out(b"/b")
    world.finish(False)
    world.work_off()
    assert world.target == world.source
