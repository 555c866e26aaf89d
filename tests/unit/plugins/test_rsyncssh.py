"""default.rsyncssh: arguments, remote quoting, and moves done by a shell that stands for the remote one."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.api import ConfigError
from orchestrator_rsyncssh.action import RsyncSsh
from orchestrator_rsyncssh.moves import LINK, Move, Mv, script
from orchestrator_rsyncssh.options import OPTIONS
from orchestrator_rsyncssh.ssh import command
from tests.kit.inlet import FakeInlet
from tests.kit.trees import HOSTILE, Pair, snapshot, write

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = {"links": False, "times": False, "protect_args": False}


def inlet_of(**config: Any) -> FakeInlet:
    return FakeInlet(RsyncSsh(), {"host": "HOST", "targetdir": "/t/d", "rsync": PLAIN, **config})


def probe(inlet: FakeInlet, exit_code: int = 81, stderr: bytes = b"") -> None:
    """The other side is found out about: by default, to be as most are."""
    inlet.turn()
    inlet.end(inlet.running[0], exit_code, stderr)
    inlet.turn()


def move_of(inlet: FakeInlet) -> list[bytes]:
    inlet.change("Move", b"/a/x", b"/e/x2")
    probe(inlet)
    return inlet.spawned[-1].argv


MV = [b"mv", b"-T", b"--", b"'/t/d/a/x'", b"'/t/d/e/x2'"]


def test_rsync_is_asked_what_it_can_delete_as_the_host_is_about_moves(tmp_path: Path) -> None:
    """Two questions, and neither is taken for the other."""
    source = os.fsencode(tmp_path) + b"/"
    config = {"host": "HOST", "targetdir": "/t/d", "rsync": {"listed": True}}
    inlet = FakeInlet(RsyncSsh(), config, source=source)
    inlet.change("Delete", b"/gone")
    inlet.change("Move", b"/a", b"/b")
    inlet.turn()
    assert b"--dry-run" in inlet.running[0].argv
    assert inlet.end(inlet.running[0], 0) == "ok"
    inlet.turn()
    assert inlet.running[0].stdin == b"./gone\0"
    inlet.end(inlet.running[0], 0)
    probe(inlet)
    assert b"'/t/d/a'" in inlet.spawned[-1].argv or b"/t/d" in (inlet.spawned[-1].stdin or b"")
    inlet.end(inlet.running[0], 0)
    assert not list(inlet.sync.queue)


def test_startup_goes_to_host_and_directory() -> None:
    inlet = inlet_of()
    inlet.startup()
    assert inlet.spawned[0].argv == [b"rsync", b"--delete", b"--ignore-errors", b"-r", b"/src/", b"HOST:/t/d/"]
    assert inlet.lines("Normal") == ["recursive startup rsync: /src/ -> HOST:/t/d/"]


def test_a_move_is_done_on_the_target_and_no_login_shell_reads_a_name() -> None:
    inlet = inlet_of()
    assert move_of(inlet) == [b"ssh", b"HOST", b"sh"]
    assert b"m '/a' 'x' '/e' 'x2' || f=1\n" in (inlet.spawned[-1].stdin or b"")
    assert inlet.lines("Normal") == ["Moving a/x -> e/x2"]
    assert inlet.end(inlet.spawned[-1], 0) == "ok"
    assert inlet.lines("Normal")[-1] == "Finished Move /src//a/x: 0"
    assert inlet.waiting == []


def test_a_host_is_found_out_about_once() -> None:
    inlet = inlet_of()
    for turn in range(3):
        inlet.change("Move", b"/a%d" % turn, b"/b%d" % turn)
        inlet.turn()
        if not turn:
            probe(inlet)
        inlet.end(inlet.running[0], 0)
    assert [spawn.argv for spawn in inlet.spawned] == [[b"ssh", b"HOST", b"sh"]] * 4
    assert inlet.spawned[0].paths == []


def test_two_syncs_of_one_host_ask_it_once() -> None:
    action = RsyncSsh()
    first, second = (FakeInlet(action, {"host": "HOST", "targetdir": "/t", "rsync": PLAIN}) for _ in range(2))
    move_of(first)
    second.change("Move", b"/a", b"/b")
    second.turn()
    assert b"m '' 'a' '' 'b'" in (second.spawned[0].stdin or b"")


SSH = {"identityFile": "/k", "port": 22, "options": {"A": "b", "C": "d e"}, "_extra": ["-v", "-x"]}


def test_ssh_settings_go_to_both() -> None:
    inlet = inlet_of(ssh=SSH, maxProcesses=1)
    inlet.startup()
    inlet.end(inlet.spawned[0], 0)
    assert inlet.spawned[0].argv[3] == b"--rsh=ssh -i /k -o A=b -o 'C=d e' -p 22 -v -x"
    ssh = [b"ssh", b"-i", b"/k", b"-o", b"A=b", b"-o", b"C=d e", b"-p", b"22", b"-v", b"-x", b"HOST"]
    assert move_of(inlet)[: len(ssh)] == ssh


def test_without_ssh_settings_moves_use_rsyncs_rsh() -> None:
    argv = move_of(inlet_of(rsync={**PLAIN, "rsh": "/opt/ssh -p 77 -i 'a key'"}))
    assert argv[:6] == [b"/opt/ssh", b"-p", b"77", b"-i", b"a key", b"HOST"]


@pytest.mark.parametrize(
    ("rsync", "login"),
    [
        ({"rsh": "ssh -i /k"}, ["ssh", "-i", "/k"]),
        ({"_extra": ["-e", "ssh -i /k"]}, ["ssh", "-i", "/k"]),
        ({"_extra": ["-essh -i /k"]}, ["ssh", "-i", "/k"]),
        ({"_extra": ["-ve", "ssh -i '/k 2'"]}, ["ssh", "-i", "/k 2"]),
        ({"_extra": ["--rsh=ssh -i /k"]}, ["ssh", "-i", "/k"]),
        ({"_extra": ["--rsh", "ssh -i /k"]}, ["ssh", "-i", "/k"]),
        ({"_extra": ["-e", "ssh -i /old"], "rsh": "ssh -i /k"}, ["ssh", "-i", "/k"]),
        ({"_extra": ["-B", "700", "-Me", "-Te"]}, ["ssh"]),
        ({}, ["ssh"]),
    ],
)
def test_moves_log_in_as_rsync_does_wherever_that_is_said(rsync: dict[str, Any], login: list[str]) -> None:
    config = inlet_of(rsync={**PLAIN, **rsync}).config
    assert command(config, {}) == login
    of_environment = ["ssh", "-i", "/env"] if login == ["ssh"] else login
    assert command(config, {"RSYNC_RSH": "ssh -i /env"}) == of_environment


def test_settings_for_ssh_are_added_to_what_rsh_says() -> None:
    inlet = inlet_of(rsync={**PLAIN, "rsh": "ssh -i /k"}, ssh={"binary": "/opt/ssh", "port": "22"})
    assert inlet.config.get("rsync").get("_computed").list() == ["--rsh=ssh -i /k", "--rsh=ssh -i /k -p 22"]
    assert move_of(inlet)[:6] == [b"/opt/ssh", b"-i", b"/k", b"-p", b"22", b"HOST"]


def test_a_program_for_moves_alone_does_not_get_the_arguments_of_another() -> None:
    inlet = inlet_of(rsync={**PLAIN, "rsh": "foo -x"}, ssh={"binary": "/opt/ssh", "port": "22"})
    assert inlet.config.get("rsync").get("_computed").list() == ["--rsh=foo -x", "--rsh=foo -x -p 22"]
    assert move_of(inlet)[:4] == [b"/opt/ssh", b"-p", b"22", b"HOST"]


@pytest.mark.parametrize(
    ("host", "for_rsync", "for_ssh"),
    [
        ("[::1]", "[::1]", "::1"),
        ("me@[fe80::1%eth0]", "me@[fe80::1%eth0]", "me@fe80::1%eth0"),
        ("::1", "[::1]", "::1"),
        ("me@fe80::1", "me@[fe80::1]", "me@fe80::1"),
        ("me@host", "me@host", "me@host"),
    ],
)
def test_an_ipv6_address_has_brackets_for_rsync_and_none_for_ssh(host: str, for_rsync: str, for_ssh: str) -> None:
    inlet = inlet_of(host=host)
    assert inlet.config.get("target") == f"{for_rsync}:/t/d/"
    assert move_of(inlet)[1] == for_ssh.encode()


@pytest.mark.parametrize(
    ("targetdir", "target"),
    [("/t", "HOST:/t/"), ("/t/", "HOST:/t/"), ("x:", "HOST:x:"), ("rel", "HOST:rel/")],
)
def test_trailing_slash(targetdir: str, target: str) -> None:
    assert inlet_of(targetdir=targetdir).config.get("target") == target


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"host": None}, 'default.rsyncssh needs "host" configured'),
        ({"targetdir": None}, 'default.rsyncssh needs "targetdir" configured'),
        ({"targetdir": ""}, 'default.rsyncssh needs "targetdir" configured'),
        ({"maxProcesses": 2}, "default.rsyncssh must have maxProcesses set to 1."),
        ({"rsync": {"_computed": []}}, "please do not use the internal rsync._computed parameter"),
    ],
)
def test_config_errors(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        inlet_of(**config)
    assert str(caught.value) == message


def test_target_is_not_a_key() -> None:
    assert "target" not in OPTIONS


def test_a_batch_ends_at_the_next_move() -> None:
    inlet = inlet_of()
    inlet.change("Create", b"/n")
    inlet.change("Move", b"/a/x", b"/e/x2")
    inlet.change("Move", b"/a/y", b"/e/y2")
    inlet.change("Create", b"/n2")
    inlet.change("Delete", b"/top")
    inlet.turn()
    inlet.end(inlet.running[0], 0)
    probe(inlet)
    for _ in range(2):
        inlet.turn()
        inlet.end(inlet.running[0], 0)
    assert [spawn.argv[0] for spawn in inlet.spawned] == [b"rsync", b"ssh", b"ssh", b"rsync"]
    assert [spawn.stdin for spawn in inlet.spawned[::3]] == [b"/n\0/", b"/n2\0/\0/top"]
    assert [line for line in inlet.lines("Normal")[1:] if line != "Finished (list): 0"] == [
        "Moving a/x -> e/x2", "Moving a/y -> e/y2",
        "Calling rsync with filter-list of new/modified files/dirs\n/n2\n/\n/top",
    ]  # fmt: skip


def test_exit_codes_of_moves_are_sshs_and_those_of_lists_rsyncs() -> None:
    inlet = inlet_of()
    inlet.startup()
    assert inlet.end(inlet.spawned[0], 24) == "ok"
    move_of(inlet)
    assert inlet.end(inlet.spawned[-1], 255) == "again"
    assert inlet.lines("Normal")[-1] == "Retrying Move /src//a/x: 255"


@pytest.mark.parametrize("delete", [True, False])
def test_a_move_that_failed_goes_by_rsync_the_old_name_too(delete: bool) -> None:
    inlet = inlet_of(delete=delete)
    move_of(inlet)
    assert inlet.end(inlet.spawned[-1], 1) == "ok"
    assert inlet.waiting == [("Delete", b"/a/x"), ("Create", b"/e/x2")]
    inlet.turn()
    assert (b"--delete" in inlet.spawned[-1].argv) == delete


def test_a_symlink_in_the_way_is_warned_of() -> None:
    inlet = inlet_of()
    move_of(inlet)
    inlet.end(inlet.spawned[-1], 1, LINK + b"\n")
    assert inlet.lines("Warn") == ["A symlink on the target is in the way of a move, and was not followed."]


COMPLAINT = b"mv: cannot stat '/t/d/%b': No such file or directory\n"


def missing_name(inlet: FakeInlet) -> bytes:
    return inlet.running[0].argv[-1].strip(b"'").rpartition(b"/")[2]


def test_where_no_sh_can_be_run_each_move_is_an_mv_of_its_own() -> None:
    """A forced command may let mv through, and no sh."""
    inlet = inlet_of()
    inlet.change("Move", b"/a/x", b"/e/x2")
    inlet.change("Move", b"/a/y", b"/e/y2")
    probe(inlet, 126)
    name = missing_name(inlet)
    assert inlet.running[0].argv == [b"ssh", b"HOST", b"mv", b"-T", b"--", *[b"'/t/d/%b'" % name] * 2]
    probe(inlet, 1, b"Welcome!\n" + COMPLAINT % name)
    assert inlet.spawned[-1].argv == [b"ssh", b"HOST", *MV]
    inlet.end(inlet.running[0], 0)
    inlet.turn()
    assert inlet.spawned[-1].argv[-1] == b"'/t/d/e/y2'"
    assert inlet.lines("Warn") == ["HOST runs no sh for us: renames are done by one mv each."]


@pytest.mark.parametrize("name", [b"a\nb", b"a!b", b"a'b", b"a\\b", b"a\rb"], ids=repr)
def test_there_a_name_that_some_login_shell_misreads_is_transferred(name: bytes) -> None:
    inlet = inlet_of()
    inlet.change("Move", b"/a", b"/" + name)
    inlet.change("Move", b"/c", b"/d")
    probe(inlet, 1)
    probe(inlet, 1, COMPLAINT % missing_name(inlet))
    assert inlet.spawned[-1].argv[0] == b"rsync"
    assert (inlet.spawned[-1].stdin or b"").split(b"\0")[0] == b"/a"
    inlet.end(inlet.running[0], 0)
    inlet.turn()
    assert inlet.spawned[-1].argv == [b"ssh", b"HOST", b"mv", b"-T", b"--", b"'/t/d/c'", b"'/t/d/d'"]


@pytest.mark.parametrize(
    ("codes", "stderr"),
    [
        ((0, 0), b"Rejected\n"),  # a script that lets nothing but rsync through, and says that all is well
        ((1, 1), b"rrsync: SSH_ORIGINAL_COMMAND='mv -T -- %b' is not rsync\n"),
        ((1, 64), b"mv: illegal option -- T\n"),
        ((127, 127), b"mv: not found\n"),
    ],
)
def test_where_neither_can_be_run_renames_are_transfers(codes: tuple[int, int], stderr: bytes) -> None:
    inlet = inlet_of()
    for name in (b"/x", b"/y"):
        inlet.change("Move", b"/a" + name, b"/e" + name)
    probe(inlet, codes[0])
    probe(inlet, codes[1], stderr.replace(b"%b", missing_name(inlet)))
    assert inlet.lines("Warn") == ["HOST lets us run neither sh nor mv: renames are transferred."]
    assert [spawn.argv[0] for spawn in inlet.spawned] == [b"ssh", b"ssh", b"rsync"]
    assert {b"/a/x", b"/e/x", b"/a/y", b"/e/y"} <= set((inlet.spawned[-1].stdin or b"").split(b"\0"))
    inlet.end(inlet.running[0], 0)
    inlet.change("Move", b"/b", b"/c")
    inlet.turn()
    assert inlet.spawned[-1].argv[0] == b"rsync"


def test_a_host_that_was_down_for_long_has_its_renames_again() -> None:
    inlet = inlet_of()
    inlet.change("Move", b"/a", b"/b")
    for _ in range(3):
        inlet.turn()
        inlet.end(inlet.running[0], 255)
        inlet.advance(60)
    inlet.turn()
    inlet.end(inlet.running[0], 0)
    inlet.change("Move", b"/c", b"/d")
    probe(inlet, 81)
    assert inlet.spawned[-1].argv[0] == b"ssh"
    assert b"mv" in (inlet.spawned[-1].stdin or b"")
    assert inlet.waiting == []
    assert inlet.lines("Warn") == []


def test_an_ssh_that_never_gets_through_where_rsync_does_is_not_waited_for() -> None:
    inlet = inlet_of()
    inlet.change("Move", b"/a", b"/b")
    inlet.change("Move", b"/c", b"/d")
    for _ in range(3):
        inlet.turn()
        assert inlet.running[0].argv[0] == b"ssh"
        inlet.end(inlet.running[0], 255)
        inlet.advance(60)
    inlet.turn()
    assert (inlet.spawned[-1].argv[0], inlet.waiting) == (b"rsync", [("Move", b"/c"), ("Create", b"/b")])
    inlet.end(inlet.running[0], 0)
    assert inlet.lines("Warn") == []  # it may have been down
    inlet.turn()
    assert inlet.running[0].argv[0] == b"ssh"
    inlet.end(inlet.running[0], 255)
    inlet.advance(60)
    inlet.turn()
    assert inlet.spawned[-1].argv[0] == b"rsync"
    assert [line.partition(":")[0] for line in inlet.lines("Warn")] == [
        "HOST is reached by rsync, but not by the ssh that moves (see ssh and rsync.rsh)"
    ]


def test_where_rsync_gets_through_no_more_than_ssh_does_the_host_is_waited_for() -> None:
    inlet = inlet_of()
    inlet.change("Move", b"/a", b"/b")
    inlet.change("Move", b"/c", b"/d")
    for _ in range(3):
        inlet.turn()
        inlet.end(inlet.running[0], 255)
        inlet.advance(60)
    inlet.turn()
    inlet.end(inlet.running[0], 255)
    assert ("Move", b"/c") in inlet.waiting
    assert inlet.lines("Warn") == []


def test_a_host_that_is_not_as_it_was_is_found_out_about_anew() -> None:
    inlet = inlet_of()
    move_of(inlet)
    inlet.end(inlet.running[0], 127)
    inlet.change("Move", b"/b", b"/c")
    inlet.turn()
    inlet.end(inlet.running[0], 0)  # what has failed, by rsync
    inlet.turn()
    assert inlet.spawned[-1].paths == []


# ---- with a shell in the role of the other host ------------------------------------------------


class Remote:
    """A pair of trees, and a program that takes a host and a command as ssh does, and runs the command here.

    `lets` is what sshd would do with the command, in $1; `mv`, if given, is what comes first in the PATH there.
    """

    def __init__(self, tmp_path: Path, lets: str = 'exec sh -c "$1"', mv: str = "") -> None:
        self.pair = Pair(tmp_path)
        ssh = tmp_path / "ssh"
        ssh.write_text(f'#!/bin/sh\nshift\nPATH={tmp_path}/bin:$PATH\nset -- "$*"\n{lets}\n')
        ssh.chmod(0o755)
        (tmp_path / "bin").mkdir()
        if mv:
            (tmp_path / "bin/mv").write_text(mv)
            (tmp_path / "bin/mv").chmod(0o755)
        self.inlet = FakeInlet(
            RsyncSsh(),
            {
                "host": "HOST",
                "targetdir": os.fsdecode(self.pair.target),
                "ssh": {"binary": str(ssh)},
                "rsync": {"rsh": str(ssh)},
            },
            source=self.pair.source,
        )

    def rename(self, old: bytes, new: bytes) -> None:
        os.rename(self.pair.source + old, self.pair.source + new)
        slash = b"/" if os.path.isdir(self.pair.source + new) else b""
        self.inlet.change("Move", b"/" + old + slash, b"/" + new + slash)

    def by_rsync(self) -> int:
        """How many runs of rsync there were."""
        return sum(spawn.argv[0] == b"rsync" for spawn in self.inlet.spawned)

    def is_equal(self) -> bool:
        self.inlet.settle()
        return snapshot(self.pair.source) == snapshot(self.pair.target)


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    return Remote(tmp_path)


@pytest.mark.parametrize("name", HOSTILE, ids=repr)
def test_hostile_names_are_moved_one_at_a_time(remote: Remote, name: bytes) -> None:
    remote.pair.both(b"d/" + name)
    remote.pair.both(b"keep")
    remote.rename(b"d/" + name, name)
    assert remote.is_equal()
    remote.rename(name, b"d/plain")
    assert remote.is_equal()
    assert [spawn.argv[0].endswith(b"/ssh") for spawn in remote.inlet.spawned] == [True] * 3  # one looks who is there


def test_many_moves_in_one_call(remote: Remote) -> None:
    for name in HOSTILE:
        remote.pair.both(b"d/" + name + b"/f", name)
    os.makedirs(remote.pair.source + b"e")
    os.makedirs(remote.pair.target + b"e")
    for name in HOSTILE:
        remote.rename(b"d/" + name, b"e/" + name + b"2")
    assert remote.is_equal()
    assert len(remote.inlet.spawned) == 2
    assert remote.by_rsync() == 0


def test_what_was_not_on_the_target_is_transferred(remote: Remote) -> None:
    write(remote.pair.source + b"a")
    remote.rename(b"a", b"b")
    assert remote.is_equal()


def test_a_tree_that_was_not_on_the_target_is_transferred_whole(remote: Remote) -> None:
    write(remote.pair.source + b"t/x/f")
    write(remote.pair.source + b"t/g")
    remote.rename(b"t", b"u")
    assert remote.is_equal()


def test_one_failing_move_of_many_does_not_hold_up_the_others(remote: Remote) -> None:
    remote.pair.both(b"a")
    write(remote.pair.source + b"missing")
    remote.pair.both(b"c")
    for name in (b"a", b"missing", b"c"):
        remote.rename(name, name + b"2")
    assert remote.is_equal()


def test_a_directory_moved_onto_one_that_lies_there_does_not_land_inside_it(remote: Remote) -> None:
    remote.pair.both(b"a/f")
    write(remote.pair.target + b"b/old")
    remote.rename(b"a", b"b")
    assert not os.path.exists(remote.pair.target + b"b/a")
    remote.inlet.settle()
    assert not os.path.exists(remote.pair.target + b"b/a")
    assert not os.path.exists(remote.pair.target + b"a")
    assert os.path.exists(remote.pair.target + b"b/f")


def test_startup_and_batches_reach_the_other_side(remote: Remote) -> None:
    write(remote.pair.source + b"d/f")
    write(remote.pair.target + b"old")
    remote.inlet.startup()
    assert remote.is_equal()
    shutil.rmtree(remote.pair.source + b"d")
    remote.inlet.change("Delete", b"/d/f")
    remote.inlet.change("Delete", b"/d/")
    assert remote.is_equal()


def test_a_move_from_before_a_full_run_is_not_done_behind_it(remote: Remote) -> None:
    """The full run has brought over the file that is at the origin by now: it must not land at the destination."""
    remote.pair.both(b"a", b"one")
    remote.pair.both(b"t/f", b"one")
    remote.inlet.startup()
    for name in (b"a", b"t"):
        remote.rename(name, name + b"2")
    write(remote.pair.source + b"a", b"two")
    write(remote.pair.source + b"t/f", b"two")
    for path in (b"/a", b"/t/", b"/t/f"):
        remote.inlet.change("Create", path)
    assert remote.is_equal()


# ---- what other systems have, and attackers make

BSD = """#!/bin/sh
# refuses what FreeBSD's and macOS's mv refuse
h=; while :; do case "$1" in
    --) shift; break ;; -h) h=-T; shift ;; -f) shift ;;
    -*) echo "mv: illegal option -- ${1#-}" >&2; echo "usage: mv [-f | -i | -n] [-hv] source target" >&2; exit 64 ;;
    *) break ;; esac; done
if [ -n "$h" ] && [ -d "$2" ] && [ ! -h "$2" ]; then h=; fi
exec /bin/mv -f $h -- "$@"
"""
OLD = BSD.replace("-h) h=-T; shift ;; ", "").replace("[-hv]", "[-v]")
FORCED_MV = 'case "$1" in "rsync "*|"mv "*) exec sh -c "$1" ;; esac; echo "not allowed" >&2; exit 1'
FORCED_RSYNC = 'case "$1" in "rsync "*) exec sh -c "$1" ;; esac; echo "not allowed" >&2; exit 1'
KINDS: dict[str, dict[str, str]] = {
    "gnu": {},
    "gnu-dash": {"lets": 'case "$1" in sh) exec dash ;; esac; exec sh -c "$1"'},
    "gnu-bash": {"lets": 'case "$1" in sh) exec bash ;; esac; exec sh -c "$1"'},
    "bsd": {"mv": BSD},
    "old": {"mv": OLD},
    "forced-mv": {"lets": FORCED_MV},
    "forced-rsync": {"lets": FORCED_RSYNC},
    "forced-rsync-says-ok": {"lets": FORCED_RSYNC.replace("exit 1", "exit 0")},
}
"""The other side: its mv, its shell, what the account there may run."""


@pytest.fixture(params=KINDS)
def other(tmp_path: Path, request: pytest.FixtureRequest) -> Remote:
    return Remote(tmp_path, **KINDS[request.param])


def test_whatever_the_other_side_can_do_the_trees_are_equal(other: Remote, request: pytest.FixtureRequest) -> None:
    source = other.pair.source
    for name in (b"f", b"d/f", b"e/f", b"it's/f", b"onto", b"w"):
        other.pair.both(name, name)
    os.mkdir(source + b"empty")
    os.mkdir(other.pair.target + b"empty")
    for old, new in ((b"f", b"it's/a\nb"), (b"w", b"onto"), (b"d", b"empty"), (b"e/f", b"-rf"), (b"it's", b"e/x y")):
        other.rename(old, new)
        assert other.is_equal()
    kind = request.node.callspec.params["other"]
    assert (other.by_rsync() > 0) == kind.startswith("forced")


def test_several_at_once_whatever_the_other_side_can_do(other: Remote) -> None:
    for name in (b"a", b"d/b", b"c"):
        other.pair.both(name, name)
    write(other.pair.source + b"missing")
    for old, new in ((b"a", b"d/a"), (b"missing", b"found"), (b"d/b", b"b"), (b"c", b"c\n")):
        other.rename(old, new)
    assert other.is_equal()


@pytest.mark.parametrize("kind", ["gnu", "bsd", "old"])
def test_a_link_on_the_target_leads_no_move_elsewhere(tmp_path: Path, kind: str) -> None:
    """A user there owns `d`, and has put a link in its place."""
    remote = Remote(tmp_path, **KINDS[kind])
    secret = remote.pair.root + b"/secret"
    write(secret + b"/f", b"root's")
    write(remote.pair.source + b"d/f", b"mine")
    write(remote.pair.source + b"g", b"mine, too")
    write(remote.pair.target + b"g", b"mine, too")
    os.symlink(secret, remote.pair.target + b"d")
    remote.rename(b"d/f", b"stolen")
    for _ in range(2):
        remote.inlet.turn()
        remote.inlet.execute(remote.inlet.running[0])
    assert snapshot(secret) == {b"f": b"root's"}
    assert remote.inlet.lines("Warn") == ["A symlink on the target is in the way of a move, and was not followed."]
    assert not os.path.lexists(remote.pair.target + b"stolen")
    remote.rename(b"g", b"d/g")
    assert remote.is_equal()
    assert snapshot(secret) == {b"f": b"root's"}


@pytest.mark.parametrize("kind", ["gnu", "bsd", "old"])
def test_a_link_at_the_destination_is_replaced(tmp_path: Path, kind: str) -> None:
    remote = Remote(tmp_path, **KINDS[kind])
    outside = remote.pair.root + b"/outside"
    os.mkdir(outside)
    for name in (b"f", b"d/f"):
        remote.pair.both(name)
    for name in (b"x", b"y"):
        os.symlink(outside, remote.pair.target + name)
    remote.rename(b"f", b"x")
    remote.rename(b"d", b"y")
    assert remote.is_equal()
    assert os.listdir(outside) == []


def test_half_a_script_does_nothing(remote: Remote) -> None:
    remote.pair.both(b"a")
    remote.pair.both(b"b")
    text = script(remote.pair.target, [Move(b"a", b"a2"), Move(b"b", b"b2")], Mv.NO_TARGET_DIRECTORY)
    for end in range(0, text.rindex(b"}"), 7):
        subprocess.run(["sh"], input=text[:end], stderr=subprocess.DEVNULL, check=False)
    assert snapshot(remote.pair.target) == {b"a": b"data", b"b": b"data"}


def times_of(root: bytes) -> dict[bytes, int]:
    return {top[len(root) :]: os.stat(top).st_mtime_ns for top, _, _ in os.walk(root)}


def test_the_times_of_directories_are_right_after_a_mere_rename(remote: Remote) -> None:
    for name in (b"d/f", b"it's/f", b"keep/f", b"e/g/f"):
        remote.pair.both(name)
    remote.rename(b"d/f", b"it's/f2")
    remote.rename(b"e/g", b"g")
    for top, _, _ in os.walk(remote.pair.source):
        os.utime(top, ns=(0, 1_234_567_890_123_456_789))
    before = os.stat(remote.pair.target + b"keep").st_mtime_ns
    assert remote.is_equal()
    assert remote.by_rsync() == 0
    wanted = dict.fromkeys((b"", b"d", b"it's", b"e"), 1_234_567_890_123_456_789)
    found = times_of(remote.pair.target)
    assert {name: found[name] for name in wanted} == wanted
    assert found[b"keep"] == before


def test_they_stay_where_rsync_sets_none(tmp_path: Path) -> None:
    for rsync in ({"times": False}, {"omit_dir_times": True}, {"_extra": ["-O"]}):
        inlet = inlet_of(rsync={**PLAIN, "times": True, **rsync})
        move_of(inlet)
        assert b"touch" not in (inlet.spawned[-1].stdin or b"")


def test_a_touch_that_knows_no_fractions_sets_the_second(tmp_path: Path) -> None:
    remote = Remote(tmp_path)
    (tmp_path / "bin/touch").write_text(
        '#!/bin/sh\ncase "$*" in *-d*) echo "touch: invalid option" >&2; exit 1 ;; esac; exec /usr/bin/touch "$@"\n'
    )
    (tmp_path / "bin/touch").chmod(0o755)
    remote.pair.both(b"d/f")
    remote.rename(b"d/f", b"d/g")
    os.utime(remote.pair.source + b"d", ns=(0, 1_234_567_890_123_456_789))
    assert remote.is_equal()
    assert os.stat(remote.pair.target + b"d").st_mtime == 1_234_567_890


def test_a_target_directory_may_be_called_anything_and_be_reached_by_links(tmp_path: Path) -> None:
    """The way to it is the user's own word."""
    for number, name in enumerate(("-", "a\nb\n", "it's", "x:")):
        box = tmp_path / str(number)
        box.mkdir()
        remote = Remote(box)
        os.rename(remote.pair.target, remote.pair.root + b"/" + name.encode())
        os.symlink(remote.pair.root + b"/" + name.encode(), remote.pair.root + b"/way")
        for targetdir in (os.fsdecode(remote.pair.root) + "/way", os.fsdecode(remote.pair.root) + "/" + name):
            write(os.fsencode(targetdir) + b"/d/f")
            argv = script(os.fsencode(targetdir), [Move(b"d/f", b"g")], Mv.NO_TARGET_DIRECTORY)
            assert subprocess.run(["sh"], input=argv, cwd=box, check=False).returncode == 0
            assert snapshot(os.fsencode(targetdir)) == {b"d": None, b"g": b"data"}
            os.unlink(os.fsencode(targetdir) + b"/g")
        (box / name).mkdir(exist_ok=True)
        write(os.fsencode(box / name) + b"/f")
        argv = script(name.encode(), [Move(b"f", b"g")], Mv.NO_TARGET_DIRECTORY)
        assert subprocess.run(["sh"], input=argv, cwd=box, check=False).returncode == 0
        assert (box / name / "g").exists()


# ---- renames that wait for something else


def inode(root: bytes, name: bytes) -> int:
    return os.stat(root + name).st_ino


def test_a_rename_into_a_new_directory_stays_one(remote: Remote) -> None:
    remote.pair.both(b"big")
    remote.pair.both(b"tree/f")
    before = [inode(remote.pair.target, name) for name in (b"big", b"tree")]
    for name in (b"archive", b"archive/2024"):
        os.mkdir(remote.pair.source + name)
        remote.inlet.change("Create", b"/" + name + b"/")
    remote.rename(b"big", b"archive/2024/big")
    remote.rename(b"tree", b"archive/tree")
    assert remote.is_equal()
    assert [inode(remote.pair.target, name) for name in (b"archive/2024/big", b"archive/tree")] == before
    assert remote.inlet.lines("Normal")[-1].startswith("Finished")


def test_a_new_directory_that_is_renamed_takes_the_renames_into_it_along(remote: Remote) -> None:
    remote.pair.both(b"big")
    before = inode(remote.pair.target, b"big")
    os.mkdir(remote.pair.source + b"n")
    remote.inlet.change("Create", b"/n/")
    remote.rename(b"big", b"n/big")
    remote.rename(b"n", b"m")
    assert remote.is_equal()
    assert inode(remote.pair.target, b"m/big") == before


def test_renames_that_wait_for_one_another_stay_renames_and_have_an_ssh_each(remote: Remote) -> None:
    """After an ssh that broke off in the midst of all, to do them once more would be to swap them back."""
    for name in (b"a", b"b", b"log", b"log.1", b"n/big"):
        remote.pair.both(name, name)
    inodes = {name: inode(remote.pair.target, name) for name in (b"a", b"b", b"log", b"log.1", b"n/big")}
    steps = [(b"a", b"t"), (b"b", b"a"), (b"t", b"b"), (b"log.1", b"log.2"), (b"log", b"log.1"), (b"n", b"m")]
    for old, new in [*steps, (b"m", b"o"), (b"o/big", b"big")]:
        remote.rename(old, new)
    assert remote.is_equal()
    names = {b"a": b"b", b"b": b"a", b"log": b"log.1", b"log.1": b"log.2", b"n/big": b"big"}
    assert {old: inode(remote.pair.target, new) for old, new in names.items()} == inodes
    assert remote.by_rsync() == 0
    for spawn in remote.inlet.spawned:
        ends = [{delay.path, delay.path2} for delay in spawn.agent.delays]
        assert not any(one & other for one, other in itertools.combinations(ends, 2))


def test_one_that_fails_takes_those_with_it_that_wait_for_it(remote: Remote) -> None:
    """Without what it should have put there, the next would move what lay there before."""
    remote.pair.both(b"b", b"old")
    write(remote.pair.source + b"a", b"new")
    for old, new in ((b"a", b"b"), (b"b", b"c"), (b"c", b"d")):
        remote.rename(old, new)
    assert remote.is_equal()
    assert snapshot(remote.pair.target) == {b"d": b"new"}


def test_what_was_written_before_its_rename_is_transferred(remote: Remote) -> None:
    remote.pair.both(b"a", b"old")
    os.mkdir(remote.pair.source + b"d")
    write(remote.pair.source + b"a", b"longer")
    remote.inlet.change("Modify", b"/a")
    remote.inlet.change("Create", b"/d/")
    remote.rename(b"a", b"d/a")
    assert remote.is_equal()
