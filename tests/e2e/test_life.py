"""The life of the process (spec 1): detaching, pid file, signals, exit statuses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.daemon import Daemon, confined, wait_until
from tests.kit.need import missing
from tests.kit.trees import text_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def box(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "trg").mkdir()
    (tmp_path / "stub").write_text(
        f"#!/bin/sh\ncat >/dev/null; echo run >>{tmp_path}/runs; while [ -e {tmp_path}/hold ]; do sleep 0.05; done\n"
    )
    (tmp_path / "stub").chmod(0o755)
    return tmp_path


def config(box: Path, settings: str = "") -> str:
    return f"""settings{{{settings}}}
    sync{{default.rsync, source = "{box}/src", target = "{box}/trg", delay = 0, rsync = {{binary = "{box}/stub"}}}}"""


def runs(box: Path) -> int:
    try:
        return (box / "runs").read_text().count("run")
    except FileNotFoundError:
        return 0


SLOW_MONITOR = """
import os, time
from orchestrator.api import Monitor, MonitorKind, hookimpl

class Slow(Monitor):
    def __init__(self):
        self.reading, self.writing = os.pipe()
    def fileno(self):
        return self.reading
    def watch(self, root, progress):
        end = time.monotonic() + 20
        while not os.path.exists("{until}"):
            progress(1)
            if time.monotonic() > end:
                raise RuntimeError("{until} does not come")
            time.sleep(0.01)
    def unwatch(self, root):
        pass
    def read(self):
        return []
    def watched(self):
        return []
    def lost_roots(self):
        return []
    returned_roots = lost_roots
    def close(self):
        os.close(self.reading)
        os.close(self.writing)

@hookimpl
def orchestrator_monitors():
    return [MonitorKind("slow", lambda mode, wants, log: Slow())]
"""


def test_a_startup_does_not_wait_until_the_trees_of_later_syncs_are_watched(box: Path) -> None:
    text = f"""
    sync {{ source = "{box}/src", onStartup = "touch {box}/one" }}
    sync {{ source = "{box}/src", onStartup = "touch {box}/two", monitor = "slow" }}
    """
    with Daemon(box, lua=text, plugins={"slow": SLOW_MONITOR.replace("{until}", f"{box}/one")}) as daemon:
        wait_until((box / "two").exists, "the second startup")
    assert "Error" not in daemon.said()


def test_term_while_trees_are_watched_waits_for_the_startups_that_run(box: Path) -> None:
    (box / "hold").touch()
    text = config(box) + f'sync {{ source = "{box}/src", onStartup = "touch {box}/two", monitor = "slow" }}'
    with Daemon(box, lua=text, plugins={"slow": SLOW_MONITOR.replace("{until}", f"{box}/never")}) as daemon:
        wait_until(lambda: runs(box) == 1, "the first startup")
        daemon.process.terminate()
        daemon.wait_for("waiting for 1 more child processes.")
        (box / "hold").unlink()
        assert daemon.wait() == 143
    assert "Startup of" in daemon.said()
    assert not (box / "two").exists()


def test_term_waits_for_the_transfer_and_starts_nothing_more(box: Path) -> None:
    (box / "hold").write_text("")
    with Daemon(box, lua=config(box)) as daemon:
        wait_until(lambda: runs(box) == 1, "the startup")
        (box / "src/f").write_text("")
        daemon.process.send_signal(signal.SIGTERM)
        daemon.wait_for("--- TERM signal, fading ---")
        daemon.wait_for("waiting for 1 more child processes.")
        daemon.process.send_signal(signal.SIGTERM)
        (box / "hold").unlink()
        assert daemon.wait() == 128 + signal.SIGTERM
        assert runs(box) == 1


FAILING = """#!/bin/sh
cat >/dev/null
test -e {box}/well && exit 0
touch {box}/well
echo run >>{box}/runs
{how}
exit {code}
"""


@pytest.mark.parametrize(
    ("code", "signum", "is_slow"),
    [
        (1, signal.SIGTERM, True),
        (20, signal.SIGHUP, True),
        (20, signal.SIGINT, False),
        (1, signal.SIGTERM, False),
        (1, signal.SIGHUP, False),
    ],
)
def test_a_startup_that_fails_as_it_is_told_to_end_changes_nothing_of_that(
    box: Path, code: int, signum: signal.Signals, is_slow: bool
) -> None:
    """Ctrl-C reaches the transfers, too; and a startup that was cut off said 255, or ended a daemon by HUP."""
    # not slow: both are known in the same turn of the loop, or one just before the other
    how = f"while [ -e {box}/hold ]; do sleep 0.05; done" if is_slow else f"kill -{signum} $PPID"
    (box / "stub").write_text(FAILING.format(box=box, how=how, code=code))
    (box / "hold").touch()
    with Daemon(box, lua=config(box)) as daemon:
        if is_slow:
            wait_until(lambda: runs(box) == 1, "the startup")
            daemon.process.send_signal(signum)
            daemon.wait_for("waiting for 1 more child processes.")
            (box / "hold").unlink()
        if signum == signal.SIGHUP:
            daemon.wait_for("Startup of")
        else:
            assert daemon.wait() == 128 + signum


def test_int_leaves_with_130(box: Path) -> None:
    with Daemon(box, lua=config(box)) as daemon:
        daemon.wait_for("Startup of")
        daemon.process.send_signal(signal.SIGINT)
        daemon.wait_for("--- INT signal, fading ---")
        assert daemon.wait() == 130


def test_hup_reads_the_config_again_in_the_same_process(box: Path) -> None:
    with Daemon(box, lua=config(box)) as daemon:
        daemon.wait_for("Startup of")
        (box / "new").mkdir()
        (box / "config.lua").write_text(config(box).replace(f"{box}/trg", f"{box}/new"))
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for("--- HUP signal, resetting ---")
        daemon.wait_for(f"{box}/new/ finished.")
        assert runs(box) == 2


@pytest.mark.row(9)
def test_a_config_that_no_longer_loads_leaves_the_old_one_at_work(box: Path) -> None:
    with Daemon(box, lua=config(box)) as daemon:
        daemon.wait_for("Startup of")
        (box / "config.lua").write_text("sync{ this is no Lua")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for("error loading")
        (box / "src/f").write_text("")
        daemon.wait_for("Finished a list")


def test_a_storm_of_hups_ends_in_one_running_daemon(box: Path) -> None:
    with Daemon(box, lua=config(box)) as daemon:
        daemon.wait_for("Startup of")
        for _ in range(30):
            daemon.process.send_signal(signal.SIGHUP)
        before = runs(box)
        (box / "src/f").write_text("")
        wait_until(lambda: runs(box) > before, "another run")
        daemon.wait_for_watches(1)


def test_terminate_in_lua_leaves_at_once(box: Path) -> None:
    text = config(box) + "\nalarm(now() + 0.1, function() terminate(9) end)"
    with Daemon(box, lua=text) as daemon:
        assert daemon.wait() == 9


def test_an_error_in_a_callback_is_told_as_lsyncd_does(box: Path) -> None:
    text = f"""sync{{source = "{box}/src", action = function(inlet)
    local e = inlet.getEvent()
    e.nosuch()
end}}"""
    with Daemon(box, lua=text) as daemon:
        daemon.wait_for_watches(1)
        (box / "src/f").write_text("")
        assert daemon.wait() == 255
        assert 'config.lua:3: event does not have field "nosuch"' in daemon.said()
        assert "Error: in Lua: " in daemon.said()
        assert "Backtrace 1 :" in daemon.said()
        assert "Traceback" not in daemon.said()


def run(box: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT), str(ROOT / "plugins")])
    return subprocess.run(
        confined(box, sys.executable, "-m", "orchestrator.cli", *arguments),
        cwd=box,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )


@pytest.mark.row(23)
def test_a_daemon_detaches_and_shows_as_lsyncd(box: Path) -> None:
    settings = f'pidfile = "{box}/pid", logfile = "{box}/log", statusFile = "{box}/status", statusInterval = 0'
    (box / "config.lua").write_text(config(box, settings))
    done = run(box, "config.lua")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("Normal: --- Startup, daemonizing ---\n")
    pid = int((box / "pid").read_text())
    try:
        assert os.path.samefile(f"/proc/{pid}/cwd", "/")
        assert os.getsid(pid) == pid
        assert Path(f"/proc/{pid}/comm").read_text() == "lsyncd\n"
        assert [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in range(3)] == ["/dev/null"] * 3
        wait_until(lambda: "Startup of" in (box / "log").read_text(), "the startup in the log")
        second = run(box, "config.lua")
        assert second.returncode == 255
        assert f"Error: Cannot lock pidfile; '{box}/pid'" in second.stderr
        assert int((box / "pid").read_text()) == pid
        wait_until(lambda: "There are 0 delays" in text_of(box / "status"), "the status file")
    finally:
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not Path(f"/proc/{pid}").exists(), "its end")
    assert not (box / "pid").exists()
    assert (box / "log").read_text().endswith("Normal: --- TERM signal, fading ---\n")


def test_a_relative_log_file_stays_where_it_is_when_a_daemon_resets(box: Path) -> None:
    (box / "config.lua").write_text(config(box, f'pidfile = "{box}/pid", logfile = "log"'))
    assert run(box, "config.lua").returncode == 0
    pid = int((box / "pid").read_text())
    try:
        wait_until(lambda: "Startup of" in text_of(box / "log"), "the startup in the log")
        os.kill(pid, signal.SIGHUP)
        wait_until(lambda: text_of(box / "log").count("Startup of") == 2, "another one in the same log")
    finally:
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not Path(f"/proc/{pid}").exists(), "its end")


@pytest.mark.row(34)
def test_relative_paths_of_a_daemon_count_from_where_it_was_started(box: Path) -> None:
    """rsync is a stub: the real one would run with --delete in /, were it wrong."""
    stub = box / "rsync"
    stub.write_text(
        f'#!/bin/sh\ncd /; for last; do :; done; realpath -m "$last" >>{box}/targets\necho "$@" >>{box}/words\n'
    )
    stub.chmod(0o755)
    (box / "layer3").mkdir()
    (box / "patterns").write_text("*.o")
    (box / "config.lua").write_text(f"""
        settings{{ pidfile = "pid", logfile = "log", statusFile = "status", statusInterval = 0, insist = true }}
        sync{{ default.rsync, source = "src", target = "./sub/.", excludeFrom = "patterns",
               rsync = {{ binary = "./rsync", password_file = "patterns" }} }}
        sync{{ default.direct, source = "src", target = "trg/", rsync = {{ binary = "{stub}" }} }}
        sync{{ source = "src", target = "layer3", onStartup = "echo ^target >>{box}/targets" }}
        sync{{ source = "src", target = "no directory", onStartup = "echo ^target >>{box}/targets" }}
    """)
    assert run(box, "config.lua").returncode == 0
    pid = int((box / "pid").read_text())
    expected = [f"{box}/sub", f"{box}/trg", f"{box}/layer3", "no directory"]

    def targets() -> list[str]:
        return text_of(box / "targets").splitlines()

    try:
        wait_until(lambda: len(targets()) == 4, "the startups")
        assert sorted(targets()) == sorted(expected)
        wait_until(lambda: "Lsyncd status report" in text_of(box / "status"), "the status file")
        os.kill(pid, signal.SIGHUP)
        wait_until(lambda: len(targets()) == 8, "the startups after the reset")
        assert sorted(targets()) == sorted(2 * expected)
        words = text_of(box / "words")
        assert words.count("--exclude-from=- ") == words.count(f" --password-file={box}/patterns ") == 2
        assert os.path.samefile(f"/proc/{pid}/cwd", "/")
    finally:
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not Path(f"/proc/{pid}").exists(), "its end")


def test_a_reset_reads_files_that_a_toml_config_includes_meanwhile(box: Path) -> None:
    entry = '[[sync]]\naction = "native"\nname = "NAME"\nsource = "BOX/src"\ntarget = "BOX/NAME"\ndelay = 0\n'
    (box / "conf.d").mkdir()
    (box / "src/f").write_text("f")
    (box / "conf.d/a.toml").write_text(entry.replace("BOX", str(box)).replace("NAME", "a"))
    with Daemon(box, toml='include = ["conf.d/*.toml"]') as daemon:
        wait_until(lambda: text_of(box / "a/f") == "f", "the first target")
        (box / "conf.d/b.toml").write_text("[[sync]]\nsorce = 1")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for(f"{box}/conf.d/b.toml:2: sync[1].sorce: unknown key")
        (box / "src/f").write_text("still mirrored")
        wait_until(lambda: text_of(box / "a/f") == "still mirrored", "the old config at work")
        (box / "conf.d/b.toml").write_text(entry.replace("BOX", str(box)).replace("NAME", "b"))
        daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: text_of(box / "b/f") == "still mirrored", "the second target")


def test_included_files_that_others_may_write_are_warned_of_or_refused(box: Path) -> None:
    if os.geteuid() != 0:
        missing("only root is warned")
    (box / "config.toml").write_text('include = ["conf.d/*.toml"]\n[settings]\nnodaemon = true\n')
    (box / "conf.d").mkdir()
    for name in ("a", "b"):
        (box / f"conf.d/{name}.toml").write_text("")
    (box / "conf.d").chmod(0o777)
    assert run(box, "config.toml").stderr.count(f"Warn: {box}/conf.d may be written by others") == 1
    assert f"Error: {box}/conf.d may be written by others" in run(box, "-strict", "config.toml").stderr
    (box / "conf.d").chmod(0o755)
    assert "by others" not in run(box, "-strict", "config.toml").stderr
    (box / "conf.d/b.toml").chmod(0o666)
    assert f"Warn: {box}/conf.d/b.toml may be written by others" in run(box, "config.toml").stderr
    os.chown(box / "conf.d/b.toml", 54321, -1)
    refused = run(box, "-strict", "config.toml")
    assert (refused.returncode, refused.stderr.count("Error: ")) == (255, 1)
    assert f"Error: {box}/conf.d/b.toml belongs to user 54321, and runs as root" in refused.stderr


def test_a_config_that_others_may_write_is_warned_of_or_refused(box: Path) -> None:
    if os.geteuid() != 0:
        missing("only root is warned")
    (box / "config.lua").write_text("settings{nodaemon = true}")
    (box / "config.lua").chmod(0o666)
    assert f"Warn: {box}/config.lua may be written by others" in run(box, "config.lua").stderr
    refused = run(box, "-strict", "config.lua")
    assert (refused.returncode, refused.stderr.count("Error: ")) == (255, 1)
    assert f"Error: {box}/config.lua may be written by others" in refused.stderr


PARTS = {
    "dofile": 'dofile("part.lua")',
    "loadfile": 'loadfile("part.lua")()',
    "require": 'package.path = "?.lua"; require "part"',
    "a module in C": 'package.cpath = "?.lua"; require "part"',
    "excludeFrom": 'sync{default.rsync, source = ".", target = "/nowhere", excludeFrom = "part.lua"}',
    "filterFrom": 'sync{default.rsync, source = ".", target = "/nowhere", filterFrom = "part.lua"}',
    "a config of another": "",
    "in a directory of another": "",
}


@pytest.mark.parametrize("version", ["5.1", "5.3"])
@pytest.mark.parametrize("part", PARTS)
def test_strict_looks_at_all_that_is_run(box: Path, part: str, version: str) -> None:
    if os.geteuid() != 0:
        missing("only root is refused")
    (box / "sub").mkdir()
    (box / "sub/config.lua").write_text(f"settings{{nodaemon = true}}\n{PARTS[part]}\nprint('loaded')")
    (box / "sub/part.lua").write_text("print('run')")
    spoilt = {"a config of another": "sub/config.lua", "in a directory of another": "sub"}.get(part, "sub/part.lua")
    os.chown(box / spoilt, 54321, -1)
    refused = run(box / "sub", "-strict", "-lua", version, "config.lua")
    assert refused.returncode == 255
    assert f"{box / spoilt} belongs to user 54321, and " in refused.stderr
    assert "runs as root; -strict refuses that." in refused.stderr
    assert refused.stderr.count("Error: ") == 1
    assert refused.stdout == ""
    os.chown(box / spoilt, 0, -1)
    assert "-strict" not in run(box / "sub", "-strict", "-lua", version, "config.lua").stderr


COMMAND_LINE = {
    "unknown option": (["-nosuch"], 255, "Error: unknown command line option -nosuch\n"),
    "two dashes": (["--nosuch"], 255, "Error: unknown command line option --nosuch\n"),
    "missing value": (["-log"], 255, "Error: log needs 1 arguments\n"),
    "missing values": (["-rsyncssh", "a"], 255, "Error: rsyncssh needs 3 arguments\n"),
    "category": (["-log", "bad"], 255, "Error: 'bad' is not a valid logging category\n"),
    "two configs": (["a", "b"], 255, "Error: There can only be one config file in the command line.\n"),
    "config and sync": (
        ["a", "-rsync", "x", "y"],
        255,
        "Error: There cannot be command line syncs and a config file together.\n",
    ),
    "no file": (["nofile"], 255, "Error: Cannot find config file at 'nofile'.\n"),
    "version": (["-version"], 0, ""),
    "help": (["-help"], 255, ""),
    "nothing": ([], 255, ""),
    "no sync": (["empty.lua"], 255, "Error: Nothing to watch!\n"),
}


@pytest.mark.parametrize("case", COMMAND_LINE)
def test_what_the_command_line_answers(box: Path, case: str) -> None:
    arguments, status, message = COMMAND_LINE[case]
    (box / "empty.lua").write_text("settings{nodaemon = true}")
    done = run(box, *arguments)
    assert (done.returncode, done.stderr) == (status, message)
