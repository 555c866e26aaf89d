"""batchSizeLimit: small files do not wait for large ones (spec 4.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kit.daemon import Daemon, wait_until
from tests.kit.need import program

if TYPE_CHECKING:
    from pathlib import Path

# A run whose list names a large file waits for a sign, as one that takes long would.
RSYNC = """\
#!/bin/sh
list="{box}/list-$$"
case " $* " in *" --include-from=- "*) cat >"$list" ;; *) exec rsync "$@" ;; esac
if grep -q large "$list"; then
    : >"{box}/begun-$(tr '\\0' '\\n' <"$list" | grep -o 'large[0-9]*')"
    while ! test -e "{box}/go"; do sleep 0.05; done
fi
exec rsync "$@" <"$list"
"""

LIMIT = 100_000


class Box:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.source = path / "source"
        self.target = path / "target"
        self.source.mkdir()
        self.target.mkdir()
        script = path / "rsync"
        script.write_text(RSYNC.format(box=path))
        script.chmod(0o755)

    def daemon(self, processes: int) -> Daemon:
        lua = f"""
            sync{{
                default.rsync, source = "{self.source}", target = "{self.target}", delay = 0.5,
                batchSizeLimit = {LIMIT}, maxProcesses = {processes}, rsync = {{ binary = "{self.path}/rsync" }},
            }}
        """
        return Daemon(self.path, "-log", "Exec", lua=lua)

    def write(self, name: str, size: int) -> None:
        (self.source / name).write_bytes(b"x" * size)

    def has(self, name: str) -> bool:
        source, target = self.source / name, self.target / name
        return target.exists() and target.read_bytes() == source.read_bytes()

    def begun(self) -> set[str]:
        """The large files whose transfer has begun."""
        return {path.name.removeprefix("begun-") for path in self.path.glob("begun-*")}


@pytest.fixture
def box(tmp_path: Path) -> Box:
    program("rsync")
    return Box(tmp_path)


def test_small_files_travel_beside_large_ones(box: Box) -> None:
    with box.daemon(processes=3) as daemon:
        daemon.wait_for("Startup of")
        for number in range(2):
            box.write(f"large{number}", LIMIT + 1)
        wait_until(lambda: box.begun() == {"large0", "large1"}, "both large ones to begin, each in a run of its own")
        for number in range(20):
            box.write(f"small{number}", LIMIT)
        wait_until(lambda: all(box.has(f"small{number}") for number in range(20)), "the small ones to arrive")
        (box.source / "small0").unlink()
        wait_until(lambda: not (box.target / "small0").exists(), "the deletion to arrive")
        assert not (box.target / "large0").exists()
        assert not (box.target / "large1").exists()
        (box.path / "go").touch()
        wait_until(lambda: box.has("large0") and box.has("large1"), "the large ones to arrive")


def test_more_large_ones_than_processes_wait_their_turn(box: Box) -> None:
    with box.daemon(processes=2) as daemon:
        daemon.wait_for("Startup of")
        for number in range(4):
            box.write(f"large{number}", LIMIT + 1)
        daemon.wait_for("Maximum processes for sync reached. Delaying large transfer for sync: ")
        wait_until(lambda: len(box.begun()) == 2, "as many as may to begin")
        (box.path / "go").touch()
        wait_until(lambda: all(box.has(f"large{number}") for number in range(4)), "all to arrive")


def test_a_large_file_that_goes_on_growing_is_whole_in_the_end(box: Box) -> None:
    with box.daemon(processes=2) as daemon:
        daemon.wait_for("Startup of")
        box.write("large0", LIMIT + 1)
        wait_until(lambda: box.begun() == {"large0"}, "its transfer to begin")
        box.write("large0", 3 * LIMIT)
        box.write("small", 1)
        wait_until(lambda: box.has("small"), "the small one to arrive")
        (box.path / "go").touch()
        wait_until(lambda: box.has("large0"), "the large one to arrive as it is now")
