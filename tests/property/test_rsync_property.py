"""What the real rsync makes of our filter lists: the changed paths become what they are in the source, all else stays.

The names are such as mean something in a pattern, and such as those would match.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator_rsync.action import Rsync
from tests.kit.inlet import FakeInlet
from tests.kit.need import program
from tests.kit.trees import Pair, snapshot

NAMES = st.sampled_from(
    [b"a", b"b", b"ab", b"*", b"**", b"***", b"?", b"a*", b"[a]", b"[", b"]", b"\\", b"\\*", b"\\a", b" ", b"a\n", b"-"]
)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(b"/".join)

Tree: TypeAlias = "dict[bytes, bytes | None]"
"""Path → content; None for a directory."""


def grown(files: dict[bytes, bytes | None]) -> Tree:
    """With the directories that things lie in; what would lie in a file is left out."""
    tree: Tree = {}
    for path, content in files.items():
        parents = parents_of(path)
        if all(tree.get(parent, None) is None for parent in parents):
            tree.update(dict.fromkeys(parents, None))
            tree.setdefault(path, content)
    return tree


TREES = st.dictionaries(PATHS, st.sampled_from([None, b"one", b"two!", b"three"]), max_size=12).map(grown)


def parents_of(path: bytes) -> list[bytes]:
    """From the top down."""
    parts = path.split(b"/")
    return [b"/".join(parts[:end]) for end in range(1, len(parts))]


def put(root: bytes, tree: Tree) -> None:
    for path in sorted(tree):
        content = tree[path]
        if content is None:
            os.mkdir(root + path)
        else:
            with open(root + path, "wb") as file:
                file.write(content)


def is_dir(tree: Tree, path: bytes) -> bool:
    return path in tree and tree[path] is None


def completed(source: Tree, target: Tree, picked: set[bytes]) -> set[bytes]:
    """With the parents that changed as well: nothing can come, go, or become another kind without its own event."""
    changed = set(picked)
    for path in picked:
        for parent in parents_of(path):
            if is_dir(source, parent) != is_dir(target, parent):
                changed.add(parent)
    return changed


def told(inlet: FakeInlet, source: Tree, target: Tree, changed: set[bytes]) -> None:
    """The events of these changes, parents first."""
    for path in sorted(changed):
        if path in target and (path not in source or is_dir(source, path) != is_dir(target, path)):
            inlet.change("Delete", b"/" + path + (b"/" if is_dir(target, path) else b""))
        if path in source:
            inlet.change("Create", b"/" + path + (b"/" if is_dir(source, path) else b""))


def expected(source: Tree, target: Tree, changed: set[bytes]) -> Tree:
    """The target after that."""
    result = dict(target)
    for path in sorted(changed):
        if is_dir(target, path) and not is_dir(source, path):
            result = {other: content for other, content in result.items() if not other.startswith(path + b"/")}
        result.pop(path, None)
        if path in source:
            result[path] = source[path]
    return result


@settings(max_examples=max(25, settings().max_examples // 3))
@given(source=TREES, target=TREES, data=st.data(), listed=st.booleans())
def test_exactly_the_changed_paths_are_touched(source: Tree, target: Tree, data: st.DataObject, listed: bool) -> None:
    program("rsync")
    everything = sorted(source.keys() | target.keys())
    picked = data.draw(st.sets(st.sampled_from(everything), max_size=6)) if everything else set()
    changed = completed(source, target, picked)
    box = Path(tempfile.mkdtemp(prefix="rsync-property-"))
    try:
        pair = Pair(box)
        put(pair.source, source)
        put(pair.target, target)
        inlet = FakeInlet(Rsync(), pair.config(rsync={"checksum": True, "listed": listed}), source=pair.source)
        told(inlet, source, target, changed)
        inlet.settle()
        assert snapshot(pair.target) == expected(source, target, changed)
    finally:
        shutil.rmtree(box)
