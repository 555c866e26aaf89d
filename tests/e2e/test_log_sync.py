"""Whose line it is, where there are several syncs (setting `logSync`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kit.daemon import Daemon

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("is_set", [True, False])
def test_lines_of_a_sync_and_of_its_transfers_begin_with_its_name(tmp_path: Path, is_set: bool) -> None:
    (tmp_path / "rsync").write_text("#!/bin/sh\ncat >/dev/null\necho 'a complaint' >&2\nprintf 'without end' >&2\n")
    (tmp_path / "rsync").chmod(0o755)
    syncs = ""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / f"{name}.trg").mkdir()
        syncs += f"""sync{{default.rsync, name = "{name}", source = "{tmp_path}/{name}",
            target = "{tmp_path}/{name}.trg", delay = 0, rsync = {{binary = "{tmp_path}/rsync"}}}}\n"""
    with Daemon(tmp_path, lua=f"settings{{logSync = {str(is_set).lower()}}}\n{syncs}") as daemon:
        daemon.wait_for("Startup of", times=2)
        (tmp_path / "two/f").touch()
        daemon.wait_for("Finished a list after exitcode: 0")
        said = daemon.said()
    prefix = "[two] " if is_set else ""
    assert f"Normal: {prefix}Calling rsync with filter-list of new/modified files/dirs\n/f\n/\n" in said
    assert f"Normal: {prefix}Finished a list after exitcode: 0\n" in said
    assert f"Normal: {'[one] ' if is_set else ''}recursive startup rsync: {tmp_path}/one/" in said
    if is_set:
        for name in ("one", "two"):
            assert f" Normal: [{name}] a complaint\n" in said
            assert f" Normal: [{name}] without end\n" in said
    else:
        assert "\na complaint\nwithout end" in said
        assert "[one]" not in said
        assert "[two]" not in said
