"""A list of names does to the target what a filter list does: all of it, times and modes of directories too."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator_rsync.action import Rsync
from tests.kit.inlet import FakeInlet
from tests.kit.need import program
from tests.kit.trees import Pair

NAMES = st.sampled_from([b"a", b"b", b"c", b"*", b"[a]", b"\\", b" x\n", b"#", b"-"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(b"/".join)


class Thing(NamedTuple):
    """What a path is in a tree. `kind`: of `KINDS`. `time`: seconds since 1970."""

    kind: str
    mode: int
    time: int


KINDS = ("directory", "one", "other", "link", "link to a directory")
THINGS = st.builds(Thing, st.sampled_from(KINDS), st.sampled_from([0o700, 0o755, 0o640]), st.integers(1, 3))
Tree = dict[bytes, Thing]


def parents_of(path: bytes) -> list[bytes]:
    """From the top down."""
    parts = path.split(b"/")
    return [b"/".join(parts[:end]) for end in range(1, len(parts))]


def grown(things: Tree) -> Tree:
    """With the directories that things lie in; what would lie in none is left out."""
    tree: Tree = {}
    for path, thing in things.items():
        parents = parents_of(path)
        if all(tree.get(parent, Thing("directory", 0, 0)).kind == "directory" for parent in parents):
            for parent in parents:
                tree.setdefault(parent, Thing("directory", 0o755, 1))
            tree.setdefault(path, thing)
    return tree


TREES = st.dictionaries(PATHS, THINGS, max_size=10).map(grown)

OPTIONS = st.sampled_from(
    [
        *({"archive": True}, {"archive": True, "hard_links": True}, {"perms": True, "omit_dir_times": True}),
        *({"copy_links": True, "perms": True}, {"copy_dirlinks": True}, {"copy_unsafe_links": True}),
        *({"inplace": True}, {"update": True}, {"existing": True}, {"backup": True, "suffix": ".old"}),
        *({"_extra": ["--archive", "--fuzzy"]}, {"_extra": ["--delay-updates"], "perms": True}, {"times": False}),
        *({"keep_dirlinks": True, "archive": True}, {"xattrs": True, "archive": True}),
    ]
)


def put(root: bytes, tree: Tree) -> None:
    for path in sorted(tree):
        kind = tree[path].kind
        if kind == "directory":
            os.mkdir(root + path)
        elif kind.startswith("link"):
            os.symlink(b"a" if kind.endswith("directory") else b"nowhere", root + path)
        else:
            with open(root + path, "wb") as file:
                file.write(kind.encode())
    for path in sorted(tree, reverse=True):
        kind, mode, time = tree[path]
        if not kind.startswith("link"):
            os.chmod(root + path, mode)
        os.utime(root + path, (time, time), follow_symlinks=False)
    os.utime(root, (4, 4))


def picture(root: bytes) -> dict[bytes, tuple[int, int, bytes]]:
    """Path → mode with its type, time in seconds, content; of the root, too."""
    found = {}
    for top, directories, files in os.walk(root):
        for name in [b".", *files, *directories]:
            path = os.path.join(top, name)
            status = os.lstat(path)
            content = b""
            time = int(status.st_mtime)
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:
                    content = file.read()
            # what was made or changed by the run, and not given a time, has that of the run
            found[path[len(root) :]] = (status.st_mode, time if time < 1000 else 0, content)
    return found


def tell(inlet: FakeInlet, source: Tree, target: Tree, picked: set[bytes], by_others: bool) -> None:
    """The events of what is to become as it is in the source, with the parents that changed, first. `by_others`: it was
    not the source that changed kinds."""
    changed = set(picked)
    for path in picked:
        for parent in parents_of(path):
            if (source.get(parent) or parent) != (target.get(parent) or parent):
                changed.add(parent)
    for path in sorted(changed):
        old, new = target.get(path), source.get(path)
        if old is not None and (
            new is None or (not by_others and (new.kind == "directory") != (old.kind == "directory"))
        ):
            inlet.change("Delete", b"/" + path + (b"/" if old.kind == "directory" else b""))
        if new is not None:
            etype = "Modify" if old is not None and old.kind == new.kind != "directory" else "Create"
            inlet.change(etype, b"/" + path + (b"/" if new.kind == "directory" else b""))


@settings(max_examples=max(20, settings().max_examples // 4))
@given(
    source=TREES,
    target=TREES,
    data=st.data(),
    options=OPTIONS,
    delete=st.sampled_from([True, True, False]),
    by_others=st.booleans(),
)
def test_a_list_of_names_does_what_a_filter_list_does(
    source: Tree, target: Tree, data: st.DataObject, options: dict[str, object], delete: bool, by_others: bool
) -> None:
    program("rsync")
    everything = sorted(source.keys() | target.keys())
    picked = data.draw(st.sets(st.sampled_from(everything), max_size=6)) if everything else set()
    found = []
    for listed in (False, True):
        box = Path(tempfile.mkdtemp(prefix="listed-property-"))
        try:
            pair = Pair(box)
            put(pair.source, source)
            put(pair.target, target)
            config = pair.config(rsync={**options, "listed": listed}, delete=delete, delay=0)
            inlet = FakeInlet(Rsync(), config, source=pair.source)
            tell(inlet, source, target, picked, by_others)
            inlet.settle()
            inlet.advance(10)  # what could not be done is tried again
            inlet.settle()
            found.append(picture(pair.target))
        finally:
            shutil.rmtree(box)
    assert found[0] == found[1]
