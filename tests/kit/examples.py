"""What the tests of the examples in configs/ share: a directory to run them in, and waiting for what is mirrored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.kit.daemon import ROOT, wait_until

if TYPE_CHECKING:
    from pathlib import Path

CONFIGS = ROOT / "configs"


def make_demo(place: Path) -> Path:
    """The directory that all examples keep to, with a file in its source."""
    (place / "source" / "d").mkdir(parents=True)
    (place / "source" / "d" / "before").write_text("there before the start")
    (place / "target").mkdir()
    return place


def arrives(path: Path, text: str) -> None:
    """Wait until the file holds the text."""
    wait_until(lambda: path.is_file() and path.read_text() == text, f"{path} to hold {text!r}")


def goes(path: Path) -> None:
    """Wait until there is nothing of that name."""
    wait_until(lambda: not path.exists(), f"{path} to go")


def mirrors(source: Path, target: Path) -> None:
    """Make a change of each kind, and wait until it has arrived."""
    (source / "new").write_text("one")
    (source / "tree" / "deep").mkdir(parents=True)
    (source / "tree" / "deep" / "it's new").write_text("two")
    arrives(target / "new", "one")
    arrives(target / "tree" / "deep" / "it's new", "two")

    (source / "new").write_text("changed")
    arrives(target / "new", "changed")

    (source / "tree").rename(source / "wood")
    arrives(target / "wood" / "deep" / "it's new", "two")
    goes(target / "tree")

    (source / "new").unlink()
    goes(target / "new")
