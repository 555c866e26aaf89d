"""Functions of `lsyncd.*` and of the inlet that lsyncd 2.2.3 has not, so that no table compares them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.kit.daemon import Daemon

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """
lsyncd.configure("anything")
lsyncd.dump({{a = {{b = 1}}}})
lsyncd.log("Normal", "said by lsyncd.log")
local inlet = sync{{source = "{box}/src", target = "{box}/trg", name = "mine", delay = 0,
    action = function(inlet)
        local s = inlet.getSync()
        log("Normal", "sync ", s.name, " ", s.source, " ", type(s.config), " ", s.inlet == inlet)
        inlet.discardEvent((inlet.getEvent()))
        local pid = lsyncd.exec("sleep", "1000")
        log("Normal", "killed ", lsyncd.kill(pid, 9), " ", lsyncd.kill(pid, 999))
        alarm(lsyncd.now() + 0.1, function(due, extra) log("Normal", extra) lsyncd.terminate(7) end, "due")
    end}}
"""


def test_what_only_newer_configs_call(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    with Daemon(tmp_path, lua=CONFIG.format(box=tmp_path)) as daemon:
        daemon.wait_for_watches(1)
        (tmp_path / "src/f").write_text("")
        assert daemon.wait() == 7
        said = daemon.said()
        assert "Normal: said by lsyncd.log" in said
        assert "a = \n  b = 1\n" in said
        assert f"Normal: sync mine {tmp_path}/src/ table (true)" in said
        assert "Normal: killed (true) (false)" in said
        assert "Normal: due" in said
