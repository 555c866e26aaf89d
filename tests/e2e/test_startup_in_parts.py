"""A startup in parts with real programs: changes below finished parts arrive while another part has failed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.kit.daemon import Daemon, wait_until
from tests.kit.need import program
from tests.kit.trees import snapshot

if TYPE_CHECKING:
    from pathlib import Path

HELD = """#!/bin/sh
# rsync; with the part `held` it fails once, and begins again only when there is a file `go`
rules=$(mktemp {box}/rules.XXXXXX)
cat > "$rules"
if grep -q '^+ /held/' "$rules"; then
    if [ ! -e {box}/failed ]; then touch {box}/failed; exit 12; fi
    touch {box}/waiting
    while [ ! -e {box}/go ]; do sleep 0.05; done
fi
exec {rsync} "$@" < "$rules"
"""


CONFIG = """sync{{default.rsync, source = "{box}/src", target = "{box}/trg", delay = 0.2, startupProcesses = 3,
    rsync = {{archive = true, binary = "{box}/rsync"}}}}"""


@pytest.mark.row(44)
def test_what_is_done_is_up_to_date_while_the_rest_is_not(tmp_path: Path) -> None:
    for name in ("a", "b", "held"):
        (tmp_path / "src" / name).mkdir(parents=True)
        for number in range(500):
            (tmp_path / "src" / name / str(number)).touch()
    (tmp_path / "trg/held/gone").mkdir(parents=True)
    (tmp_path / "trg/gone").touch()
    wrapper = tmp_path / "rsync"
    wrapper.write_text(HELD.format(box=tmp_path, rsync=program("rsync")))
    wrapper.chmod(0o755)
    source, target = tmp_path / "src", tmp_path / "trg"

    def is_equal() -> bool:
        return snapshot(os.fsencode(source)) == snapshot(os.fsencode(target))

    with Daemon(tmp_path, lua=CONFIG.format(box=tmp_path)) as daemon:
        wait_until((tmp_path / "waiting").exists, f"the held part; it said:\n{daemon.said()}")
        (source / "a/new").write_text("new")
        (source / "held/new").write_text("new")
        (source / "b/0").rename(source / "a/moved")
        wait_until((target / "a/new").exists, f"a change below a finished part; it said:\n{daemon.said()}")
        wait_until((target / "a/moved").exists, f"a move between finished parts; it said:\n{daemon.said()}")
        wait_until(lambda: not (target / "b/0").exists(), "the move's origin to go")
        assert not (target / "gone").exists()
        assert (target / "held/gone").exists()
        assert not (target / "held/new").exists()
        assert "Startup of" not in daemon.said()
        (tmp_path / "go").touch()
        daemon.wait_for("Startup of")
        wait_until(is_equal, f"equal trees; it said:\n{daemon.said()}")
        assert daemon.said().count("etrying startup") == 1
        assert daemon.said().count("recursive startup rsync") == 1
