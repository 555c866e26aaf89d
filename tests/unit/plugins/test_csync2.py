"""default.csync2 as values, and against a stand-in csync2 that records how it is called."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.api import AGAIN, DIE, OK, ConfigError, Verdict
from orchestrator.config.model import DictConfig
from orchestrator.logic.backoff import LONGEST as LONGEST_PAUSE
from orchestrator.sync.host import RunOptions
from orchestrator_csync2.action import Csync2
from orchestrator_csync2.batch import Batch, argument_lists, batch_of, parents_of
from orchestrator_csync2.known import Known, text_of
from orchestrator_csync2.options import settings_of
from orchestrator_csync2.output import HostPath, Output
from tests.kit.daemon import wait_until
from tests.kit.inlet import FakeInlet

if TYPE_CHECKING:
    from pathlib import Path

CONFLICT = b"""\
Prefix 'tree' is set to '/src'.
Connecting to host beta (PLAIN) ...
Updating %tree%/f on beta ...
While syncing file %tree%/f:
response from peer(%tree%/f): beta [10] <- File is also marked dirty here!
File stays in dirty state. Try again later...
Finished with 1 errors.
"""

DOWN = b"ERROR: Connection to remote host `beta' failed.\nFinished with 1 errors.\n"
STAYS = b"File stays in dirty state. Try again later...\n"


# ---- what csync2's words mean -------------------------------------------------------------------


def report_of(text: bytes) -> Output:
    report = Output()
    for line in text.splitlines():
        report.feed(line)
    return report


def test_a_refused_path_is_told_with_the_peers_reason() -> None:
    report = report_of(CONFLICT)
    assert report.refused == {HostPath(b"%tree%/f", b"beta"): b"File is also marked dirty here!"}
    assert report.finished
    assert not report.is_clean


@pytest.mark.parametrize(
    ("path", "real"),
    [(b"%tree%/f", b"/src/f"), (b"%tree%", b"/src"), (b"%other%/f", b"%other%/f"), (b"/a%tree%/f", b"/a%tree%/f")],
)
def test_a_path_is_told_by_its_real_name(path: bytes, real: bytes) -> None:
    assert report_of(CONFLICT).real_path(path) == real


@pytest.mark.parametrize("name", [b"a b", b"new\nline", b"\xff", b'it\'s "q"', b"%", b" on a ..."])
def test_any_name_is_read_as_it_is(name: bytes) -> None:
    text = b"Deleting %%t%%/%s on 127.0.0.2 ...\nFile stays in dirty state. Try again later...\n" % name
    report = report_of(b"Updating /before on 127.0.0.2 ...\n" + text + b"Finished with 1 errors.\n")
    assert list(report.refused) == [HostPath(b"%t%/" + name, b"127.0.0.2")]
    assert report.finished


def test_the_last_try_of_a_run_counts() -> None:
    report = report_of(
        b"Updating /f on beta ...\nFile stays in dirty state. Try again later...\nUpdating /f on beta ...\n"
        b"Finished with 0 errors.\n"
    )
    assert report.is_clean


def test_what_runs_into_the_next_message_is_still_read() -> None:
    report = report_of(
        b"Deleting /f on beta ...\nauto resolving... response = 10File stays in dirty state. Try again later...\n"
    )
    assert list(report.refused) == [HostPath(b"/f", b"beta")]


def test_a_path_may_stay_dirty_without_an_error() -> None:
    report = report_of(
        b"Updating /d/f on beta ...\nFile stays in dirty state. Try again later...\nmissing parent dir : /d\n"
        b"Finished with 0 errors.\n"
    )
    assert report.missing_parent
    assert not report.is_clean


def test_hosts_that_are_down() -> None:
    report = report_of(DOWN)
    assert report.unreachable == {b"beta"}
    assert not report.is_clean


def test_a_run_that_gave_up_has_not_finished() -> None:
    assert not report_of(b"Config error: Can't read keyfile /etc/key.\n").finished


# ---- which paths are handed over ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "trees", "paths"),
    [
        ([("Modify", b"/f")], [], [b"/src/f"]),
        ([("Attrib", b"/d/")], [], [b"/src/d"]),
        ([("Create", b"/d/")], [b"/src/d"], []),
        ([("Delete", b"/d/")], [b"/src/d"], []),
        ([("Create", b"/d/"), ("Create", b"/d/f"), ("Create", b"/d/e/"), ("Modify", b"/d/e/g")], [b"/src/d"], []),
        ([("Create", b"/d/f"), ("Modify", b"/d"), ("Create", b"/dd")], [b"/src/d/f", b"/src/dd"], [b"/src/d"]),
        ([("Delete", b"/f"), ("Attrib", b"/f")], [b"/src/f"], []),
        ([("Move", b"/a"), ("Move", b"/b")], [b"/src/a", b"/src/b"], []),
        (
            [("Modify", b"/-r"), ("Modify", b"/a\nb"), ("Modify", b"/\xff")],
            [],
            [b"/src/-r", b"/src/a\nb", b"/src/\xff"],
        ),
    ],
)
def test_only_what_changed_is_checked(changes: list[tuple[str, bytes]], trees: list[bytes], paths: list[bytes]) -> None:
    assert batch_of(changes, b"/src/") == Batch(trees, paths)


def test_the_root_as_source() -> None:
    assert batch_of([("Modify", b"/f"), ("Create", b"/d/")], b"/") == Batch([b"/d"], [b"/f"])


def test_parents_come_from_the_top() -> None:
    assert parents_of(Batch([b"/src/a/b/c"], [b"/src/f"]), b"/src/") == [b"/src", b"/src/a", b"/src/a/b"]


@given(st.lists(st.binary(min_size=1, max_size=40)), st.integers(min_value=1, max_value=300))
def test_argument_lists_keep_everything_and_the_limit(paths: list[bytes], room: int) -> None:
    lists = list(argument_lists(paths, room))
    assert [path for some in lists for path in some] == paths
    assert all(some for some in lists)
    assert all(sum(len(path) + 9 for path in some) <= room for some in lists if len(some) > 1)


# ---- the config ---------------------------------------------------------------------------------


def config_of(directory: Path, **keys: Any) -> DictConfig:
    (directory / "csync2_web.cfg").touch()
    csync2 = {"config_dir": str(directory), **keys.pop("csync2", {})}
    return DictConfig({"syncid": "web", "csync2": csync2, **keys})


def test_a_sync_needs_a_syncid() -> None:
    with pytest.raises(ConfigError, match=r"^Missing 'syncid' parameter\.$"):
        Csync2().prepare(DictConfig({}))


def test_the_syncids_configuration_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        Csync2().prepare(config_of(tmp_path, syncid="nosuch"))
    assert str(error.value) == f"Invalid 'syncid' parameter: {tmp_path}/csync2_nosuch.cfg: No such file or directory"


def test_a_syncid_that_csync2_would_refuse(tmp_path: Path) -> None:
    (tmp_path / "csync2_My-Web.cfg").touch()
    with pytest.raises(ConfigError, match="Invalid 'syncid' parameter: My-Web: csync2 takes lower case letters"):
        Csync2().prepare(config_of(tmp_path, syncid="My-Web"))


def test_the_system_directory_comes_from_csync2s_own_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "csync2_web.cfg").touch()
    monkeypatch.setenv("CSYNC2_SYSTEM_DIR", str(tmp_path))
    assert settings_of(DictConfig({"syncid": "web"})).environment == {"CSYNC2_SYSTEM_DIR": str(tmp_path)}


def test_every_key_has_its_place_in_the_command(tmp_path: Path) -> None:
    csync2 = {
        "binary": "/opt/csync2",
        "hostname": "alpha",
        "database": "/var/db",
        "port": 30900.0,
        "_extra": ["-P", "beta", "-l"],
    }
    settings = settings_of(config_of(tmp_path, csync2=csync2))
    words = "/opt/csync2 -C web -N alpha -D /var/db -p 30900 -P beta -l"
    assert settings.command == tuple(words.encode().split())


def test_which_syncs_share_a_database(tmp_path: Path) -> None:
    def database(syncid: str, **keys: str) -> tuple[str, ...]:
        (tmp_path / f"csync2_{syncid}.cfg").touch()
        return settings_of(config_of(tmp_path, syncid=syncid, csync2=keys)).database

    assert database("a") == database("a", database="/var/lib/csync2/")
    assert database("a") != database("b"), "csync2 keeps a file for each syncid"
    assert database("a", hostname="x") != database("a", hostname="y")
    assert database("a", database="mysql://host/db") == database("b", database="mysql://host/db")


# ---- at work, with a stand-in for csync2 --------------------------------------------------------


class World:
    """A csync2 that records its arguments and answers as told, and a sync that uses it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.binary = directory / "csync2"
        self.binary.write_text(
            "#!/bin/sh\n"
            'for word; do printf "%s\\0" "$word"; done >>"$0.calls"; printf "\\0" >>"$0.calls"\n'
            '[ -e "$0.answer" ] || { echo "Finished with 0 errors."; exit 0; }\n'
            '. "$0.answer"\n'
        )
        self.binary.chmod(0o755)
        self.action = Csync2()
        self.inlet = self.sync()
        self.ended: list[Verdict] = []

    def sync(self, source: bytes = b"/src/", exitcodes: dict[int, Verdict] | None = None, **csync2: Any) -> FakeInlet:
        (self.directory / "csync2_web.cfg").touch()
        settings = {"binary": str(self.binary), "config_dir": str(self.directory), **csync2}
        config = {"syncid": "web", "csync2": settings, **({"exitcodes": exitcodes} if exitcodes else {})}
        return FakeInlet(self.action, config, source=source)

    def answer(self, script: str) -> None:
        """What csync2 does, as shell: `$*` are its arguments."""
        (self.directory / "csync2.answer").write_text(script)

    def calls(self) -> list[list[bytes]]:
        """Arguments of each call since the last question, without `-C web`, and without the first one's `-L`."""
        record = self.directory / "csync2.calls"
        data = record.read_bytes() if record.exists() else b""
        record.unlink(missing_ok=True)
        calls: list[list[bytes]] = [[]]
        for word in data.split(b"\0")[:-1]:
            if word:
                calls[-1].append(word)
            else:
                calls.append([])
        return [call[2:] for call in calls[:-1] if call[2:] != [b"-L"]]

    def start(self) -> None:
        self.inlet.startup()
        self.run()

    def change(self, *changes: tuple[str, bytes]) -> None:
        """Changes, and the batch that they make."""
        for etype, path in changes:
            self.inlet.change(etype, path)
        self.inlet.turn()
        self.run()

    def wait(self, seconds: float) -> None:
        """Let time pass, and what is due then run."""
        self.inlet.advance(seconds)
        self.inlet.turn()
        self.run()

    def run(self) -> None:
        """Run what was started, one after the other; `ended` are the verdicts."""
        while self.inlet.running:
            self.ended.append(self.inlet.execute(self.inlet.running[0]))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def update_fails(text: bytes) -> str:
    """An answer: checks go well, an update says this and ends with 1."""
    return f"case \"$*\" in *-u*|*-x*) cat <<'END'\n{text.decode()}END\nexit 1;; esac\n"


def test_startup_checks_and_updates_everything(world: World) -> None:
    world.start()
    assert world.calls() == [[b"-c", b"/src"], [b"-x", b"-r", b"-v"]]
    assert world.ended == [OK]
    assert world.inlet.lines("Normal") == [
        "recursive startup csync2: web:/src/",
        "Startup of 'web' instance finished.",
    ]


@pytest.mark.parametrize("is_short", [True, False])
def test_the_log_lists_some_paths_or_all(world: World, is_short: bool) -> None:
    world.inlet.sync.host.run.begin(RunOptions(has_short_lists=is_short))
    world.start()
    world.change(*(("Modify", b"/f%02d" % number) for number in range(12)))
    (said,) = [line.split("\n") for line in world.inlet.lines("Normal") if line.startswith("Processing")]
    names = [f"\tweb:/src/f{number:02}" for number in range(12)]
    assert said == ["Processing syncing list:", *([*names[:10], "(and 2 more)"] if is_short else names)]


def test_a_full_run_is_the_same(world: World) -> None:
    world.inlet.full_event()
    world.wait(0)
    assert world.calls() == [[b"-c", b"/src"], [b"-x", b"-r", b"-v"]]
    assert world.inlet.lines("Normal")[-1] == "Full sync of 'web' instance finished."


def test_a_source_that_csync2_does_not_cover_is_told(world: World) -> None:
    world.answer('[ "$3" != -c ] || echo "WARNING: Parameter will be ignored: /src"; echo "Finished with 0 errors."')
    world.start()
    assert world.inlet.lines("Warn") == ["csync2 web: csync2_web.cfg does not include /src on this host."]


def test_a_batch_checks_the_changed_paths_and_updates(world: World) -> None:
    world.change(("Create", b"/d/"), ("Modify", b'/it\'s "q" \xff'), ("Delete", b"/gone"), ("Create", b"/d/f"))
    assert world.calls() == [
        [b"-cr", b"/src/d", b"/src/gone"],
        [b"-c", b'/src/it\'s "q" \xff'],
        [b"-u", b"-v"],
    ]
    assert world.ended == [OK]
    assert world.inlet.lines("Normal")[-1] == "Finished events list = 0"


def test_scratch_files_of_csync2s_are_left_out(world: World, tmp_path: Path) -> None:
    world.inlet = world.sync(os.fsencode(tmp_path) + b"/")
    world.answer('case "$*" in *-L*) printf "v1\\t%%tree%%/d/.old.AbCdEf\\n";; esac; echo "Finished with 0 errors."')
    (tmp_path / ".there.AbCdEf").touch()
    names = [
        b"/.f.AbCdEf",
        b"/.f.g.AAAAAA",
        b"/d/.old.AbCdEf",
        b"/.there.AbCdEf",
        b"/f.AbCdEf",
        b"/.f.AbCdE",
        b"/.a\nb.AbCdEf",
    ]
    world.change(*(("Modify", name) for name in names))
    top = os.fsencode(tmp_path)
    assert world.calls() == [[b"-c", *(top + name for name in names[2:])], [b"-u", b"-v"]]

    (tmp_path / ".there.AbCdEf").unlink()
    world.change(("Delete", b"/.there.AbCdEf"), ("Delete", b"/.f.AbCdEf"))
    there = top + b"/.there.AbCdEf"
    assert world.calls() == [[b"-cr", there], [b"-u", b"-v"]], "it was handed over when it existed"

    world.inlet.logged.clear()
    world.change(("Delete", b"/.f.AbCdEf"), ("Modify", b"/.g.AbCdEf"))
    assert world.calls() == []
    assert world.ended[-1] == OK
    assert {category for category, _ in world.inlet.logged} <= {"Delay"}


def test_no_file_is_taken_for_scratch_while_csync2_cannot_list_what_it_knows(world: World) -> None:
    world.answer('case "$*" in *-L*) exit 1;; esac; echo "Finished with 0 errors."')
    world.change(("Delete", b"/.f.AbCdEf"))
    assert world.calls() == [[b"-cr", b"/src/.f.AbCdEf"], [b"-u", b"-v"]]


def test_a_name_that_csync2_has_sent_is_no_scratch(world: World) -> None:
    world.answer(
        'case "$*" in *-u*) echo "Updating %tree%/new/.f.AbCdEf on beta ...";; esac; echo "Finished with 0 errors."'
    )
    world.change(("Create", b"/new/"))
    world.change(("Delete", b"/new/.f.AbCdEf"))
    name = b"/src/new/.f.AbCdEf"
    assert world.calls()[2:] == [[b"-cr", name], [b"-m", name], [b"-u", b"-v"]], "gone so soon, it may not be known"


def test_what_csync2_cannot_see_is_marked(world: World, tmp_path: Path) -> None:
    world.inlet = world.sync(os.fsencode(tmp_path) + b"/")
    path = os.fsencode(tmp_path / "f")

    def write(text: str, when: int) -> None:
        (tmp_path / "f").write_text(text)
        os.utime(path, (when, when))

    seen, marked = [b"-u", b"-v"], [[b"-m", path], [b"-u", b"-v"]]
    write("same size", 1000)
    world.change(("Create", b"/f"))
    world.change(("Modify", b"/f"), ("Modify", b"/gone"), ("Attrib", b"/"))
    assert [call for call in world.calls() if call[0] == b"-m"] == [], "csync2 has seen it as it is"
    write("SAME SIZE", 1000)
    world.change(("Modify", b"/f"))
    assert world.calls()[1:] == marked, "written in the second in which csync2 looked"
    write("same size", 2000)
    world.change(("Modify", b"/f"))
    assert world.calls()[1:] == [seen], "csync2 sees that it has another time"
    write("Same Size", 1000)
    world.change(("Move", b"/f"))
    assert world.calls()[1:] == marked, "written, and given the time of before"
    world.change(("Attrib", b"/f"))
    assert world.calls()[1:] == [seen]


def test_what_came_again_since_csync2_last_looked_is_marked(world: World, tmp_path: Path) -> None:
    """Directories, and links, are all alike to it: one that came, went and came again is no news."""
    world.inlet = world.sync(os.fsencode(tmp_path) + b"/")
    (tmp_path / "d").mkdir()
    (tmp_path / "l").symlink_to("nowhere")
    (tmp_path / "new").mkdir()
    lines = [
        b"printf '%%s\\t%%s\\n' '%s' '%%tree%%/%s'" % (text_of((tmp_path / name).lstat()), name.encode())
        for name in ("d", "l")
    ]
    listing = "; ".join(line.decode() for line in lines)
    world.answer(f'case "$*" in *-L*) {listing};; esac; echo "Finished with 0 errors."')
    world.start()
    world.calls()
    (tmp_path / "d").rmdir()
    (tmp_path / "d").mkdir()
    (tmp_path / "l").unlink()
    (tmp_path / "l").symlink_to("nowhere")
    world.change(("Create", b"/d/"), ("Create", b"/l"), ("Create", b"/gone"), ("Create", b"/new/"))
    top = os.fsencode(tmp_path)
    assert world.calls()[1:] == [[b"-m", top + b"/d", top + b"/l"], [b"-u", b"-v"]]


def test_what_another_host_has_delivered_is_not_marked(world: World, tmp_path: Path) -> None:
    """It would count as changed on both hosts, and never come to rest where that one changes it once more."""
    world.inlet = world.sync(os.fsencode(tmp_path) + b"/")
    world.start()
    for when in (1000, 2000):
        (tmp_path / "f").write_text("from there")
        os.utime(tmp_path / "f", (when, when))
        world.change(("Create", b"/f"))
        world.change(("Modify", b"/f"))
    (tmp_path / "f").unlink()
    world.wait(10)
    world.change(("Delete", b"/f"))
    assert not [call for call in world.calls() if call[0][:2] == b"-m"]


def test_what_csync2_listed_and_has_not_changed_since_is_not_marked(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path / "f")
    (tmp_path / "f").write_text("f")
    line = text_of(os.stat(path)) + b"\t%tree%" + path[path.rindex(b"/") :]
    for later, is_racy in ((-100.0, True), (100.0, False)):
        known = Known(lambda later=later: time.time() + later)  # type: ignore[misc]
        listed = known.begin_list()
        listed.feed(line)
        listed.end()
        assert known.is_racy(path) is is_racy
        assert not known.is_racy(os.fsencode(tmp_path))


def test_what_a_killed_csync2_may_have_forgotten_is_marked(world: World) -> None:
    world.answer('case "$*" in *-cr*) kill -9 $$;; esac; echo "Finished with 0 errors."')
    world.change(("Create", b"/d/"), ("Modify", b"/f"))
    assert world.ended[-1] == AGAIN
    assert [call[0] for call in world.calls()] == [b"-cr"]
    world.answer('echo "Finished with 0 errors."')
    world.wait(2)
    calls = [[b"-cr", b"/src/d"], [b"-c", b"/src/f"], [b"-mr", b"/src/d"], [b"-m", b"/src/f"], [b"-u", b"-v"]]
    assert world.calls() == calls
    world.change(("Modify", b"/f"))
    assert world.calls() == [[b"-c", b"/src/f"], [b"-u", b"-v"]]


def test_what_a_killed_startup_may_have_forgotten_is_marked(world: World) -> None:
    world.answer('case "$*" in *-x*) kill -9 $$;; esac; echo "Finished with 0 errors."')
    world.start()
    assert world.ended[-1] == AGAIN
    world.calls()
    world.answer('echo "Finished with 0 errors."')
    world.wait(2)
    assert [call[0] for call in world.calls()] == [b"-c", b"-x", b"-mr", b"-u"]


def test_nothing_to_do_runs_nothing(world: World) -> None:
    world.action.action(world.inlet)
    assert world.inlet.spawned == []


def test_a_long_batch_is_checked_in_several_runs(world: World) -> None:
    paths = [b"/%0200d" % number for number in range(20_000)]
    world.change(*(("Modify", path) for path in paths))
    *checks, update = world.calls()
    assert len(checks) > 1
    assert [path for check in checks for path in check[1:]] == [b"/src" + path for path in paths]
    assert {check[0] for check in checks} == {b"-c"}
    assert update == [b"-u", b"-v"]


def test_a_failed_check_is_tried_again_as_a_whole(world: World) -> None:
    world.answer('echo "Database backend is exceedingly busy => Terminating (requesting retry)."; exit 1')
    world.change(("Modify", b"/f"))
    world.wait(1)
    assert world.calls() == [[b"-c", b"/src/f"]] * 2, "what is not noted is not updated"
    assert world.ended == [AGAIN] * 2
    busy = "csync2 web: Database backend is exceedingly busy => Terminating (requesting retry)."
    assert world.inlet.lines("Warn") == [busy], "told once"


def test_a_startup_that_gives_up_is_judged_by_the_common_rule(world: World) -> None:
    world.answer('echo "Config error: Can\'t read keyfile /etc/key."; exit 1')
    world.start()
    assert world.ended == [AGAIN]
    assert world.inlet.lines("Normal")[-1] == 'Retrying startup of "/src/": 1'
    assert world.inlet.lines("Warn") == ["csync2 web: Config error: Can't read keyfile /etc/key."]


def test_a_host_that_is_down_is_tried_with_growing_pauses(world: World) -> None:
    world.answer(update_fails(DOWN))
    world.change(("Modify", b"/f"))
    assert world.ended == [OK], "csync2 has noted it: the queue need not keep it"
    assert world.inlet.was_partial
    assert world.inlet.lines("Normal")[-1] == "Finished events list = 1; not every host has everything yet"
    world.calls()
    for pause in [1, 2, 4, 8, 16, 32, 64, 128, 256, LONGEST_PAUSE, LONGEST_PAUSE]:
        world.wait(pause - 0.1)
        assert world.calls() == []
        world.wait(0.1)
        assert world.calls() == [[b"-u", b"-v"]], "nothing is checked again"
    assert set(world.ended) == {OK}, "and nothing else is held up"
    assert world.inlet.was_partial
    down = "csync2 web: no connection to beta: what it has to get is kept and tried again."
    assert world.inlet.lines("Warn") == [down]

    world.answer('echo "Finished with 0 errors."')
    world.wait(LONGEST_PAUSE)
    assert world.calls() == [[b"-u", b"-v"]]
    world.wait(10 * LONGEST_PAUSE)
    assert world.calls() == []
    assert world.inlet.lines("Normal")[-2:] == [
        "csync2 web: beta answers again.",
        "csync2 web: everything has been delivered.",
    ]


def test_a_startup_with_a_host_down_goes_on(world: World) -> None:
    world.answer(update_fails(DOWN))
    world.start()
    assert world.ended == [OK]
    assert world.inlet.lines("Normal")[-1] == "Startup of 'web' instance finished; not every host has everything yet."
    world.calls()
    world.wait(1)
    assert world.calls() == [[b"-u", b"-v"]]


def test_a_directory_that_cannot_be_read_is_told(world: World) -> None:
    world.answer(update_fails(b"Permission denied in scandir: /src/d (%tree%/d)\nFinished with 1 errors.\n"))
    world.start()
    assert world.inlet.lines("Warn") == ["csync2 web: Permission denied in scandir: /src/d (%tree%/d)"]
    assert world.ended == [OK]


def test_no_pause_after_a_failure_is_shorter_than_the_delay(world: World) -> None:
    world.inlet.config.set("delay", 600)
    world.answer(update_fails(DOWN))
    world.start()
    world.calls()
    for _ in range(2):
        world.wait(599)
        assert world.calls() == []
        world.wait(2)
        assert world.calls() == [[b"-u", b"-v"]]


def test_a_batch_delivers_what_was_left(world: World) -> None:
    world.answer(update_fails(DOWN))
    world.change(("Modify", b"/f"))
    world.change(("Modify", b"/g"))
    world.calls()
    world.wait(1)
    assert world.calls() == [[b"-u", b"-v"]], "one try for all that is left"
    world.answer('echo "Finished with 0 errors."')
    world.change(("Modify", b"/h"))
    world.calls()
    world.wait(LONGEST_PAUSE)
    assert world.calls() == [], "there is nothing left to try"


def test_the_rest_goes_with_a_transfer_that_runs(world: World) -> None:
    world.answer(update_fails(DOWN))
    world.change(("Modify", b"/f"))
    world.inlet.change("Modify", b"/g")
    world.inlet.turn()
    world.inlet.advance(LONGEST_PAUSE)
    assert len(world.inlet.running) == 1, "one at a time"
    world.answer('echo "Finished with 0 errors."')
    world.run()
    assert world.inlet.lines("Normal")[-2] == "csync2 web: everything has been delivered."


def test_the_rest_waits_for_the_global_limit(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.answer(update_fails(DOWN))
    world.change(("Modify", b"/f"))
    world.calls()
    with monkeypatch.context() as patch:
        patch.setattr(type(world.inlet), "max_processes_reached", lambda inlet: "global")
        world.wait(LONGEST_PAUSE)
        assert world.calls() == []
    world.wait(1)
    assert world.calls() == [[b"-u", b"-v"]]


def test_a_conflict_is_told_once_and_kept_in_the_status(world: World) -> None:
    world.answer(update_fails(CONFLICT))
    world.change(("Modify", b"/f"))
    once_more_for_the_reason = [b"-u", b"-v", b"-v", b"-v"]
    assert world.calls() == [[b"-c", b"/src/f"], [b"-u", b"-v"], once_more_for_the_reason]
    world.wait(1)
    assert world.calls() == [[b"-u", b"-v"]], "known by now"
    assert world.inlet.lines("Warn") == [
        (
            "csync2 web: 1 not taken, needs attention (a conflict: csync2 -f PATH on the host that shall win):\n"
            "\t/src/f on beta: File is also marked dirty here!"
        )
    ]
    assert world.inlet.retrying == 1
    assert world.inlet.sync.status()["conflicts"] == ["/src/f"], "also after a run that was not asked for the reason"
    world.answer('echo "Finished with 0 errors."')
    world.wait(2)
    assert world.inlet.retrying == 0
    assert world.inlet.sync.status()["conflicts"] == []
    assert world.inlet.lines("Normal")[-1] == "csync2 web: everything has been delivered."


def test_a_refused_path_is_not_forgotten_while_its_host_is_down(world: World) -> None:
    world.answer(update_fails(CONFLICT))
    world.change(("Modify", b"/f"))
    world.answer(update_fails(DOWN))
    world.change(("Modify", b"/g"))
    assert world.inlet.retrying == 1
    assert world.inlet.sync.status()["conflicts"] == ["/src/f"]
    world.answer(update_fails(CONFLICT))
    world.change(("Modify", b"/h"))
    assert sum("not taken" in text for text in world.inlet.lines("Warn")) == 1


def test_a_parent_that_csync2_does_not_know_is_checked_too(world: World) -> None:
    world.answer(
        'case "$*" in *-u*) [ -e "$0.known" ] || cat <<END\n'
        f"Updating /src/d/e/f on beta ...\n{STAYS.decode()}missing parent dir : /src/d/e\n"
        'END\n;; *"-c /src /src/d"*) touch "$0.known";; esac\necho "Finished with 0 errors."\n'
    )
    world.change(("Create", b"/d/e/f"))
    parents = [b"-c", b"/src", b"/src/d", b"/src/d/e"]
    assert world.calls() == [[b"-cr", b"/src/d/e/f"], [b"-u", b"-v"], parents, [b"-u", b"-v"]]
    assert world.ended == [OK]
    assert world.inlet.lines("Warn") == []


def test_left_dirty_without_an_error_counts_as_1(world: World) -> None:
    world.answer(
        'case "$*" in *-u*) echo "Updating /f on beta ..."; '
        f'echo "{STAYS.decode().strip()}";; esac\necho "Finished with 0 errors."\n'
    )
    world.change(("Modify", b"/f"))
    assert world.inlet.lines("Normal")[-1] == "Finished events list = 1; not every host has everything yet"
    world.calls()
    world.wait(1)
    assert world.calls() == [[b"-u", b"-v"]]


def test_the_users_own_table_has_the_last_word(world: World) -> None:
    world.inlet = world.sync(exitcodes={0: OK, 1: DIE})
    world.answer(update_fails(CONFLICT))
    world.change(("Modify", b"/f"))
    assert world.ended == [DIE]


def test_a_csync2_killed_by_a_signal(world: World) -> None:
    world.answer("kill -9 $$")
    world.change(("Modify", b"/f"))
    assert world.ended == [AGAIN]
    assert world.inlet.lines("Normal")[-1] == "Retrying (list): 137"


def test_no_such_program(world: World) -> None:
    world.binary.unlink()
    world.change(("Modify", b"/f"))
    assert world.inlet.lines("Error")[-1] == "Unknown exitcode (list): 255"
    assert world.inlet.lines("Error")[0].startswith(f"Failed executing [ {world.binary} ]!")


def test_a_dry_run_lists_and_changes_nothing(world: World) -> None:
    world.inlet = world.sync(dry_run=True)
    world.answer('case "$*" in *-u*) echo "?M: beta            /src/f";; esac; echo "Finished with 0 errors."')
    world.change(("Modify", b"/f"))
    assert world.calls()[-1] == [b"-u", b"-d", b"-v"]
    assert "csync2: ?M: beta            /src/f" in world.inlet.lines("Normal")
    world.calls()
    world.wait(LONGEST_PAUSE)
    assert world.calls() == []


def test_verbose_logs_what_csync2_says(world: World) -> None:
    world.inlet = world.sync(verbose=True)
    world.change(("Modify", b"/f"))
    assert world.calls() == [[b"-c", b"-v", b"/src/f"], [b"-u", b"-v"]]
    assert world.inlet.lines("Normal").count("csync2: Finished with 0 errors.") == 2


def test_the_commands_are_shown_to_who_asks(world: World) -> None:
    world.change(("Modify", b"/a b"))
    assert f"{world.binary} [-C] [web] [-c] [/src/a b]" in world.inlet.lines("Exec")


class Worker:
    """A sync's batch in a thread, as the core runs it; `code` is what it ended with."""

    def __init__(self, inlet: FakeInlet) -> None:
        inlet.change("Modify", b"/f")
        inlet.turn()
        self.stop = threading.Event()
        self.code: int | None = None
        self._spawn = inlet.running[0]
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        assert self._spawn.job is not None
        self.code = self._spawn.job(self.stop)

    def join(self) -> int | None:
        self._thread.join(30)
        return self.code


def test_a_stopped_job_takes_its_csync2_along(world: World) -> None:
    world.answer('echo $$ >"$0.pid"; exec sleep 600')
    worker = Worker(world.inlet)
    pid = wait_for_pid(world.directory / "csync2.pid")
    worker.stop.set()
    assert worker.join() == 143
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_what_csync2_leaves_in_the_background_does_not_hold_up(world: World) -> None:
    world.answer('case "$*" in *-u*) sleep 600 & echo $! >"$0.pid";; esac; echo "Finished with 0 errors."')
    started = time.monotonic()
    try:
        world.change(("Modify", b"/f"))
    finally:
        os.kill(wait_for_pid(world.directory / "csync2.pid"), 9)
    assert world.ended == [OK]
    assert time.monotonic() - started < 60


def wait_for_pid(file: Path) -> int:
    wait_until(lambda: file.exists() and file.read_text().strip(), "the stand-in")
    return int(file.read_text())


OVERLAP = """
mkdir "$0.busy" 2>/dev/null || echo overlap >>"$0.overlaps"
sleep 0.05
rmdir "$0.busy"
echo "Finished with 0 errors."
"""


def test_syncs_that_share_a_database_take_turns(world: World) -> None:
    world.answer(OVERLAP)
    workers = [Worker(world.sync()) for _ in range(4)]
    assert [worker.join() for worker in workers] == [0] * 4
    assert not (world.directory / "csync2.overlaps").exists()


def test_a_job_that_waits_for_its_turn_can_be_stopped(world: World) -> None:
    world.answer('echo $$ >"$0.pid"; exec sleep 600')
    first = Worker(world.inlet)
    wait_for_pid(world.directory / "csync2.pid")
    second = Worker(world.sync())
    second.stop.set()
    assert second.join() == 143
    first.stop.set()
    assert first.join() == 143
    assert (world.directory / "csync2.calls").read_bytes().count(b"\0\0") == 1, "the second one started none"
