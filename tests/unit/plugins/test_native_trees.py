"""Seeded random trees: after a startup or a batch rsync finds nothing left to do."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from orchestrator.api import Change
from orchestrator_native.engine import MirrorSpec, mirror, update
from orchestrator_native.memory import Memory
from tests.kit.mirrors import Tree, differences

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("seed", range(12))
def test_rsync_finds_nothing_to_do(tmp_path: Path, seed: int) -> None:
    base = os.fsencode(tmp_path)
    source, target = Tree(base + b"/source", seed), base + b"/target"
    trees, memory, stop = MirrorSpec(source.root, target, threads=3), Memory(), threading.Event()
    source.grow()
    assert mirror(trees, memory, stop, deletes=True).lines() == []
    assert differences(source.root, target) == []
    for step in range(3):
        Tree(target, seed + step).change(15)
        assert mirror(trees, memory, stop, deletes=True).lines() == []
        assert differences(source.root, target) == [], f"startup {step}"
        source.changes.clear()
        source.change(15)
        if step % 2:
            source.random.shuffle(source.changes)
        report = update(trees, [Change(*change) for change in source.changes], memory, stop, deletes=True)
        assert report.lines() == []
        assert differences(source.root, target) == [], source.changes
    assert not [name for _, _, files in os.walk(target) for name in files if b".lsyncd-" in name]
