"""The life of a daemon turn by turn: all of it is real but its machine, so an hour of its time takes no time."""

from __future__ import annotations

import gc
import os
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from orchestrator.api import Change
from orchestrator.config.lua.loader import LuaConfig
from orchestrator.sync.sync import Sync
from tests.kit.turns import TERMINATED, Script, TurnedDaemon, turn

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.process.dry import Started

DIED = 255


def sync(box: Path, name: str = "one", more: str = "", action: str = "default.rsync") -> str:
    """A sync of a source of its own with a target on a host of its own."""
    (box / name).mkdir(exist_ok=True)
    return f'sync{{{action}, name = "{name}", source = "{box}/{name}", target = "{name}:/trg", {more}}}\n'


def runs(daemon: TurnedDaemon) -> list[str]:
    """Of each rsync that runs: `NAME all` for one over everything, else `NAME` and its paths."""
    found = []
    for started in daemon.running:
        name = started.child.argv[-1].partition(b":")[0].decode()
        paths = [path for path in (started.stdin or b"").decode().split("\0") if path and not path.endswith("/")]
        found.append(" ".join([name, *paths] if started.stdin is not None else [name, "all"]))
    return found


# ---- the start ----------------------------------------------------------------------------------


def test_a_startup_then_what_changes_after_its_delay(tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        assert runs(daemon) == ["one all"]
        assert daemon.plugin.states == {"one": "starting"}
        daemon.change(f"{tmp_path}/one/f")
        yield 60
        assert runs(daemon) == ["one all"], "what changes waits for the startup"
        daemon.end(0)
        yield
        assert runs(daemon) == ["one /f"]
        daemon.end(0)
        yield
        assert daemon.plugin.states == {"one": "in sync"}
        daemon.change(f"{tmp_path}/one/g")
        yield 14
        daemon.change(f"{tmp_path}/one/h")
        assert runs(daemon) == []
        yield 1
        assert runs(daemon) == ["one /g /h"], "what comes meanwhile goes along"

    assert turn(tmp_path, script, sync(tmp_path)) == TERMINATED


def test_each_change_is_transferred_at_its_own_time(tmp_path: Path) -> None:
    functions = """
    sync{source = "BOX", delay = 5, maxProcesses = 2, onModify = function(event)
        spawn(event, "/bin/transfer", event.path)
    end}""".replace("BOX", str(tmp_path))

    def script(daemon: TurnedDaemon) -> Script:
        daemon.change(f"{tmp_path}/f")
        yield 1
        daemon.change(f"{tmp_path}/g")
        yield 60
        first, second = daemon.running
        assert second.child.started - first.child.started == pytest.approx(1)

    assert turn(tmp_path, script, functions) == TERMINATED


def test_a_change_that_a_hook_adds_is_transferred_after_its_delay(tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end(0)
        daemon.plugin.on_state = lambda inlet, state: state == "in sync" and inlet.create(b"/f")
        now = daemon.clock.now()
        yield 60
        assert runs(daemon) == ["one /f"]
        assert daemon.running[0].child.started - now == pytest.approx(15)

    assert turn(tmp_path, script, sync(tmp_path)) == TERMINATED


def test_startups_in_the_order_of_the_syncs(tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        assert runs(daemon) == ["b all", "a all", "c all"]
        assert [line for line in daemon.lines() if "recursive" not in line] == ["--- Startup ---"]

    assert turn(tmp_path, script, "".join(sync(tmp_path, name) for name in "bac")) == TERMINATED


def test_a_startup_that_fails_ends_the_daemon_without_insist(tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end(12)

    assert turn(tmp_path, script, sync(tmp_path)) == DIED


def test_with_insist_it_is_tried_again_and_nothing_passes_it(tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.change(f"{tmp_path}/one/f")
        for pause in (15, 30, 60):
            daemon.end(12)
            yield pause - 0.1
            assert runs(daemon) == []
            yield 0.1
            assert runs(daemon) == ["one all"]
        daemon.end(0)
        yield
        assert runs(daemon) == ["one /f"]

    assert turn(tmp_path, script, "settings{insist = true}" + sync(tmp_path)) == TERMINATED


def test_so_many_startups_at_once_in_the_order_of_the_syncs(tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        assert runs(daemon) == ["b all", "a all"]
        daemon.change(f"{tmp_path}/a/f", f"{tmp_path}/c/f")
        daemon.end(0, of="a:")
        yield 20
        assert runs(daemon) == ["b all", "c all", "a /f"], "what a sync in sync transfers is no startup"
        assert daemon.plugin.states["d"] == "starting"
        daemon.end(0, of="a:")
        daemon.end(0, of="b:")
        yield
        assert runs(daemon) == ["c all", "d all"]
        daemon.end(0, of="c:")
        yield
        assert runs(daemon) == ["d all", "c /f"]

    syncs = "".join(sync(tmp_path, name) for name in "bacd")
    assert turn(tmp_path, script, "settings{maxStartups = 2}" + syncs) == TERMINATED


def test_a_startup_that_fails_comes_again_after_those_that_were_not_tried(tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end(0)
        yield
        assert runs(daemon) == ["a all"]
        daemon.end(12)
        yield
        assert runs(daemon) == ["b all"]
        daemon.change(f"{tmp_path}/first/f")
        yield 100
        assert runs(daemon) == ["b all", "first /f"]
        daemon.end(0)
        yield
        assert runs(daemon) == ["first /f", "c all"], "though the one that failed has been due again for long"
        daemon.end(0)
        yield
        daemon.lose(f"{tmp_path}/d/")
        daemon.end(0)
        yield
        assert runs(daemon) == ["a all"], "one without its source keeps nobody waiting"
        daemon.give_back(f"{tmp_path}/d/")
        daemon.end(12)
        yield
        assert runs(daemon) == ["d all"]

    syncs = "".join(sync(tmp_path, name) for name in ("first", *"abcd"))
    assert turn(tmp_path, script, "settings{insist = true, maxStartups = 1}" + syncs) == TERMINATED


def test_a_startup_that_is_held_takes_no_place(tmp_path: Path) -> None:
    def steps(daemon: TurnedDaemon) -> Script:
        yield
        assert runs(daemon) == ["b all"]
        daemon.plugin.allows = lambda argv: True
        yield 5
        assert runs(daemon) == ["b all"], "it waits for a place"
        daemon.end(0)
        yield
        assert runs(daemon) == ["c all"], "it is asked again each second: until then others may go first"
        daemon.end(0)
        yield 1
        assert runs(daemon) == ["a all"]
        daemon.end(0)
        yield 1
        assert runs(daemon) == []
        assert daemon.plugin.states == {"a": "in sync", "b": "in sync", "c": "in sync"}

    def meddle(daemon: TurnedDaemon) -> Script:
        daemon.plugin.allows = lambda argv: not argv[-1].startswith("a:")
        return steps(daemon)

    syncs = "".join(sync(tmp_path, name) for name in "abc")
    assert turn(tmp_path, meddle, "settings{maxStartups = 1}" + syncs) == TERMINATED


@pytest.mark.parametrize("value", ["0", "-1", "'x'", "true"])
def test_max_startups_that_is_no_number_of_syncs(tmp_path: Path, value: str) -> None:
    said: list[TurnedDaemon] = []

    def script(daemon: TurnedDaemon) -> Script:
        said.append(daemon)
        return iter(())

    assert turn(tmp_path, script, f"settings{{maxStartups = {value}}}" + sync(tmp_path)) == DIED
    assert len(said[0].lines("Error")) == 1
    assert "maxStartups" in said[0].lines("Error")[0]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_a_tree_is_being_watched(tmp_path: Path, signum: signal.Signals) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        daemon.plugin.on_watch = lambda root: daemon.send(signum)
        yield from ()

    def meddle(daemon: TurnedDaemon) -> Script:
        steps = script(daemon)
        next(steps, None)
        return steps

    assert turn(tmp_path, meddle, sync(tmp_path)) == 128 + signum


def test_a_group_that_there_is_not_ends_the_start_before_anything_begins(tmp_path: Path) -> None:
    said: list[TurnedDaemon] = []

    def script(daemon: TurnedDaemon) -> Script:
        said.append(daemon)
        return iter(())

    assert turn(tmp_path, script, 'settings{controlGroup = "no such group"}' + sync(tmp_path)) == DIED
    assert said[0].lines() == ['controlGroup: there is no group "no such group".']
    assert said[0].processes.started == []


def test_a_config_that_does_not_load(tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        said.append(daemon)
        yield from ()

    said: list[TurnedDaemon] = []

    def keep(daemon: TurnedDaemon) -> Script:
        said.append(daemon)
        return script(daemon)

    assert turn(tmp_path, keep, "sync{") == DIED
    assert len(said[0].lines("Error")) == 1
    assert "config.lua:1" in said[0].lines("Error")[0]


# ---- a source that goes -------------------------------------------------------------------------


def test_nothing_is_transferred_while_the_source_is_gone_and_everything_when_it_is_back(tmp_path: Path) -> None:
    source = f"{tmp_path}/one/"

    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end(0)
        daemon.change(source + "f")
        daemon.lose(source)
        yield 3600
        assert runs(daemon) == []
        assert daemon.plugin.states == {"one": "suspended"}
        assert daemon.lines("Error") == [f"source {source} of one is gone; waiting for its return."]
        daemon.give_back(source)
        yield
        assert f"source {source} of one is back." in daemon.lines("Normal")
        assert runs(daemon) == ["one /f"]
        daemon.end(0)
        yield
        assert runs(daemon) == ["one all"]
        daemon.end(0)
        yield
        assert daemon.plugin.states == {"one": "in sync"}

    assert turn(tmp_path, script, sync(tmp_path)) == TERMINATED


def test_the_others_go_on_meanwhile(tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end_all()
        daemon.lose(f"{tmp_path}/one/")
        daemon.change(f"{tmp_path}/one/f", f"{tmp_path}/two/f")
        yield 15
        assert runs(daemon) == ["two /f"]

    assert turn(tmp_path, script, sync(tmp_path) + sync(tmp_path, "two")) == TERMINATED


def test_a_startup_that_fails_as_its_source_goes_is_made_when_it_is_back(tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.lose(f"{tmp_path}/one/")
        yield
        daemon.end(23)
        yield 3600
        assert runs(daemon) == []
        daemon.give_back(f"{tmp_path}/one/")
        yield
        assert runs(daemon) == ["one all"]

    assert turn(tmp_path, script, "settings{insist = true}" + sync(tmp_path)) == TERMINATED


def test_a_reset_does_not_take_an_empty_directory_for_the_source_that_is_gone(tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end(0)
        daemon.lose(f"{tmp_path}/one/")
        yield
        daemon.send(signal.SIGHUP)
        yield
        assert daemon.lines("Error")[1:] == [
            f"source {tmp_path}/one/ is gone: the target would become as empty as what is there now.",
            "keeping the old configuration.",
        ]
        assert runs(daemon) == []
        assert daemon.plugin.states == {"one": "suspended"}

    assert turn(tmp_path, script, sync(tmp_path)) == TERMINATED


def test_lost_events_bring_a_full_run_of_each_sync(tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end_all()
        yield
        daemon.overflow()
        yield
        assert "--- OVERFLOW in event queue ---" in daemon.lines()
        assert sorted(runs(daemon)) == ["one all", "two all"]

    assert turn(tmp_path, script, sync(tmp_path) + sync(tmp_path, "two")) == TERMINATED


# ---- limits -------------------------------------------------------------------------------------


@pytest.mark.row(25)
def test_under_the_global_limit_every_sync_has_its_turn(tmp_path: Path) -> None:
    names = ("one", "two", "three")

    def script(daemon: TurnedDaemon) -> Script:
        done: list[str] = []
        for _ in names:
            yield
            assert len(daemon.running) == 1
            done += runs(daemon)
            daemon.end(0)
        assert sorted(done) == ["one all", "three all", "two all"]
        done.clear()
        for number in range(18):
            daemon.change(*(f"{tmp_path}/{name}/f{number}" for name in names))
            yield 1
            assert len(daemon.running) == 1, "never more than one at once"
            done.append(runs(daemon)[0].split()[0])
            daemon.end(0)
        assert done == [*done[:3]] * 6
        assert sorted(done[:3]) == sorted(names)

    text = "settings{maxProcesses = 1}\n" + "".join(sync(tmp_path, name, "delay = 0") for name in names)
    assert turn(tmp_path, script, text) == TERMINATED


def test_a_sync_keeps_to_its_own_limit(tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end_all()
        for number in range(4):
            daemon.change(f"{tmp_path}/one/{number}", f"{tmp_path}/two/{number}")
            yield
        assert sorted(runs(daemon)) == ["one /0", "one /1", "two /0"]
        daemon.end(0, of="one")
        yield
        assert sorted(runs(daemon)) == ["one /1", "one /2 /3", "two /0"]

    text = sync(tmp_path, "one", "delay = 0, maxProcesses = 2") + sync(tmp_path, "two", "delay = 0")
    assert turn(tmp_path, script, text) == TERMINATED


# ---- what fails ---------------------------------------------------------------------------------


def test_what_fails_is_tried_again_after_growing_pauses_each_said_once(tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end(0)
        daemon.change(f"{tmp_path}/one/f")
        yield 15
        for pause in (15, 30, 60, 120, 240, 300, 300, 300):
            daemon.end(12)
            yield
            assert daemon.plugin.states == {"one": "retrying"}
            yield pause - 1
            assert runs(daemon) == []
            yield 1
            assert runs(daemon) == ["one /f"]
        assert len([line for line in daemon.lines() if line.startswith("Retrying")]) == 6
        daemon.end(0)
        yield
        assert daemon.plugin.states == {"one": "in sync"}
        daemon.change(f"{tmp_path}/one/g")
        yield 15
        daemon.end(12)
        yield 15
        assert runs(daemon) == ["one /g"], "the pauses begin anew"

    assert turn(tmp_path, script, sync(tmp_path)) == TERMINATED


def test_an_exit_code_that_ends_a_sync_leaves_the_others_at_work(tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end_all()
        daemon.change(f"{tmp_path}/one/f", f"{tmp_path}/two/f")
        yield 15
        daemon.end(1, of="one")
        daemon.end(0, of="two")
        yield
        assert daemon.plugin.states == {"one": "stopped", "two": "in sync"}
        assert "one is stopped: exit code 1" in daemon.lines("Error")
        daemon.change(f"{tmp_path}/one/g", f"{tmp_path}/two/g")
        yield 15
        assert runs(daemon) == ["two /g"]

    assert turn(tmp_path, script, sync(tmp_path) + sync(tmp_path, "two")) == DIED, "the exit status tells"


def test_the_daemon_ends_when_every_sync_is_stopped(tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end(0)
        daemon.change(f"{tmp_path}/one/f")
        yield 15
        daemon.end(1)

    assert turn(tmp_path, script, sync(tmp_path)) == DIED


def test_die_in_the_users_own_table_ends_the_daemon(tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        logs.append(daemon)
        yield
        daemon.end_all()
        daemon.change(f"{tmp_path}/one/f")
        yield 15
        daemon.end(77, of="one")

    logs: list[TurnedDaemon] = []
    own = sync(tmp_path, "one", 'exitcodes = {[0] = "ok", [77] = "die"}')
    assert turn(tmp_path, script, own + sync(tmp_path, "two")) == DIED
    assert logs[0].lines("Error")[-1] == "Critical exitcode."


# ---- transfers that may not begin ---------------------------------------------------------------


def test_a_plugins_veto_holds_a_transfer_until_it_is_withdrawn(tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end(0)
        daemon.plugin.allows = lambda argv: False
        daemon.change(f"{tmp_path}/one/f")
        yield 60
        assert runs(daemon) == []
        assert daemon.plugin.states == {"one": "held"}
        assert len([line for line in daemon.lines() if "is held by" in line]) == 1
        daemon.plugin.allows = lambda argv: True
        yield 1
        assert runs(daemon) == ["one /f"]

    assert turn(tmp_path, script, sync(tmp_path)) == TERMINATED


# ---- the end ------------------------------------------------------------------------------------


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_what_runs_is_waited_for_and_nothing_more_is_started(tmp_path: Path, signum: signal.Signals) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end_all()
        daemon.change(f"{tmp_path}/one/f")
        yield 15
        daemon.change(f"{tmp_path}/one/g", f"{tmp_path}/two/g")
        daemon.send(signum)
        yield
        assert daemon.plugin.fading == [f"--- {signum.name[3:]} signal, fading ---"]
        assert daemon.lines("Normal")[-2:] == [*daemon.plugin.fading, "waiting for 1 more child processes."]
        yield 3600
        assert runs(daemon) == ["one /f"]
        daemon.end(0)

    assert turn(tmp_path, script, sync(tmp_path) + sync(tmp_path, "two")) == 128 + signum


@pytest.mark.parametrize("before", ["/bin/true", ""])
def test_nor_what_would_follow_what_runs(tmp_path: Path, before: str) -> None:
    """A transfer after its onBatchStart; what a collect function of the user's would start."""
    follows = 'collect = function(agent) spawn(inlet.createBlanketEvent(), "rsync", "again", "one:/") return "ok" end'

    def script(daemon: TurnedDaemon) -> Script:
        seen.append(daemon)
        yield
        daemon.send(signal.SIGTERM)
        yield
        daemon.end(0)

    seen: list[TurnedDaemon] = []

    more = f'onBatchStart = "{before}"' if before else ""
    text = sync(tmp_path, "one", more)
    if not before:
        text = f"""
        follow = {{
            onCreate = function(event) spawn(event, "/bin/first") end,
            init = function(event) spawn(event, "/bin/first") end,
            {follows.replace("inlet.", "agent.inlet.")},
        }}
        """ + sync(tmp_path, action="follow")
    assert turn(tmp_path, script, text) == TERMINATED
    assert seen[0].argv() == [before or "/bin/first"]
    assert len(seen[0].processes.started) == 1


def test_a_second_term_counts_when_patience_is_over(tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        seen.append(daemon)
        yield
        daemon.send(signal.SIGTERM)
        yield 59
        daemon.send(signal.SIGTERM)
        yield 10
        assert runs(daemon) == ["one all"], "it was too early"
        waiting = [line for line in daemon.lines() if line.startswith("waiting for")]
        assert len(waiting) == 2, "once a minute"
        assert any(line.startswith("still running: rsync") and "of one, for 10 s" in line for line in daemon.lines())
        daemon.send(signal.SIGTERM)

    seen: list[TurnedDaemon] = []
    assert turn(tmp_path, script, sync(tmp_path)) == TERMINATED
    assert seen[0].plugin.ended == [], "what hangs is waited for no longer"


def test_a_transfer_that_runs_for_too_long_is_ended_and_then_killed(tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end(0)
        daemon.change(f"{tmp_path}/one/f")
        yield 15
        child = daemon.running[0].child
        yield 99
        assert daemon.processes.signals == []
        yield 1
        assert daemon.processes.signals == [(child, signal.SIGTERM)]
        yield 10
        assert daemon.processes.signals == [(child, signal.SIGTERM), (child, signal.SIGKILL)]
        assert daemon.lines("Warn") == ["a transfer of one runs for more than 100 s; ending it."]
        daemon.end(137)
        yield 15
        assert runs(daemon)[0].startswith("one /f"), "and tried again"

    assert turn(tmp_path, script, "settings{transferTimeout = 100}" + sync(tmp_path)) == TERMINATED


@pytest.mark.parametrize(("exit_code", "status"), [(0, 0), (12, DIED)])
def test_onepass_ends_after_the_startups(tmp_path: Path, exit_code: int, status: int) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end(0, of="one")
        yield 60
        assert runs(daemon) == ["two all"]
        daemon.end(exit_code)

    assert turn(tmp_path, script, sync(tmp_path) + sync(tmp_path, "two"), onepass=True) == status


# ---- reset --------------------------------------------------------------------------------------


def test_a_reset_begins_with_the_new_config(tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end(0)
        daemon.change(f"{tmp_path}/one/f")
        yield 15
        daemon.config(sync(tmp_path, "two"))
        daemon.send(signal.SIGHUP)
        yield 30
        assert runs(daemon) == ["one /f", "two all"], "what runs comes to its end, and nobody waits for it"
        assert daemon.plugin.fading == ["reset"]
        assert daemon.plugin.monitor.watched() == [f"{tmp_path}/two/".encode()]
        daemon.end(0, of="one")
        daemon.change(f"{tmp_path}/one/g", f"{tmp_path}/two/g")
        yield 30
        assert runs(daemon) == ["two all"]
        assert daemon.plugin.states["two"] == "starting"
        assert daemon.lines().count("--- Startup ---") == 2

    assert turn(tmp_path, script, sync(tmp_path)) == TERMINATED


@pytest.mark.row(35)
def test_a_hung_transfer_holds_up_its_own_sync_alone(tmp_path: Path) -> None:
    text = sync(tmp_path) + sync(tmp_path, "two")

    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end_all()
        daemon.change(f"{tmp_path}/one/f")
        yield 15
        daemon.send(signal.SIGHUP)
        yield
        assert runs(daemon) == ["one /f", "two all"]
        assert "waiting for 1 more child processes." in daemon.lines()
        assert daemon.plugin.states == {"one": "held", "two": "starting"}
        daemon.end(0, of="two")
        daemon.change(f"{tmp_path}/one/g", f"{tmp_path}/two/g")
        yield 3600
        assert runs(daemon) == ["one /f", "two /g"]
        named = [line for line in daemon.lines() if line.startswith("still running: ")]
        assert "of one, for 10 s" in named[0]
        assert len(named) == 60
        daemon.end(0, of="one")
        yield
        assert runs(daemon) == ["two /g", "one all"]
        daemon.end(0, of="one")
        yield
        assert runs(daemon) == ["two /g", "one /g"], "what has changed meanwhile was seen"

    assert turn(tmp_path, script, text) == TERMINATED


def test_a_reset_says_that_it_starts_when_the_first_sync_does(tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.send(signal.SIGHUP)
        yield 30
        assert daemon.lines().count("--- Startup ---") == 1
        daemon.end(0)
        yield
        assert daemon.lines().count("--- Startup ---") == 2
        assert runs(daemon) == ["one all"]

    assert turn(tmp_path, script, sync(tmp_path)) == TERMINATED


@pytest.mark.parametrize("other", ["name", "target"])
def test_two_transfers_never_write_to_one_place(tmp_path: Path, other: str) -> None:
    """The new sync has another name, or another target: it waits for transfers of the old one all the same."""
    new = {"name": sync(tmp_path).replace('name = "one"', 'name = "uno"'), "target": sync(tmp_path) + "\n"}[other]
    if other == "target":
        new = new.replace("one:/trg", "two:/trg")

    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.config(new)
        daemon.send(signal.SIGHUP)
        yield 60
        assert runs(daemon) == ["one all"]
        daemon.end(0)
        yield
        assert runs(daemon) == [{"name": "one all", "target": "two all"}[other]]

    assert turn(tmp_path, script, sync(tmp_path)) == TERMINATED


WITHOUT_STARTUP = {
    "rsync": "delay = 5, init = false",
    "handlers": 'delay = 5, onModify = "/bin/copy ^path one:/x"',
}


@pytest.mark.row(35)
@pytest.mark.parametrize("kind", WITHOUT_STARTUP)
def test_what_waits_in_a_sync_without_a_startup_is_not_lost(tmp_path: Path, kind: str) -> None:
    action = "default.rsync" if kind == "rsync" else "{}"
    text = sync(tmp_path, "one", WITHOUT_STARTUP[kind], action)

    def paths(daemon: TurnedDaemon) -> list[str]:
        if kind == "rsync":
            return runs(daemon)
        return [started.child.argv[1].decode() for started in daemon.running]

    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.change(f"{tmp_path}/one/f", f"{tmp_path}/one/excluded")
        yield 5
        daemon.change(f"{tmp_path}/one/g", f"{tmp_path}/one/f")
        yield 1
        for number in range(3):  # one reset after the other, none of which can wait for the transfer
            daemon.config(text.replace("delay = 5", f'exclude = "/excluded", delay = {6 + number}'))
            daemon.send(signal.SIGHUP)
            yield 1
            daemon.change(f"{tmp_path}/one/h{number}")
            yield
        assert len(daemon.running) == 1
        daemon.end(12)  # it fails: what it was to bring has not arrived
        yield 20
        if kind == "rsync":
            assert runs(daemon) == ["one /f /g /h0 /h1 /h2"]
            return
        done = []
        while daemon.running:
            done += paths(daemon)
            daemon.end(0)
            yield
        assert done == ["f", "g", "h0", "h1", "h2"]

    assert turn(tmp_path, script, text) == TERMINATED


def test_a_sync_with_a_startup_needs_no_changes_of_before(tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end(0)
        daemon.change(f"{tmp_path}/one/f")
        yield 1
        daemon.send(signal.SIGHUP)
        yield
        daemon.end(0)
        yield 60
        assert runs(daemon) == []

    assert turn(tmp_path, script, sync(tmp_path)) == TERMINATED


def test_a_source_that_is_paused_stays_so_over_a_reset(tmp_path: Path) -> None:
    source = f"{tmp_path}/one/"

    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end(0)
        yield
        monitor = daemon.plugin.monitor
        monitor.behind = True
        while not monitor.calls:
            for _ in range(100):
                daemon.change(f"{source}d/", etype="Create")
                daemon.change(f"{source}d/", etype="Delete")
            yield 0.1
        monitor.behind = False
        daemon.end_all()
        yield
        daemon.send(signal.SIGHUP)
        yield
        daemon.end_all()
        yield 10
        assert monitor.calls == [f"pause {source}", f"resume {source}"]
        assert runs(daemon) == ["one all"]

    assert turn(tmp_path, script, sync(tmp_path)) == TERMINATED


def test_excludes_that_are_gone_after_a_reset_are_watched_and_others_not(tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end(0)
        daemon.send(signal.SIGHUP)
        yield
        daemon.end(0)
        assert daemon.plugin.monitor.calls == []
        daemon.config(sync(tmp_path, "one", 'exclude = "a"'))
        daemon.send(signal.SIGHUP)
        yield
        assert daemon.plugin.monitor.calls == ["rescan"]

    assert turn(tmp_path, script, sync(tmp_path)) == TERMINATED


def test_a_monitor_that_has_failed_is_made_anew(tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end_all()
        old = daemon.plugin.monitor
        daemon.break_monitor(RuntimeError("out of order"))
        daemon.send(signal.SIGHUP)
        yield
        assert old.is_closed
        assert daemon.plugin.monitor is not old
        daemon.end_all()
        daemon.change(f"{tmp_path}/one/f")
        yield 15
        assert runs(daemon) == ["one /f"]

    assert turn(tmp_path, script, sync(tmp_path)) == TERMINATED


def test_another_inotify_mode_takes_another_monitor(tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end_all()
        old = daemon.plugin.monitor
        daemon.config('settings{inotifyMode = "Modify"}' + sync(tmp_path, "one", "init = false"))
        daemon.change(f"{tmp_path}/one/f")
        daemon.send(signal.SIGHUP)
        yield
        assert old.is_closed
        daemon.change(f"{tmp_path}/one/g")
        yield 15
        assert runs(daemon) == ["one /f /g"], "what the old one still had is not lost"

    assert turn(tmp_path, script, sync(tmp_path, "one", "init = false")) == TERMINATED


def test_the_crontab_of_a_sync_that_is_gone_wakes_nobody(tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end(0)
        yield 90
        daemon.end_all()
        fired = len(daemon.lines("Info"))
        assert fired, "each minute"
        daemon.config(sync(tmp_path))
        daemon.send(signal.SIGHUP)
        yield 3600
        assert len(daemon.lines("Info")) == fired

    text = sync(tmp_path, "one", 'crontab = "0 * * * * *"')
    assert turn(tmp_path, script, text, log=["Info"]) == TERMINATED


def test_functions_that_the_old_config_wanted_to_be_called_are_not(tmp_path: Path) -> None:
    def text(word: str) -> str:
        return f'alarm(now() + 5, function() log("Normal", "{word}") end)\n' + sync(tmp_path)

    def script(daemon: TurnedDaemon) -> Script:
        yield 1
        daemon.config(text("new") + "error()")
        daemon.send(signal.SIGHUP)
        yield 1
        daemon.config(text("newest"))
        daemon.send(signal.SIGHUP)
        yield 60
        assert [line for line in daemon.lines("Normal") if line in ("old", "new", "newest")] == ["newest"]

    assert turn(tmp_path, script, text("old")) == TERMINATED


def test_a_config_that_does_not_load_leaves_the_old_one_at_work(tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end(0)
        for broken in ("sync{", "settings{}", sync(tmp_path) + 'settings{logfile = "/no/such/place"}'):
            daemon.config(broken)
            daemon.send(signal.SIGHUP)
            yield
            assert daemon.lines("Error")[-1] == "keeping the old configuration."
        assert daemon.plugin.fading == []
        daemon.change(f"{tmp_path}/one/f")
        yield 15
        assert runs(daemon) == ["one /f"]

    assert turn(tmp_path, script, sync(tmp_path)) == TERMINATED


def test_term_ends_the_wait_of_a_reset(tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.send(signal.SIGHUP)
        yield 5
        daemon.send(signal.SIGTERM)
        yield 5
        assert daemon.plugin.fading == ["reset", "--- TERM signal, fading ---"]
        assert daemon.lines().count("waiting for 1 more child processes.") == 2
        daemon.end(0)

    assert turn(tmp_path, script, sync(tmp_path)) == TERMINATED


# ---- reload = "changed" -------------------------------------------------------------------------


def three(box: Path, more: str = "", of: str = "two", settings: str = "") -> str:
    return settings + "".join(sync(box, name, more if name == of else "") for name in ("one", "two", "three"))


def reload(daemon: TurnedDaemon, text: str) -> None:
    daemon.config(text)
    daemon.send(signal.SIGUSR2)


def test_only_what_has_changed_begins_anew(tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end_all()
        daemon.change(f"{tmp_path}/one/f", f"{tmp_path}/two/f")
        yield 14
        reload(daemon, three(tmp_path, "delay = 7"))
        yield 0
        assert runs(daemon) == ["two all"]
        assert daemon.lines("Normal")[-3:-1] == [
            "--- USR2 signal, reloading ---",
            "reload: 2 syncs go on; changed: two.",
        ]
        assert daemon.lines().count("--- Startup ---") == 1
        assert daemon.plugin.fading == []
        assert daemon.plugin.monitor.calls == []
        assert daemon.plugin.monitor.unwatched == [f"{tmp_path}/two/".encode()]
        daemon.end(0)
        yield 1
        assert runs(daemon) == ["one /f"], "its changes keep their time"
        daemon.end_all()
        daemon.change(*(f"{tmp_path}/{name}/g" for name in ("one", "two", "three")))
        yield 7
        assert runs(daemon) == ["two /g"], "the new delay"
        yield 8
        assert sorted(runs(daemon)) == ["one /g", "three /g", "two /g"]

    assert turn(tmp_path, script, three(tmp_path)) == TERMINATED


def test_what_goes_on_keeps_transfers_retries_and_holds(tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end(0, of="one:")
        daemon.change(f"{tmp_path}/one/f")
        yield 15
        daemon.end(12, of="one:")
        yield 1
        assert daemon.plugin.states == {"one": "retrying", "two": "starting", "three": "starting"}
        reload(daemon, three(tmp_path, "delay = 1", of="none"))
        yield 13
        assert sorted(runs(daemon)) == ["three all", "two all"], "startups go on"
        assert daemon.lines("Normal")[-1] == "reload: 3 syncs go on."
        yield 1
        assert "one /f" in runs(daemon), "after its pause"
        daemon.end(12, of="one:")
        yield 29
        assert "one /f" not in runs(daemon)
        yield 1
        assert "one /f" in runs(daemon), "which goes on growing"

    assert turn(tmp_path, script, three(tmp_path)) == TERMINATED


def test_new_ones_and_gone_ones_in_the_new_order(tmp_path: Path) -> None:
    status = tmp_path / "status"
    settings = f'settings{{statusFile = "{status}", statusInterval = 1}}\n'

    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end(0, of="one:")
        reload(daemon, settings + "".join(sync(tmp_path, name) for name in ("four", "three", "one")))
        yield 5
        assert sorted(runs(daemon)) == ["four all", "three all", "two all"]
        assert "reload: 2 syncs go on; new: four; gone: two." in daemon.lines()
        names = [line.split()[0] for line in status.read_text().splitlines() if " source=" in line]
        assert names == ["four", "three", "one"]
        assert f"{tmp_path}/two/".encode() not in daemon.plugin.monitor.watched()
        daemon.end_all()
        yield
        daemon.change(*(f"{tmp_path}/{name}/f" for name in ("one", "two", "four")))
        yield 15
        assert sorted(runs(daemon)) == ["four /f", "one /f"]
        reload(daemon, settings + sync(tmp_path, "four"))
        yield 5
        daemon.end_all()
        yield 5
        names = [line.split()[0] for line in status.read_text().splitlines() if " source=" in line]
        assert names == ["four"]

    assert turn(tmp_path, script, settings + three(tmp_path)) == TERMINATED


@pytest.mark.row(35)
def test_a_reload_beside_a_hung_transfer(tmp_path: Path) -> None:
    """Of 20 syncs one has changed, and the transfer of another one stands still."""
    names = [f"s{number:02}" for number in range(20)]

    def text(more: str = "") -> str:
        return "".join(sync(tmp_path, name, f"delay = 3, {more if name == 's07' else ''}") for name in names)

    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end_all()
        daemon.change(f"{tmp_path}/s03/hangs")
        yield 3
        watched = set(daemon.plugin.monitor.watched())
        reload(daemon, text("rsync = {compress = true}"))
        yield
        assert runs(daemon) == ["s03 /hangs", "s07 all"], "one full run"
        assert set(daemon.plugin.monitor.watched()) == watched
        assert len(daemon.plugin.monitor.unwatched) == 1, "by the changed one, whose other half watched first"
        daemon.end(0, of="s07")
        daemon.change(*(f"{tmp_path}/{name}/f" for name in names))
        yield 3
        expected = ["s03 /hangs", *(f"{name} /f" for name in names if name != "s03")]
        assert sorted(runs(daemon)) == sorted(expected), "within the delay"
        assert "-zlst" in next(argv for argv in daemon.running_argv() if "s07:" in argv[-1])

    assert turn(tmp_path, script, text()) == TERMINATED


def test_hup_does_the_same_with_the_setting(tmp_path: Path) -> None:
    changed = three(tmp_path, "delay = 7", settings='settings{reload = "changed"}\n')

    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end_all()
        daemon.config(changed)
        daemon.send(signal.SIGHUP)
        yield
        assert runs(daemon) == ["two all"]
        daemon.end_all()
        daemon.config(three(tmp_path))
        daemon.send(signal.SIGHUP)
        yield
        assert sorted(runs(daemon)) == ["one all", "three all", "two all"]

    assert turn(tmp_path, script, three(tmp_path)) == TERMINATED


def test_a_sync_that_has_stopped_begins_anew(tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end_all()
        daemon.change(f"{tmp_path}/one/f")
        yield 15
        daemon.end(1)
        yield
        assert daemon.plugin.states["one"] == "stopped"
        reload(daemon, three(tmp_path))
        yield
        assert runs(daemon) == ["one all"]

    assert turn(tmp_path, script, three(tmp_path)) == TERMINATED


def test_a_source_that_is_gone_matters_to_those_that_begin_alone(tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end_all()
        daemon.lose(f"{tmp_path}/one/")
        yield
        reload(daemon, three(tmp_path, "delay = 7"))
        yield
        assert runs(daemon) == ["two all"]
        daemon.end_all()
        reload(daemon, three(tmp_path, "delay = 7", of="one"))
        yield
        assert daemon.lines("Error")[-1] == "keeping the old configuration."
        daemon.give_back(f"{tmp_path}/one/")
        yield
        assert runs(daemon) == ["one all"]

    assert turn(tmp_path, script, three(tmp_path)) == TERMINATED


def test_settings_that_take_a_restart_are_named(tmp_path: Path) -> None:
    settings = 'settings{pidfile = "/nosuch/pid", inotifyMode = "Modify", logSync = true, maxProcesses = 1}\n'

    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end_all()
        old = daemon.plugin.monitor
        reload(daemon, three(tmp_path, settings=settings))
        yield
        assert daemon.lines("Warn") == [
            "the setting pidfile has changed: that takes a restart; it stays as it is.",
            "the setting inotifyMode has changed: that takes a restart; it stays as it is.",
        ]
        assert daemon.plugin.monitor is old
        daemon.change(f"{tmp_path}/one/f", f"{tmp_path}/two/f")
        yield 15
        assert len(daemon.running) == 1, "maxProcesses does not"

    assert turn(tmp_path, script, three(tmp_path)) == TERMINATED


COUNTING = """
local n = 0
counting = {{
    init = false, delay = 0, maxProcesses = 1,
    action = function(inlet)
        n = n + 1
        spawn(inlet.getEvent(), "/bin/copy", {value} .. n)
    end,
}}
"""


def test_functions_go_on_with_their_state(tmp_path: Path) -> None:
    def text(more: str = "", value: str = '"n"') -> str:
        return COUNTING.format(value=value) + sync(tmp_path, "one", "", "counting") + sync(tmp_path, "two", more)

    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end_all()
        numbers = []
        for new in (text(), text("delay = 3"), text("delay = 4"), text("delay = 4", '"m"'), text("delay = 4", '"m"')):
            daemon.change(f"{tmp_path}/one/f")
            yield 1
            numbers.append(daemon.argv()[-1])
            daemon.end_all()
            yield
            reload(daemon, new)
            yield
            daemon.end_all()
            yield
        assert numbers == ["n1", "n2", "n3", "n4", "m1"]

    assert turn(tmp_path, script, text()) == TERMINATED


def test_what_reloads_have_replaced_is_let_go_of(tmp_path: Path) -> None:
    """Each config is a Lua state, each sync a queue: a daemon that is reloaded for years keeps none of them."""

    def living() -> tuple[int, int]:
        gc.collect()
        objects = gc.get_objects()
        return sum(type(one) is LuaConfig for one in objects), sum(type(one) is Sync for one in objects)

    def text(number: int) -> str:
        tunnel = 'tunnel = tunnel{name = "t", command = "/bin/way", readyDelay = 0}'
        functions = COUNTING.format(value='"n"') + sync(tmp_path, "functions", "", "counting")
        return three(tmp_path, f"delay = {number}, {tunnel}") + (functions if number < 3 else "")

    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end_all()
        counts = []
        for number in range(1, 8):
            reload(daemon, text(number))
            yield 1
            daemon.end_all()
            yield 1
            del daemon.processes.started[: -len(daemon.running) or None]  # the test's own list
            counts.append(living())
        assert counts == [(2, 5)] * 2 + [(1, 3)] * 5, "one state more, with its syncs, as long as functions go on in it"

    before = living()
    assert before == (0, 0)
    assert turn(tmp_path, script, text(0)) == TERMINATED


def test_functions_do_not_go_on_beside_ones_that_belong_to_no_sync(tmp_path: Path) -> None:
    def text(more: str = "") -> str:
        alarm = 'alarm(now() + 100, function() log("Normal", "called") end)\n'
        return (
            alarm + COUNTING.format(value='"n"') + sync(tmp_path, "one", "", "counting") + sync(tmp_path, "two", more)
        )

    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end_all()
        yield 50
        reload(daemon, text("delay = 3"))
        yield 1
        assert daemon.lines().count("--- Startup ---") == 2, "all begin anew"
        daemon.end_all()
        yield 200
        assert daemon.lines().count("called") == 1

    assert turn(tmp_path, script, text()) == TERMINATED


def test_a_reload_that_comes_while_one_waits(tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end_all()
        daemon.change(f"{tmp_path}/two/f")
        yield 15
        for number in range(3):
            reload(daemon, three(tmp_path, f"init = false, delay = {number}"))
            yield
            daemon.change(f"{tmp_path}/two/g{number}")
            yield 5
        reload(daemon, three(tmp_path, "init = false, delay = 2"))
        yield 5
        assert runs(daemon) == ["two /f"]
        assert daemon.plugin.states == {"one": "in sync", "two": "held", "three": "in sync"}
        daemon.end(12)  # the host cannot be reached
        yield 15
        assert runs(daemon) == ["two /f /g0 /g1 /g2"]
        daemon.end(0)
        yield
        assert daemon.plugin.states["two"] == "in sync"

    assert turn(tmp_path, script, three(tmp_path)) == TERMINATED


# ---- the status file ----------------------------------------------------------------------------


def test_the_status_file_follows_what_happens_at_its_pace(tmp_path: Path) -> None:
    status = tmp_path / "status"

    def script(daemon: TurnedDaemon) -> Script:
        yield
        assert "Sync: one" not in status.read_text() or True
        first = status.read_text()
        daemon.end(0)
        daemon.change(f"{tmp_path}/one/f")
        yield 9
        assert status.read_text() == first
        yield 1
        assert "/f" in status.read_text()
        yield 20
        daemon.end_all()
        yield 10
        assert "There are 0 delays" in status.read_text()
        last = status.stat().st_mtime_ns
        yield 3600
        assert status.stat().st_mtime_ns == last, "nothing has happened"

    text = f'settings{{statusFile = "{status}", statusInterval = 10}}\n'
    assert turn(tmp_path, script, text + sync(tmp_path)) == TERMINATED


def test_a_heartbeat_of_the_status_file_begins_and_ends_with_a_reload(tmp_path: Path) -> None:
    status = tmp_path / "status"

    def text(heartbeat: str) -> str:
        return f'settings{{statusFile = "{status}", statusInterval = 10, {heartbeat}}}\n' + sync(tmp_path)

    def written() -> str:
        return status.read_text().partition("\n")[0]

    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end(0)
        yield 20
        for heartbeat, writes in (("statusHeartbeat = 60", 5), ("", 0)):
            daemon.config(text(heartbeat))
            daemon.send(signal.SIGHUP)
            yield 20
            daemon.end_all()
            yield 20
            seen = [written()]
            for _ in range(30):
                yield 10
                seen.append(written())
            assert len(set(seen)) == 1 + writes

    assert turn(tmp_path, script, text("")) == TERMINATED


# ---- monitors -----------------------------------------------------------------------------------


def test_a_source_that_never_rests_is_paused_and_then_transferred_as_a_whole(tmp_path: Path) -> None:
    source = f"{tmp_path}/one/"

    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end(0)
        yield
        monitor = daemon.plugin.monitor
        monitor.behind = True
        while "pause" not in "".join(monitor.calls):
            assert daemon.clock.now() < 1060, "it is never paused"
            for _ in range(100):
                daemon.change(f"{source}d/", etype="Create")
                daemon.change(f"{source}d/", etype="Delete")
            yield 0.1
        monitor.behind = False
        assert monitor.calls == [f"pause {source}"]
        yield
        assert daemon.plugin.states == {"one": "left alone"}
        daemon.end_all()
        yield 1.5
        assert monitor.calls == [f"pause {source}"]
        yield 1
        assert monitor.calls == [f"pause {source}", f"resume {source}"]
        assert runs(daemon) == ["one all"]
        daemon.end_all()
        yield 60
        assert daemon.plugin.states == {"one": "in sync"}

    assert turn(tmp_path, script, sync(tmp_path)) == TERMINATED


def test_a_monitor_that_fails_stops_its_syncs_alone(tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end_all()
        daemon.break_monitor(ValueError("no more"))
        yield
        assert daemon.plugin.states == {"one": "stopped", "two": "in sync"}
        assert daemon.lines("Error") == ["one is stopped: its event monitor failed: ValueError: no more"]
        yield 3600

    text = sync(tmp_path, "one", 'monitor = "test"') + sync(tmp_path, "two", 'monitor = "inotify"')
    assert turn(tmp_path, script, text) == DIED


def test_what_a_monitor_could_not_read_is_read_a_second_later(tmp_path: Path) -> None:
    """Nothing reports that there are descriptors again, and there need be no transfer whose end would be a reason."""

    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end(0)
        yield
        monitor = daemon.plugin.monitor
        monitor.short = True
        daemon.change(f"{tmp_path}/one/f")
        yield 0.5
        monitor.changes.append(Change("Create", f"{tmp_path}/one/late".encode()))
        yield 1  # there is still a shortage, and again a second later
        monitor.changes.append(Change("Create", f"{tmp_path}/one/later".encode()))
        yield 1
        monitor.short = False
        yield 13
        assert runs(daemon) == ["one /f /late /later"]

    assert turn(tmp_path, script, sync(tmp_path)) == TERMINATED


def test_one_that_fails_at_the_start_ends_the_daemon(tmp_path: Path) -> None:
    daemons: list[TurnedDaemon] = []

    def script(daemon: TurnedDaemon) -> Script:
        def fail(root: bytes) -> None:
            raise ValueError("not here")

        daemons.append(daemon)
        daemon.plugin.on_watch = fail
        return iter(())

    assert turn(tmp_path, script, sync(tmp_path)) == DIED
    assert daemons[0].lines("Error") == ['event monitor "test" failed: ValueError: not here']


def test_filters_that_change_while_running_change_what_is_watched(tmp_path: Path) -> None:
    text = """
    excluding = {
        init = function(event) event.inlet.addExclude("*.tmp"); event.inlet.discardEvent(event) end,
        action = function(inlet) local event = inlet.getEvent(); spawn(event, "/bin/copy", event.path) end,
    }
    """

    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.change(f"{tmp_path}/one/f.tmp", f"{tmp_path}/one/f")
        yield
        assert daemon.running_argv() == [["/bin/copy", "f"]]

    assert turn(tmp_path, script, text + sync(tmp_path, action="excluding")) == TERMINATED


# ---- what else the process leaves ---------------------------------------------------------------


def test_the_pid_file_is_there_as_long_as_the_daemon(tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"

    def script(daemon: TurnedDaemon) -> Script:
        yield
        assert pidfile.read_text().strip() == str(os.getpid())

    assert turn(tmp_path, script, sync(tmp_path), pidfile=str(pidfile)) == TERMINATED
    assert not pidfile.exists()


@pytest.mark.parametrize("monitor", ["nosuch", "test2"])
def test_a_monitor_that_there_is_not(tmp_path: Path, monitor: str) -> None:
    daemons: list[TurnedDaemon] = []

    def script(daemon: TurnedDaemon) -> Script:
        daemons.append(daemon)
        return iter(())

    assert turn(tmp_path, script, sync(tmp_path), monitor=monitor) == DIED
    assert daemons[0].lines("Error") == [f'event monitor "{monitor}" unknown.']


def test_a_bug_of_ours_is_an_error_with_its_traceback(tmp_path: Path) -> None:
    daemons: list[TurnedDaemon] = []

    def script(daemon: TurnedDaemon) -> Script:
        daemons.append(daemon)
        yield
        daemon.system.loop.soon(lambda: 1 / 0)
        yield

    with_error = turn(tmp_path, script, sync(tmp_path))
    assert with_error == DIED
    assert "ZeroDivisionError" in daemons[0].lines("Error")[-1]


# ---- commands around a batch, hooks that fail, what cannot be started ---------------------------


def test_commands_around_a_batch_know_what_it_was(tmp_path: Path) -> None:
    more = """
        onBatchStart = "/bin/before ^name ^count ^source ^target",
        onBatchEnd = "/bin/after ^name ^count ^exitcode ^seconds ^verdict",
    """

    def script(daemon: TurnedDaemon) -> Script:
        yield
        before = ["/bin/before", "one", "0", f"{tmp_path}/one/", "one:/trg/"]
        assert daemon.running_argv() == [before]
        daemon.end(0)
        yield 2.5
        assert runs(daemon) == ["one all"], "the transfer follows"
        daemon.end(0)
        yield
        assert daemon.running_argv() == [["/bin/after", "one", "0", "0", "2.500", "ok"]]
        daemon.end(3)
        daemon.change(f"{tmp_path}/one/f", f"{tmp_path}/one/g")
        yield 15
        assert "onBatchEnd of one ended with 3." in daemon.lines("Warn")
        assert daemon.argv()[:3] == ["/bin/before", "one", "2"]
        daemon.end(1)
        yield
        assert daemon.running == [], "it may not begin"
        assert daemon.plugin.states == {"one": "retrying"}
        assert daemon.lines("Warn")[-1].startswith("onBatchStart of one ended with 1: the batch waits")
        yield 15
        daemon.end(0)
        yield
        daemon.end(12)
        yield
        assert daemon.argv() == ["/bin/after", "one", "2", "12", "0.000", "again"]

    assert turn(tmp_path, script, sync(tmp_path, "one", more)) == TERMINATED


def test_a_hook_that_fails_is_named_and_stops_nothing(tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end(0)

        def fails(argv: list[str]) -> bool:
            raise ValueError("not today")

        daemon.plugin.allows = fails
        daemon.change(f"{tmp_path}/one/f")
        yield 15
        assert runs(daemon) == ["one /f"]
        assert daemon.lines("Error")[0].startswith(
            'hook orchestrator_before_spawn of plugin "test" failed: ValueError: not today ('
        )

    assert turn(tmp_path, script, sync(tmp_path)) == TERMINATED


def test_what_cannot_be_started_for_want_of_descriptors_is_tried_again_whatever_its_table_says(tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end(0)
        daemon.change(f"{tmp_path}/one/f")
        yield 15
        daemon.lack("Too many open files")
        yield
        assert daemon.plugin.ended[-1] == (255, "again")
        assert daemon.plugin.states == {"one": "retrying"}
        yield 15
        assert runs(daemon) == ["one /f"]

    assert turn(tmp_path, script, sync(tmp_path, "one", 'exitcodes = {[0] = "ok", [255] = "die"}')) == TERMINATED


def test_the_status_file_says_what_is_wrong(tmp_path: Path) -> None:
    status = tmp_path / "status"

    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end(0)
        daemon.change(f"{tmp_path}/one/f")
        yield 15
        daemon.end(12, stderr=b"rsync: no such host as one\n")
        yield 5
        text = status.read_text()
        assert "retrying" in text
        assert "no such host as one" in text
        daemon.lose(f"{tmp_path}/one/")
        yield 5
        assert "suspended" in status.read_text()

    text = f'settings{{statusFile = "{status}", statusInterval = 1}}\n'
    assert turn(tmp_path, script, text + sync(tmp_path)) == TERMINATED


# ---- shared ssh connections ---------------------------------------------------------------------


def connections(daemon: TurnedDaemon) -> list[str]:
    """The hosts of those that are open, and have not been told to end."""
    told = [child for child, _ in daemon.processes.signals]
    return [
        started.child.argv[-1].decode()
        for started in daemon.running
        if b"ControlMaster=yes" in started.child.argv and started.child not in told
    ]


def test_a_connection_is_closed_when_a_reload_has_changed_its_options(tmp_path: Path) -> None:
    def config(port: int) -> str:
        other = sync(tmp_path, "two", f'rsync = {{ rsh = "ssh -p {port}" }}')
        return "settings{ sshShare = 3600 }" + sync(tmp_path) + other

    def script(daemon: TurnedDaemon) -> Script:
        yield
        assert connections(daemon) == ["one", "two"]
        one, two = (started.child for started in daemon.running if b"ControlMaster=yes" in started.child.argv)
        daemon.end(0, of="one:")
        daemon.end(0, of="two:")
        daemon.config(config(23))
        daemon.send(signal.SIGHUP)
        yield 30
        assert connections(daemon) == ["one", "two"]
        assert daemon.processes.signals == [(two, signal.SIGTERM)]
        assert [word for word in daemon.argv() if word.startswith("--rsh=ssh -p 23 ")]
        assert one in [started.child for started in daemon.running]

    assert turn(tmp_path, script, config(22)) == TERMINATED


def test_connections_are_told_to_end_with_the_daemon_which_waits_for_transfers_alone(tmp_path: Path) -> None:
    daemons = []

    def script(daemon: TurnedDaemon) -> Script:
        daemons.append(daemon)
        yield
        assert connections(daemon) == ["one"]
        daemon.end(0, of="one:")
        daemon.send(signal.SIGTERM)
        yield

    assert turn(tmp_path, script, "settings{ sshShare = 3600 }" + sync(tmp_path)) == TERMINATED
    assert [signum for _, signum in daemons[0].processes.signals] == [signal.SIGTERM]


def test_a_question_for_the_marker_whose_connection_has_ended_is_asked_again_at_once(tmp_path: Path) -> None:
    def question(daemon: TurnedDaemon) -> Started:
        [found] = [started for started in daemon.running if started.job is not None]
        return found

    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.processes.end(question(daemon), 0)
        yield
        daemon.end(0, of="one:")
        place = next(word for word in daemon.argv(0) if word.startswith("ControlPath="))
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(place.partition("=")[2])
            server.listen()
            daemon.change(f"{tmp_path}/one/f")
            yield 15
            first = question(daemon)
        now = daemon.clock.now()
        daemon.processes.end(first, 255)
        yield
        daemon.processes.end(question(daemon), 0)
        yield
        assert daemon.clock.now() == now
        assert daemon.argv()[-1] == "one:/trg/"
        assert b"\0/f\0" in (daemon.processes.started[-1].stdin or b"")

    text = "settings{ sshShare = 3600 }" + sync(tmp_path, more='targetMarker = ".here"')
    assert turn(tmp_path, script, text) == TERMINATED
