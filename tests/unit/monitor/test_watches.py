"""The tree of names behind the watches."""

from __future__ import annotations

from orchestrator.monitor.watches import MISSING, Watches


def test_renaming_a_directory_moves_the_paths_of_all_below_it() -> None:
    watches = Watches()
    top = watches.add(1, None, b"/src")
    a = watches.add(2, top, b"a")
    watches.add(3, a, b"\xff\n")
    assert watches.path_of(3) == b"/src/a/\xff\n/"
    watches.move(a, top, b"z")
    assert watches.path_of(3) == b"/src/z/\xff\n/"
    assert watches.all_paths() == [b"/src/", b"/src/z/", b"/src/z/\xff\n/"]
    assert watches.child(top, b"a") is None


def test_dropping_a_directory_gives_the_watches_of_all_below_it() -> None:
    watches = Watches()
    top = watches.add(1, None, b"/src")
    a = watches.add(2, top, b"a")
    watches.add(3, a, b"b")
    watches.add(MISSING, a, b"c")
    assert sorted(watches.drop(a)) == [2, 3]
    assert watches.path_of(3) is None
    assert not watches.idle
    assert watches.all_paths() == [b"/src/"]


def test_the_root_of_all_is_a_source_like_any_other() -> None:
    watches = Watches()
    top = watches.add(1, None, b"")
    watches.add(2, top, b"etc")
    assert watches.all_paths() == [b"/", b"/etc/"]


def test_a_tree_may_be_deeper_than_python_recurses() -> None:
    watches = Watches()
    node = top = watches.add(1, None, b"/src")
    for wd in range(2, 5000):
        node = watches.add(wd, node, b"d")
    assert watches.path(node) == b"/src/" + b"d/" * 4998
    assert len(watches.drop(top)) == 4999
