"""What a plugin gets wrong is said in one line, with the right status; other syncs are unharmed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.kit.daemon import Daemon, wait_until

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
import os
from orchestrator.api import Action, Option, hookimpl

class Bad(Action):
    name = "bad"
    options = {"target": Option((str,), None, "where to")}
    defaults = {"delay": 0, "exitcodes": {0: "ok", 1: "again"}}

    def init(self, event):
        event.inlet.spawn(event, ["true"])

    def action(self, inlet):
        inlet.spawn(inlet.get_events(), ["true"])
"""

TAIL = """
@hookimpl
def orchestrator_actions():
    return [Bad()]
"""

BESIDE = """
sync {{ source = "{box}/source", target = "{box}/target", delay = 0, onCreate = "cp ^sourcePathname ^targetPathname" }}
"""
BAD = 'sync {{ default.bad, source = "{box}/source", target = "{box}/nowhere" }}'


@pytest.fixture
def box(tmp_path: Path) -> Path:
    (tmp_path / "source").mkdir()
    (tmp_path / "target").mkdir()
    return tmp_path


def daemon(box: Path, body: str, lua: str = BESIDE + BAD) -> Daemon:
    return Daemon(box, lua=lua.format(box=box), plugins={"bad": HEAD + body + TAIL})


def touch(box: Path, name: str) -> None:
    """The sync beside goes on doing its work."""
    (box / "source" / name).touch()
    wait_until((box / "target" / name).exists, f"{name} to arrive")


def errors(daemon: Daemon) -> list[str]:
    """Without the places, which `faults_at` looks at."""
    found = [line.partition("Error: ")[2] for line in daemon.said().splitlines() if "Error: " in line]
    return [re.sub(r" \(/\S+/plugin_of_a_test_\w+\.py:\d+\)$", "", line) for line in found]


RAISES = {
    "init": "def init(self, event):\n        raise RuntimeError('no luck')",
    "action": "def action(self, inlet):\n        raise RuntimeError('no luck')",
    "collect": "def collect(self, outcome):\n        raise RuntimeError('no luck')",
    "full": "def full(self, event):\n        raise RuntimeError('no luck')\n"
    "    def action(self, inlet):\n        inlet.discard(inlet.get_event()); inlet.full_event()",
}


@pytest.mark.parametrize("method", RAISES)
def test_a_method_that_raises_is_named_and_tried_again(box: Path, method: str) -> None:
    with daemon(box, f"    {RAISES[method]}\n") as running:
        running.wait_for_watches(1)
        touch(box, "one")
        running.wait_for(f'Error: plugin "bad" failed in {method}(): RuntimeError: no luck', times=2)
        touch(box, "two")
    assert set(errors(running)) == {f'plugin "bad" failed in {method}(): RuntimeError: no luck'}


TWICE = """def action(self, inlet):
        events = inlet.get_events()
        inlet.spawn(events, ["true"])
        inlet.spawn(events, ["true"])
"""

WRONG = {
    "a wrong verdict": (
        "def collect(self, outcome):\n        return 'fine'",
        "failed in collect(): ValueError: it gave 'fine', not ok, again, die or None",
    ),
    "exit codes that cannot be had": (
        "def exit_codes(self, agent):\n        return None.table",
        "failed in collect(): AttributeError: 'NoneType' object has no attribute 'table'",
    ),
    "an argument that is none": (
        "def action(self, inlet):\n        inlet.spawn(inlet.get_events(), ['true', 3])",
        "failed in action(): TypeError: an argument is a str or bytes, not 3",
    ),
    "input that is none": (
        "def action(self, inlet):\n        inlet.spawn(inlet.get_events(), ['true'], 'text')",
        "failed in action(): TypeError: stdin is bytes, not 'text'",
    ),
    "a test that raises": (
        "def action(self, inlet):\n        inlet.get_events(lambda event: 1 / 0)",
        "failed in action(): ZeroDivisionError: division by zero",
    ),
    "changes that do not wait": (
        TWICE,
        "failed in action(): ValueError: spawn() called on an non-waiting event list",
    ),
    "a program as one text": (
        "def action(self, inlet):\n        inlet.spawn(inlet.get_events(), 'true x')",
        "failed in action(): TypeError: argv is a list of words, as ['true', 'x'], not one text; there is no shell",
    ),
    "no program": (
        "def action(self, inlet):\n        inlet.spawn(inlet.get_events(), [])",
        "failed in action(): ValueError: argv is empty: its first word is the program",
    ),
    "a NUL": (
        "def action(self, inlet):\n        inlet.spawn(inlet.get_events(), ['true', chr(0)])",
        "failed in action(): ValueError: a NUL can be handed to no program",
    ),
    "a list in the place of an event": (
        "def action(self, inlet):\n        inlet.discard(inlet.get_events())",
        "failed in action(): TypeError: discard takes one event, not a list of events; of a list, each of its events",
    ),
    "no event": (
        "def action(self, inlet):\n        inlet.spawn(inlet, ['true'])",
        "failed in action(): TypeError: spawn takes an event or a list of events that get_events gave, not <",
    ),
    "a category that nobody sees": (
        "def action(self, inlet):\n        inlet.log('warning', 'x')",
        "failed in action(): ValueError: a category of the log is Normal, Warn, Error, or a name of your own",
    ),
    "leaving Python": (
        "def action(self, inlet):\n        raise SystemExit(3)",
        "failed in action(): SystemExit: 3",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_it_gives_or_asks_for_may_be_wrong(box: Path, case: str) -> None:
    body, told = WRONG[case]
    with daemon(box, f"    {body}\n") as running:
        running.wait_for_watches(1)
        touch(box, "one")
        running.wait_for(f'Error: plugin "bad" {told}')
        touch(box, "two")
    assert all(line.startswith(f'plugin "bad" {told}') for line in errors(running))
    place = r" \(/\S+/plugin_of_a_test_bad\.py:\d+\)\n"
    assert bool(re.search(place, running.said())) is (case != "a wrong verdict")


def test_a_job_that_raises_is_tried_again(box: Path) -> None:
    body = """
    def action(self, inlet):
        def job(stop):
            raise RuntimeError("no luck")
        inlet.run(inlet.get_events(), job)
"""
    with daemon(box, body) as running:
        running.wait_for_watches(1)
        touch(box, "one")
        running.wait_for("failed: RuntimeError: no luck", times=2)
        touch(box, "two")


RETURNS = {
    "True": "a job must return an exit code, a number from 0 to 255, not True",
    "None": "a job must return an exit code, a number from 0 to 255, not None",
    "1000": "a job must return an exit code, a number from 0 to 255, not 1000",
    "inlet.retry(b'/x')": "of an inlet a job may use source, name, number, log, log_lines, shows, read_program and",
    "inlet.config": "of an inlet a job may use source, name, number, log, log_lines, shows, read_program and",
    "inlet.log('Warning', 'x')": "a category of the log is Normal, Warn, Error, or a name of your own",
}


@pytest.mark.parametrize("returned", RETURNS)
def test_what_a_job_returns_or_does_may_be_wrong(box: Path, returned: str) -> None:
    body = f"""
    def action(self, inlet):
        inlet.run(inlet.get_events(), lambda stop: {returned})
"""
    with daemon(box, body) as running:
        running.wait_for_watches(1)
        touch(box, "one")
        running.wait_for(RETURNS[returned], times=2)
        touch(box, "two")
    assert "Traceback" not in running.said()


LATE = {
    "on_finished": "inlet.spawn(inlet.get_events(), ['true'], on_finished=lambda: 1 / 0)",
    "on_finished of a job": "inlet.run(inlet.get_events(), lambda stop: 0, on_finished=lambda: 1 / 0)",
}


@pytest.mark.parametrize("case", LATE)
def test_what_is_called_when_it_is_over_may_raise(box: Path, case: str) -> None:
    with daemon(box, f"    def action(self, inlet):\n        {LATE[case]}\n") as running:
        running.wait_for_watches(1)
        touch(box, "one")
        running.wait_for("Error: a callback of Sync2 failed: ZeroDivisionError: division by zero (/")
        touch(box, "two")
    assert "Traceback" not in running.said()


def test_a_fault_shows_its_place_and_with_log_all_its_traceback(box: Path) -> None:
    body = "    def action(self, inlet):\n        import json\n        json.loads('no luck')\n"
    plugin = HEAD + body + TAIL
    line = plugin[: plugin.index("json.loads")].count("\n") + 1
    with Daemon(box, "-log", "all", lua=(BESIDE + BAD).format(box=box), plugins={"bad": plugin}) as running:
        running.wait_for("finished.")
        touch(box, "one")
        running.wait_for(f"/plugin_of_a_test_bad.py:{line})")
        running.wait_for("Debug: Traceback (most recent call last):")
        running.process.terminate()  # here, since a traceback is wanted
        assert running.wait() == 143


LOAD = {
    "its import": ("import json\njson.loads('no luck')\n", "json.loads"),
    "orchestrator_actions": (HEAD + "        pass\n" + TAIL.replace("[Bad()]", "[1 / 0]"), "[1 / 0]"),
    "prepare": (HEAD + "        pass\n\n    def prepare(self, *given):\n        1 / 0\n" + TAIL, "1 / 0"),
}


@pytest.mark.parametrize("where", LOAD)
def test_what_fails_at_the_start_has_its_traceback_with_log_debug(box: Path, where: str) -> None:
    """From the plugin's own line on: who called it does not help its author."""
    plugin, raises = LOAD[where]
    line = plugin[: plugin.index(raises)].count("\n") + 1
    with Daemon(box, "-log", "Debug", lua=BAD.format(box=box), plugins={"bad": plugin}) as running:
        assert running.wait() == 255
        begin, _, rest = running.said().partition("Debug: Traceback (most recent call last):\n")
        assert f"/plugin_of_a_test_bad.py:{line})" in begin
        assert re.match(rf'  File "\S+/plugin_of_a_test_bad.py", line {line}, in ', rest)


def test_what_plugins_log_through_loguru_is_in_the_log_file(box: Path) -> None:
    """Though the plugin begins as many programs do, and logs from a thread as well."""
    plugin = """
import sys
from loguru import logger
from orchestrator.api import Action, hookimpl
logger.warning("imported")
logger.remove()
logger.add(sys.stderr, format="its own: {message}")

class Bad(Action):
    name = "bad"

    def init(self, event):
        event.inlet.spawn(event, ["true"])

    def action(self, inlet):
        logger.info("a change of {}", inlet.name)
        inlet.run(inlet.get_events(), self.job)

    def job(self, stop):
        try:
            open("/there/is/none")
        except OSError:
            logger.exception("not pushed")
        logger.log("Exec", "by name")
        return 0

@hookimpl
def orchestrator_actions():
    return [Bad()]
"""
    log = box / "log"
    lua = f'settings {{ logfile = "{log}" }}\nsync {{ default.bad, source = "{box}/source", delay = 0 }}'
    with Daemon(box, "-log", "Exec", lua=lua, plugins={"bad": plugin}) as running:
        running.wait_for_watches(1)
        (box / "source/one").touch()
        running.wait_for("Exec: by name")
        lines = [line[25:] for line in log.read_text().splitlines()]
        running.process.terminate()  # here, since its own sink has a traceback
        assert running.wait() == 143
    assert "Warn: imported" in running.said()
    assert "Normal: a change of Sync1" in lines
    assert "Error: not pushed: FileNotFoundError: [Errno 2] No such file or directory: '/there/is/none'" in lines
    assert "Exec: by name" in lines
    assert not [line for line in lines if "Traceback" in line or "its own" in line]
    assert "its own: a change of Sync1" in running.said()


def test_who_lets_all_wait_is_named(box: Path) -> None:
    body = """
    def action(self, inlet):
        import time
        time.sleep(1.2)
        inlet.spawn(inlet.get_events(), ["true"])
"""
    hooks = """
@hookimpl
def orchestrator_after_collect(verdict):
    import time
    time.sleep(1.3)
"""
    lua = (BESIDE + BAD).format(box=box)
    with Daemon(box, lua=lua, plugins={"bad": HEAD + body + TAIL + hooks}) as running:
        running.wait_for('Warn: hook orchestrator_after_collect of plugin "bad" took ')
        running.wait_for_watches(1)
        touch(box, "one")
        running.wait_for('Warn: plugin "bad" in action() took ')
    for who, least in (("hook orchestrator_after_collect of ", 1.3), ("", 1.2)):
        found = re.findall(rf'Warn: {who}plugin "bad".* took (\d+\.\d) s in which nothing else', running.said())
        times = [float(seconds) for seconds in found]
        assert times[0] >= least
        assert len(times) == 1  # once a minute at most


@pytest.mark.parametrize("answer", ["0", "'no'", "[]"])
def test_a_veto_that_is_no_answer_is_a_veto_and_named(box: Path, answer: str) -> None:
    hooks = f"""
import os
from orchestrator.api import hookimpl

@hookimpl
def orchestrator_before_spawn():
    return None if os.path.exists("works") else {answer}
"""
    with Daemon(box, lua=BESIDE.format(box=box), plugins={"hooks": hooks}) as running:
        running.wait_for_watches(1)
        (box / "source" / "one").touch()
        running.wait_for(f"gave {answer}; it takes True, False or None. Taken as False.")
        running.wait_for('held by plugin "hooks"')
        assert not (box / "target" / "one").exists()
        (box / "works").touch()
        wait_until((box / "target" / "one").exists, "one to arrive")
    assert running.said().count("Taken as False.") == 1


def test_a_callback_that_raises_is_named(box: Path) -> None:
    body = """
    def init(self, event):
        event.inlet.after(0, lambda: 1 / 0)
"""
    with daemon(box, body) as running:
        running.wait_for("Error: a callback of Sync2 failed: ZeroDivisionError: division by zero (")
        running.wait_for_watches(1)
        touch(box, "one")


@pytest.mark.parametrize("given", ["3", "True", "['host']"])
def test_an_endpoint_that_is_none_refuses_the_config(box: Path, given: str) -> None:
    with daemon(box, f"    def endpoint(self, config):\n        return {given}\n") as running:
        assert running.wait() == 255
    assert f'plugin "bad" failed in endpoint(): TypeError: it gave {given}, not a str or None' in running.said()


def test_prepare_that_raises_refuses_the_config(box: Path) -> None:
    with daemon(box, "    def prepare(self, config):\n        raise RuntimeError('no luck')\n") as running:
        assert running.wait() == 255
    (line,) = errors(running) or [running.said()]
    assert 'plugin "bad" failed in prepare(): RuntimeError: no luck' in line
    assert "Traceback" not in running.said()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("spawn.argv.append(None)", "its arguments are no list of bytes: [b'cp',"),
        ("spawn.argv = []", "its arguments are no list of bytes: []"),
        ("spawn.env = {'A': 1}", "its environment is no dict of str: {'A': 1}"),
        ("spawn.env = ['A']", "its environment is no dict of str: ['A']"),
        ("spawn.argv = 3", "its arguments are no list of bytes: 3"),
        ("spawn.argv.append(bytes(1))", "a NUL can be handed to no program"),
    ],
)
def test_a_hook_that_makes_a_spawn_impossible_is_told_and_nothing_is_lost(box: Path, change: str, told: str) -> None:
    plugin = f"""
import os
from orchestrator.api import hookimpl

@hookimpl
def orchestrator_before_spawn(spawn):
    if not os.path.exists("works"):
        {change}
"""
    lua = BESIDE.replace('"cp ^sourcePathname ^targetPathname"', "function( event ) {spawn} end").format(
        box=box, spawn="spawn( event, 'cp', event.sourcePathname, event.targetPathname )"
    )
    with Daemon(box, lua=lua, plugins={"hooks": plugin}) as running:
        running.wait_for_watches(1)
        (box / "source" / "one").touch()
        running.wait_for(f"Error: a hook orchestrator_before_spawn has spoilt a spawn of Sync1: {told}")
        assert not (box / "target" / "one").exists()
        (box / "works").touch()
        wait_until((box / "target" / "one").exists, "one to arrive")


@pytest.mark.parametrize("monitor", ["make", "watch"])
def test_a_monitor_that_raises_is_named(box: Path, monitor: str) -> None:
    plugin = """
from orchestrator.api import Monitor, MonitorKind, hookimpl

class Mine(Monitor):
    def watch(self, root, progress):
        raise RuntimeError("no luck")
    def close(self):
        pass
    fileno = unwatch = read = lost_roots = returned_roots = watched = None

def make(mode, wants, log):
    WHERE
    return Mine()

@hookimpl
def orchestrator_monitors():
    return [MonitorKind("mine", make)]
"""
    plugin = plugin.replace("WHERE", "raise RuntimeError('no luck')" if monitor == "make" else "pass")
    with Daemon(box, "-monitor", "mine", lua=BESIDE.format(box=box), plugins={"mine": plugin}) as running:
        assert running.wait() == 255
    assert errors(running) == ['event monitor "mine" failed: RuntimeError: no luck']
    assert "Traceback" not in running.said()


def test_a_monitor_that_breaks_while_running_stops_its_syncs_and_no_other(box: Path) -> None:
    plugin = """
import os
from orchestrator.api import Monitor, MonitorKind, hookimpl

class Mine(Monitor):
    def __init__(self):
        self.reading, self.writing = os.pipe()
    def fileno(self):
        return self.reading
    def watch(self, root, progress):
        os.write(self.writing, b"x")
    def unwatch(self, root):
        pass
    def read(self):
        raise RuntimeError("no luck")
    def lost_roots(self):
        return []
    def returned_roots(self):
        return []
    def watched(self):
        return []
    def close(self):
        os.close(self.reading)
        os.close(self.writing)

@hookimpl
def orchestrator_monitors():
    return [MonitorKind("mine", lambda mode, wants, log: Mine())]
"""
    text = BESIDE.format(box=box)
    text += f'sync{{default.native, source = "{box}/source", target = "{box}/broken", monitor = "mine"}}\n'
    with Daemon(box, lua=text, plugins={"mine": plugin}) as running:
        running.wait_for("is stopped: its event monitor failed: RuntimeError: no luck")
        (box / "source/later").write_text("")
        wait_until(lambda: (box / "target/later").exists(), "the other sync to go on")
        running.process.terminate()
        assert running.wait() == 255
    assert "Traceback" not in running.said()


# ---- what cannot be loaded ---------------------------------------------------------------------

UNLOADABLE = {
    "import": ("import nosuch\n", "cannot be loaded: ModuleNotFoundError: No module named 'nosuch'"),
    "syntax": ("def\n", "cannot be loaded: SyntaxError: "),
    "version": (HEAD + "ORCHESTRATOR_API = 99" + TAIL, "is written for version 99 of the plugin interface; this is"),
    "endpoint": (HEAD + "    def endpoint(self): ...\n" + TAIL, 'its action "bad" has endpoint(), but it is called as'),
    "signature": (HEAD + "    def collect(self): ...\n" + TAIL, 'its action "bad" has collect(), but it is called as'),
    "hook": (
        HEAD + TAIL + "@hookimpl\ndef orchestrator_fading(colour): ...\n",
        "Plugin 'bad' for hook 'orchestrator_fading' hookimpl definition: orchestrator_fading(colour)",
    ),
    "twice": (HEAD.replace('"bad"', '"rsync"') + TAIL, 'its action "rsync" is there already, from plugin "rsync"'),
}


@pytest.mark.parametrize("case", UNLOADABLE)
def test_a_plugin_that_cannot_be_loaded_is_named_and_all_else_works(box: Path, case: str) -> None:
    source, told = UNLOADABLE[case]
    with Daemon(box, lua=BESIDE.format(box=box), plugins={"bad": source}) as running:
        running.wait_for_watches(1)
        touch(box, "one")
    (line,) = errors(running)
    assert line.startswith(f'plugin "bad" (plugin_of_a_test_bad): {told}')


TOML = '[[sync]]\naction = "bad"\nsource = "{box}/source"\ntarget = "x"\n'


@pytest.mark.parametrize("case", UNLOADABLE)
@pytest.mark.parametrize("language", ["lua", "toml"])
def test_a_config_that_needs_it_says_why_it_is_not_there(box: Path, case: str, language: str) -> None:
    source, told = UNLOADABLE[case]
    text = (TOML if language == "toml" else BESIDE + BAD).format(box=box)
    with Daemon(box, **{language: text}, plugins={"bad": source}) as running:
        assert running.wait() == 255
    first, second = errors(running)
    assert told in first
    toml, lua = f"{box}/config.toml:2: sync[1].action: there is no action", "config.lua:3: there is no default.bad: "
    place = toml if language == "toml" else lua
    assert place in second
    assert told in second


@pytest.mark.parametrize(
    ("sync", "told"),
    [
        ("default.rsnc, ", "config.lua:2: there is no default.rsnc; did you mean default.rsync?"),
        ("default.rsnc, rsync = { archive = true }, ", "config.lua:2: there is no default.rsnc; did you mean"),
        ("default.xyz, ", "config.lua:2: there is no default.xyz."),
    ],
)
def test_a_sync_without_an_action_says_which_one_is_missing(box: Path, sync: str, told: str) -> None:
    with Daemon(box, lua=f'\nsync {{ {sync} source = "{box}/source", target = "{box}/target" }}') as running:
        assert running.wait() == 255
    assert told in running.said()


def test_a_name_that_is_not_there_harms_nobody_who_can_act(box: Path) -> None:
    """As with lsyncd, where nil in a table is nothing at all."""
    lua = BESIDE.replace("sync {{", "sync {{ default.nosuch, ")
    with Daemon(box, lua=lua.format(box=box)) as running:
        running.wait_for_watches(1)
        touch(box, "one")


# ---- types in Lua ------------------------------------------------------------------------------

TYPES = """
class Typed(Bad):
    name = "typed"
    options = {
        "target": Option((str,), None, "where to"),
        "port": Option((int,), 22, "a number"),
        "level": Option((float, bool), None, "one of two"),
        "words": Option((list, str), None, "one or many"),
        "deep": {"flag": Option((bool,), False, "on or off")},
        "any": Option((), None, "anything"),
    }

@hookimpl
def orchestrator_actions():
    return [Typed()]
"""


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ("target = 3", 'Parameter "target" must be a string, not a whole number.'),
        ("port = '22'", 'Parameter "port" must be a whole number, not a string.'),
        ("port = 2.5", 'Parameter "port" must be a whole number, not a number.'),
        ("port = true", 'Parameter "port" must be a whole number, not true or false.'),
        ("level = {}", 'Parameter "level" must be a number or true or false, not a table.'),
        ("words = 1", 'Parameter "words" must be a list or a string, not a whole number.'),
        ("words = function() end", 'Parameter "words" must be a list or a string, not a function.'),
        ("deep = { flag = 'yes' }", 'Parameter "deep.flag" must be true or false, not a string.'),
        ("deep = 1", 'Parameter "deep" must be a table.'),
    ],
)
def test_types_are_checked_in_lua(box: Path, keys: str, told: str) -> None:
    lua = f'\nsync {{ default.typed, source = "{box}/source", {keys} }}'
    with Daemon(box, lua=lua, plugins={"typed": HEAD + TYPES}) as running:
        assert running.wait() == 255
    assert f"config.lua:2: {told}\n" in running.said()


def test_what_fits_is_taken(box: Path) -> None:
    keys = 'target = "x", port = 3.0, level = 1, words = { "a" }, deep = { flag = true }, any = function() end'
    lua = f'sync {{ default.typed, source = "{box}/source", {keys} }}'
    with Daemon(box, lua=lua, plugins={"typed": HEAD + TYPES}) as running:
        running.wait_for("finished.")


def test_lsyncds_own_actions_take_what_they_took(box: Path) -> None:
    keys = 'rsync = { archive = "yes", bwlimit = "100" }, delay = "1"'
    lua = f'sync {{ default.rsync, source = "{box}/source", target = "{box}/target", {keys} }}'
    with Daemon(box, lua=lua) as running:
        running.wait_for("finished.")
