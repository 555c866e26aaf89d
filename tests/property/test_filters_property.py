"""What is left out is what the real rsync leaves out when it is given the same lines, as at a startup (spec 3.2)."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.need import program

from orchestrator.logic.filters import Filters
from orchestrator_rsync.filterlist import ChangedPath, guarded

if TYPE_CHECKING:
    from pathlib import Path

NAMES = [
    b"a", b"b", b"ab", b".env", b"x.log", b"a-b-b", b"[x]", b"a*b", b"a\\b", b"v.swp", b"node_modules", b"\xff", b"c]",
    b"!x", b"-", b"#b", b"; a", b"+ b",
]  # fmt: skip
PIECES = [
    b"a", b"b", b"ab", b"*", b"**", b"***", b"?", b"/", b"/", b"**/", b"/**", b"/***", b"[ab]", b"[!a]", b"[^x]",
    b"[a-c]",    b"[[:alpha:]]", b"[[:punct:]]", b"[[:foo:]]", b"[]x]", b"[--b]", b"[\\]]", b"[a-", b"[x[:]",
    b"[", b"]", b"\\",
    b"\\*", b"\\\\", b".env", b".log", b"x", b"-", b".sw[op]", b"node_modules", b"\xff", b"!", b" ",
]  # fmt: skip
TREES, LISTS = 3, 40
ANY_NAME = st.binary(min_size=1).map(lambda name: name.replace(b"/", b"").replace(b"\0", b"") or b"x")


def make_tree(rng: random.Random, top: bytes) -> list[bytes]:
    """A random tree; its paths as the filters see them."""
    paths = []
    wanted = [(b"/", 0)]
    while wanted:
        directory, depth = wanted.pop()
        for name in rng.sample(NAMES, 6 if depth else 10):
            path = directory + name
            if depth < 3 and rng.random() < 0.45:
                os.mkdir(top + path)
                wanted.append((path + b"/", depth + 1))
                path += b"/"
            else:
                open(top + path, "wb").close()
            paths.append(path)
    return paths


def some_pattern(rng: random.Random) -> bytes:
    pattern = b"".join(rng.choice(PIECES) for _ in range(rng.randint(1, 5)))
    return b"-" if pattern == b"- " else pattern  # a rule without a pattern: rsync ends with an error, at every startup


def some_filters(rng: random.Random) -> Filters:
    filters = Filters()
    if rng.random() < 0.5:
        for _ in range(rng.randint(0, 3)):
            try:
                filters.append_filter(rng.choice([b"- ", b"+ "]) + some_pattern(rng))
            except ValueError:  # a blank alone is no pattern
                continue
    for _ in range(rng.randint(0, 4)):
        filters.add_exclude(rng.choice([b"", b"", b"", b"", b"- ", b"+ ", b"#", b"; "]) + some_pattern(rng))
    if rng.random() < 0.1:
        filters.add_exclude(b"!")
        filters.add_exclude(b"\n".join([some_pattern(rng), b"", some_pattern(rng)]))
    return filters


def rsync_transfers(top: bytes, filters: Filters) -> set[bytes]:
    """What rsync takes of a tree, called as the action calls it at a startup."""
    if filters.filter_lines():
        option, lines = "--filter=. -", filters.rules()
    else:
        option, lines = "--exclude-from=-", filters.excludes()
    argv = [b"rsync", "-r", "-n", "-8", "--out-format=/%n", option, top + b"/", top + b".none/"]
    run = subprocess.run(argv, input=b"\n".join(lines), capture_output=True, check=True)
    return {line for line in run.stdout.split(b"\n") if line and line != b"/./"}


def play(seed: int, top: Path) -> None:
    rng = random.Random(seed)
    tree = os.fsencode(top / str(seed))
    os.mkdir(tree)
    paths = make_tree(rng, tree)
    for _ in range(LISTS):
        filters = some_filters(rng)
        if not filters.rules():
            continue
        ours = {path for path in paths if not filters.excludes_path(path)}
        assert ours == rsync_transfers(tree, filters), f"seed {seed}: {filters.filter_lines()}, {filters.excludes()}"


@pytest.mark.parametrize("seed", range(TREES))
def test_what_is_left_out_is_what_rsync_leaves_out(seed: int, tmp_path: Path) -> None:
    program("rsync")
    play(seed, tmp_path)


def test_random_lists_mean_what_they_mean_to_rsync(tmp_path: Path) -> None:
    program("rsync")
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")
    play(seed, tmp_path)


def names_in(top: bytes) -> set[bytes]:
    return {
        os.path.join(directory, name)[len(top) :]
        for directory, directories, files in os.walk(top)
        for name in directories + files
    }


def delete(seed: int, top: Path) -> None:
    """Directories went from the source: a batch leaves on the target what a full run would have left."""
    rng = random.Random(seed)
    kept, source, batched, full = (os.fsencode(top / f"{seed}-{name}") for name in ("kept", "src", "batched", "full"))
    os.mkdir(kept)
    gone = [path for path in make_tree(rng, kept) if path.endswith(b"/") and path.count(b"/") == 2]
    for _ in range(6):
        filters = some_filters(rng)
        whole = [path for path in gone if not filters.excludes_path(path)]
        rules = filters.rules()
        if not whole or not rules:
            continue
        for tree in (source, batched, full):
            shutil.rmtree(tree, ignore_errors=True)
            shutil.copytree(kept, tree)
        for path in whole:
            shutil.rmtree(source + path)
        entries = guarded([ChangedPath(path, whole=True) for path in whole], rules)
        runs = [
            (batched, b"\0".join(entries), ["--force", "--from0", "--include-from=-", "--exclude=*"]),
            (full, b"\n".join(rules), ["--filter=. -"]),
        ]
        for target, lines, options in runs:
            argv = [b"rsync", "-lt", "-r", "--delete", "--ignore-errors", *options, source + b"/", target + b"/"]
            subprocess.run(argv, input=lines, check=True, capture_output=True)
        assert names_in(batched) == names_in(full), f"seed {seed}: {rules}, {whole}"


@pytest.mark.parametrize("seed", range(TREES))
def test_a_batch_deletes_what_a_full_run_would_delete(seed: int, tmp_path: Path) -> None:
    program("rsync")
    delete(seed, tmp_path)


@given(name=ANY_NAME, other=ANY_NAME)
def test_a_name_without_wildcards_matches_itself_alone(name: bytes, other: bytes) -> None:
    filters = Filters()
    plain = name.translate(None, b"*?[\r\n") or b"x"
    filters.add_exclude(b"- " + plain)
    assert filters.excludes_path(b"/" + plain)
    assert filters.excludes_path(b"/d/" + plain + b"/below")
    assert filters.excludes_path(b"/" + other) == (other == plain)
