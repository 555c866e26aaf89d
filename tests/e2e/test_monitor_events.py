"""What real kernel events become, seen by a layer-1 config: each change once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.kit.daemon import Daemon, wait_until

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """
sync{{source = "{box}/src", delay = 0.1, onMove = true, action = function(inlet)
    local list = inlet.getEvents()
    local file = io.open("{box}/events", "a")
    for _, event in ipairs(list.getList()) do file:write(event.etype, " /", event.path, "\\n") end
    file:close()
    spawn(list, "true")
end}}
"""


def test_a_directory_that_goes_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "src/d/e").mkdir(parents=True)
    (tmp_path / "src/d/e/f").write_text("")
    with Daemon(tmp_path, lua=CONFIG.format(box=tmp_path)) as daemon:
        daemon.wait_for_watches(3)
        (tmp_path / "src/d/e/f").unlink()
        (tmp_path / "src/d/e").rmdir()
        (tmp_path / "src/d").rmdir()
        (tmp_path / "src/last").write_text("")
        events = tmp_path / "events"
        wait_until(lambda: events.exists() and "/last" in events.read_text(), "the last event")
        told = [line for line in events.read_text().splitlines() if line.startswith("Delete")]
        assert told == ["Delete /d/e/f", "Delete /d/e/", "Delete /d/"]
