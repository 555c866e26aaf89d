"""A startup in parts, done by the real rsync, makes of a target what one run over everything makes of it."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.logic.division import REST, Division, Part, Size
from orchestrator_rsync.action import Rsync
from tests.kit.inlet import FakeInlet
from tests.kit.need import program
from tests.kit.trees import Pair, snapshot
from tests.property.test_rsync_property import TREES, Tree, put

PATTERNS = st.sampled_from(["/a", "a", "/a/b", "b/", "*.x", "[a]", "/**/b", "a*", "ab/***"])


def attributes(root: bytes, tree: Tree) -> dict[bytes, tuple[int, int]]:
    """Mode and time of all that the source has, too, and of the root; one that was emptied has a new time."""
    found = {}
    for path in (b"", *tree):
        if os.path.lexists(root + path):
            status = os.lstat(root + path)
            found[path] = (stat.S_IMODE(status.st_mode), status.st_mtime_ns // 1_000_000_000)
    return found


def aged(root: bytes) -> None:
    """Each file and directory is from another time, long ago."""
    for number, (top, _, files) in enumerate(os.walk(root, topdown=False)):
        for name in files:
            os.utime(os.path.join(top, name), (1000 + number, 1000 + number))
        os.utime(top, (2000 + number, 2000 + number))


def division_of(subtrees: list[bytes], count: int) -> Division:
    shared: list[tuple[bytes, ...]] = [tuple(subtrees[place::count]) for place in range(count)]
    parts = [Part(number, part, (), Size()) for number, part in enumerate(filter(None, shared), 1)]
    return Division([Part(REST, (), tuple(subtrees), Size()), *parts])


@settings(max_examples=max(10, settings().max_examples // 10))
@given(
    source=TREES,
    target=TREES,
    exclude=st.lists(PATTERNS, max_size=2),
    rules=st.lists(PATTERNS, max_size=2),
    data=st.data(),
)
def test_parts_make_what_one_run_makes(
    source: Tree, target: Tree, exclude: list[str], rules: list[str], data: st.DataObject
) -> None:
    program("rsync")
    box = Path(tempfile.mkdtemp(prefix="rsync-parts-"))
    try:
        pair = Pair(box)
        put(pair.source, source)
        put(pair.target, target)
        aged(pair.source)
        aged(pair.target)
        again = pair.root + b"/again/"
        shutil.copytree(pair.target, again, symlinks=True)
        filters = [f"{'+' if place % 2 else '-'} {rule}" for place, rule in enumerate(rules)]
        more = {"exclude": exclude, "filter": filters, "rsync": {"archive": True}}
        whole = FakeInlet(Rsync(), pair.config(**more), source=pair.source)
        whole.startup()
        whole.settle()

        parts = FakeInlet(Rsync(), {"target": os.fsdecode(again), "startupProcesses": 2, **more}, source=pair.source)
        excludes = parts.matcher() or (lambda path: False)
        directories = [
            b"/" + path + b"/"
            for path, content in sorted(source.items())
            if content is None and b"\n" not in path and not excludes(b"/" + path + b"/")
        ]
        picked = data.draw(st.lists(st.sampled_from(directories), unique=True, max_size=5)) if directories else []
        subtrees = [one for one in picked if not any(one != other and one.startswith(other) for other in picked)]
        assert parts.sync.startup is not None
        parts.sync.startup.adopt(division_of(sorted(subtrees), data.draw(st.integers(1, 3))) if subtrees else None)
        parts.startup()
        parts.settle()
        assert parts.sync.life.is_started_up
        assert len(parts.lines("Normal")) == len(whole.lines("Normal")) == 2
        assert snapshot(again) == snapshot(pair.target)
        assert attributes(again, source) == attributes(pair.target, source)
    finally:
        shutil.rmtree(box)
