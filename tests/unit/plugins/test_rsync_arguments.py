"""Argument lists and stdin of default.rsync, as lsyncd 2.2.3 hands them over (recorded with a stub rsync)."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.api import ConfigError
from orchestrator.config.model import DictConfig
from orchestrator_rsync.action import Rsync
from orchestrator_rsync.arguments import computed
from orchestrator_rsync.options import OPTIONS, SHORT_FLAGS
from tests.kit.inlet import FakeInlet

BATCH_END = [b"--force", b"--from0", b"--include-from=-", b"--exclude=*", b"/src/", b"/trg/"]


def inlet_of(**config: Any) -> FakeInlet:
    return FakeInlet(Rsync(), {"target": "/trg", **config})


def computed_of(**rsync: Any) -> list[str]:
    return inlet_of(rsync=rsync).config.get("rsync").get("_computed").list()


PLAIN = {"links": False, "times": False, "protect_args": False}


def test_defaults_are_links_protect_args_and_times() -> None:
    assert [sorted(flags) for flags in computed_of()] == [sorted("-lst")]


@pytest.mark.parametrize(("key", "letter"), [(key, letter) for key, letter, _ in SHORT_FLAGS])
def test_each_short_flag_alone(key: str, letter: str) -> None:
    assert computed_of(**{**PLAIN, key: True}) == [f"-{letter}"]


def test_all_short_flags_are_one_argument() -> None:
    (flags,) = computed_of(**{key: True for key, _, _ in SHORT_FLAGS})
    assert sorted(flags) == sorted("-" + "".join(letter for _, letter, _ in SHORT_FLAGS))


def test_no_flag_at_all_makes_no_argument() -> None:
    assert computed_of(**PLAIN) == []


def test_archive_turns_its_flags_on() -> None:
    assert [sorted(flags) for flags in computed_of(archive=True)] == [sorted("-gsloptD")]


def test_archive_leaves_out_what_is_said_otherwise() -> None:
    flags, long = computed_of(archive=True, owner=False, devices=False)
    assert (sorted(flags), long) == (sorted("-gslpt"), "--specials")


@pytest.mark.parametrize(
    ("devices", "specials", "expected"),
    [(True, True, ["-D"]), (True, False, ["--devices"]), (False, True, ["--specials"]), (False, False, [])],
)
def test_devices_and_specials(devices: bool, specials: bool, expected: list[str]) -> None:
    assert computed_of(**PLAIN, devices=devices, specials=specials) == expected


def test_extras_come_before_long_options_and_those_in_lsyncds_order() -> None:
    values = {
        "backup_dir": "x", "bwlimit": 5, "chmod": "u=r", "chown": "a:b", "groupmap": "g", "password_file": "p",
        "rsh": "ssh -p 3", "rsync_path": "rp", "suffix": "s", "temp_dir": "td", "timeout": 7, "usermap": "um",
    }  # fmt: skip
    switches = dict.fromkeys(("append", "append_verify", "existing", "inplace", "copy_unsafe_links"), True)
    assert computed_of(**PLAIN, **values, **switches, _extra=["-a", "--b=c"]) == [
        "-a", "--b=c", "--append", "--append-verify", "--backup-dir=x", "--bwlimit=5", "--chmod=u=r", "--chown=a:b",
        "--copy-unsafe-links", "--groupmap=g", "--existing", "--inplace", "--password-file=p", "--rsh=ssh -p 3",
        "--rsync-path=rp", "--suffix=s", "--temp-dir=td", "--timeout=7", "--usermap=um",
    ]  # fmt: skip


def test_zero_and_empty_are_values() -> None:
    assert computed_of(**PLAIN, bwlimit=0, timeout=0, rsh="") == ["--bwlimit=0", "--rsh=", "--timeout=0"]


def test_a_flag_where_a_value_is_needed_is_refused() -> None:
    with pytest.raises(ConfigError, match=r'^Parameter "rsync.bwlimit" must be a string or a number\.$'):
        computed(DictConfig({"bwlimit": True}))


@pytest.mark.parametrize(
    ("delete", "startup", "running"),
    [(True, True, True), (False, False, False), ("startup", True, False), ("running", False, True)],
)
def test_delete_modes(delete: bool | str, startup: bool, running: bool) -> None:
    inlet = inlet_of(delete=delete, rsync=PLAIN, maxProcesses=2)
    inlet.startup()
    inlet.change("Create", b"/f")
    inlet.end(inlet.spawned[0], 0)
    inlet.turn()
    options = [b"--delete", b"--ignore-errors"]
    assert [spawn.argv for spawn in inlet.spawned] == [
        [b"rsync", *(options if startup else []), b"-r", b"/src/", b"/trg/"],
        [b"rsync", b"-r", *(options if running else []), *BATCH_END],
    ]


def full_run(**config: Any) -> tuple[list[bytes], bytes | None, str]:
    inlet = inlet_of(rsync=PLAIN, **config)
    inlet.startup()
    return inlet.spawned[0].argv, inlet.spawned[0].stdin, inlet.lines("Normal")[0]


def test_full_run_without_rules() -> None:
    argv, stdin, line = full_run()
    assert argv == [b"rsync", b"--delete", b"--ignore-errors", b"-r", b"/src/", b"/trg/"]
    assert (stdin, line) == (None, "recursive startup rsync: /src/ -> /trg/")


def test_full_run_with_excludes() -> None:
    argv, stdin, line = full_run(exclude=["x", "/y/"])
    assert argv == [b"rsync", b"--exclude-from=-", b"--delete", b"--ignore-errors", b"-r", b"/src/", b"/trg/"]
    assert (stdin, line) == (b"x\n/y/", "recursive startup rsync: /src/ -> /trg/ excluding\nx\n/y/")


def test_full_run_with_filters_and_excludes() -> None:
    argv, stdin, line = full_run(filter=["+ /a**", "- /b"], exclude="*.tmp")
    assert argv == [b"rsync", b"--filter=. -", b"--delete", b"--ignore-errors", b"-r", b"/src/", b"/trg/"]
    rules = "+ /a**\n- /b\n- *.tmp"
    assert (stdin, line) == (rules.encode(), "recursive startup rsync: /src/ -> /trg/ filtering\n" + rules)


def test_delete_excluded_is_for_full_runs() -> None:
    inlet = inlet_of(rsync={**PLAIN, "delete_excluded": True}, delete=False)
    inlet.startup()
    inlet.end(inlet.spawned[0], 0)
    inlet.change("Create", b"/f")
    inlet.turn()
    assert inlet.spawned[0].argv == [b"rsync", b"--delete-excluded", b"-r", b"/src/", b"/trg/"]
    assert inlet.spawned[1].argv == [b"rsync", b"-r", *BATCH_END]


def test_full_event_is_told_as_full() -> None:
    inlet = inlet_of()
    inlet.full_event()
    inlet.turn()
    assert inlet.lines("Normal") == ["recursive full rsync: /src/ -> /trg/"]


def test_a_waiting_full_run_is_not_taken_into_a_batch() -> None:
    inlet = inlet_of(maxProcesses=2)
    inlet.change("Create", b"/f")
    inlet.full_event()
    inlet.turn()
    assert [spawn.stdin for spawn in inlet.spawned] == [b"/f\0/", None]


@pytest.mark.parametrize(
    ("target", "expected"),
    [("/trg", "/trg/"), ("/trg/", "/trg/"), ("h:", "h:"), ("h:a", "h:a/"), ("rel", "rel/"), ("h::mod", "h::mod/")],
)
def test_target_gets_a_trailing_slash(target: str, expected: str) -> None:
    assert inlet_of(target=target).config.get("target") == expected


@pytest.mark.parametrize("target", [None, ""])
def test_no_target(target: str | None) -> None:
    with pytest.raises(ConfigError, match=r'^default\.rsync needs "target" configured$'):
        inlet_of(target=target)


def test_computed_is_not_for_users() -> None:
    with pytest.raises(ConfigError, match=r"^please do not use the internal rsync\._computed parameter$"):
        inlet_of(rsync={"_computed": ["-a"]})
    assert "_computed" not in OPTIONS["rsync"]


def test_what_the_users_code_makes_of_computed_is_used() -> None:
    inlet = inlet_of()
    inlet.config.get("rsync").set("_computed", ["-x", ["--one", 2]])
    inlet.startup()
    assert inlet.spawned[0].argv[3:6] == [b"-x", b"--one", b"2"]


def test_binary_and_names_that_are_not_utf8() -> None:
    inlet = inlet_of(rsync={"binary": "/opt/rsync"}, target="/t\udcff")
    inlet.startup()
    assert (inlet.spawned[0].argv[0], inlet.spawned[0].argv[-1]) == (b"/opt/rsync", b"/t\xff/")


def test_nothing_changed_spawns_nothing() -> None:
    inlet = inlet_of()
    Rsync().action(inlet)
    assert inlet.spawned == []


def test_a_batch_is_announced_with_its_list() -> None:
    inlet = inlet_of()
    inlet.change("Create", b"/d/nl\nx")
    inlet.turn()
    assert inlet.lines("Normal") == ["Calling rsync with filter-list of new/modified files/dirs\n/d/nl\nx\n/d/\n/"]
