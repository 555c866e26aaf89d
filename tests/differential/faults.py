"""Faults done to the real lsyncd 2.2.3 and to ours, by the same real steps: what comes of them.

`python -m differential.faults` runs all of them on both and writes FAULTS.md. A test runs them on ours, and asks
that what comes of them is what stands there.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from differential.commands import RELEASE, oracle, ours
from differential.faultworld import NotDone, World, startups, text_of

from tests.kit.rsyncd import RsyncDaemon
from tests.kit.states import is_recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TABLE = Path(__file__).with_name("FAULTS.md")
WORKERS = int(os.environ.get("FAULTS_WORKERS", "6"))

HEAD = f"""# What comes of faults

Made by `make faults`: the same steps, with real programs, on lsyncd {RELEASE} and on this daemon. What counts as
lost is every path that is not on the target as it is in the source when nothing more happens. With `delay = 1` and
`insist`, mostly. The minute that TERM leaves a transfer here, and the ten seconds after which a status
file is tried again, are shortened to one second and less.

| fault | lsyncd {RELEASE} | here |
| --- | --- | --- |
"""


class Scenario(NamedTuple):
    """What is done, in words that stand in the table; `play` does it, and gives what came of it."""

    words: str
    play: Callable[[World], str]


SCENARIOS: list[Scenario] = []


def scenario(words: str) -> Callable[[Callable[[World], str]], Callable[[World], str]]:
    def add(play: Callable[[World], str]) -> Callable[[World], str]:
        SCENARIOS.append(Scenario(words, play))
        return play

    return add


def rsync(more: str = "", settings: str = "", source: str = "@/src", target: str = "@/trg") -> str:
    return (
        f"settings{{ insist = true, {settings} }}\n"
        f'sync{{ default.rsync, source = "{source}", target = "{target}", delay = 1, {more} }}\n'
    )


def binary(path: str) -> str:
    return f'rsync = {{ binary = "{path}" }}'


MORTAL = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
"""Runs a command for which permissions count, though it is root's."""


# ---- transfers


@scenario("rsync is killed (out of memory) while it transfers 3 files")
def killed(world: World) -> str:
    slow = world.script("slow", 'test -e $BOX/fast && exec /usr/bin/rsync "$@"\nexec /usr/bin/rsync --bwlimit=4 "$@"')
    world.configure(rsync(binary(slow)))
    world.start()
    world.started()
    world.write("a", "b", "c", text="x" * 100_000)
    world.wait("the transfer", lambda: list(world.see("trg").glob(".a.*")))
    (world.box / "fast").touch()
    for pid in world.children():
        os.kill(pid, signal.SIGKILL)
    return world.outcome()


@scenario("rsync may not write into a directory of the target (exit code 23), which is repaired later")
def partial(world: World) -> str:
    for name in ("src/d", "trg/d"):
        world.see(name).mkdir()
    world.see("trg/d").chmod(0o555)
    world.configure(rsync(binary(world.script("mortal", f'exec {" ".join(MORTAL)} /usr/bin/rsync "$@"'))))
    world.start()
    world.started()
    world.write("d/a", "d/b", "c")
    world.wait("the other file", (world.see("trg") / "c").exists)
    world.wait("the end of rsync", lambda: not world.children())
    world.see("trg/d").chmod(0o755)
    return world.outcome()


@scenario("the target's disk is full (exit code 11), and freed later")
def full(world: World) -> str:
    world.do("mount", "-t", "tmpfs", "-o", "size=256k", "none", "trg")
    fill(world.see("trg") / "filler", keep=32)
    world.configure(rsync("delete = false"))
    world.start()
    world.started()
    world.write("a", "b", text="x" * 100_000)
    world.wait("rsync to fail", lambda: "No space left" in world.said())
    world.see("trg/filler").unlink()
    return world.outcome()


@scenario("a wrapper of rsync ends once with a code that no table lists (77)")
def unlisted(world: World) -> str:
    odd = world.script("odd", 'test -e $BOX/odd.once && rm $BOX/odd.once && exit 77\nexec /usr/bin/rsync "$@"')
    world.configure(rsync(binary(odd)))
    world.start()
    world.started()
    (world.box / "odd.once").touch()
    world.write("a", "b")
    return world.outcome()


@scenario("one of two syncs fails for good (rsync's exit code 1); changes in the other one's source go on")
def dies(world: World) -> str:
    bad = world.script("bad", 'test -e $BOX/bad.now && exit 1\nexec /usr/bin/rsync "$@"')
    (world.box / "src2").mkdir()
    (world.box / "trg2").mkdir()
    world.configure(rsync(binary(bad), source="@/src2", target="@/trg2") + rsync().split("\n", 1)[1])
    world.start()
    world.started(2)
    (world.box / "bad.now").touch()
    (world.box / "src2/x").touch()
    world.wait("it to fail", lambda: "ailure with a list" in world.said() or world.status() is not None)
    world.write("a", "b")
    return world.outcome()


@scenario("rsync is not there for a while (an upgrade)")
def missing(world: World) -> str:
    tool = world.script("tool", 'exec /usr/bin/rsync "$@"')
    world.configure(rsync(binary(tool)))
    world.start()
    world.started()
    os.rename(tool, f"{tool}.gone")
    world.write("a", "b")
    world.wait("it to be missed", lambda: "Failed executing" in world.said() or "255" in world.said())
    os.rename(f"{tool}.gone", tool)
    return world.outcome()


@scenario("the target's machine is down when the daemon starts, and comes up later")
def unreachable(world: World) -> str:
    with RsyncDaemon(world.box, world.box / "trg") as server:
        port = server.port
    world.write("a", "b")
    world.configure(rsync(target=f"rsync://127.0.0.1:{port}/m"))
    world.start()
    world.wait("a try", lambda: "etrying startup" in world.said())
    with RsyncDaemon(world.box, world.box / "trg", port):
        return world.outcome()


@scenario("the target's machine is down for 12 seconds: tries, and lines in the log")
def patience(world: World) -> str:
    down = world.script("down", 'test -e $BOX/up && exec /usr/bin/rsync "$@"\necho >>$BOX/tries; exit 10')
    (world.box / "up").touch()
    world.configure(rsync(binary(down)))
    world.start()
    world.started()
    (world.box / "up").unlink()
    world.write("a")
    world.wait("the first try", (world.box / "tries").exists)
    before = world.said().count("\n")
    world.happens(lambda: False, 12)
    tries, lines = text_of(world.box / "tries").count("\n"), world.said().count("\n") - before
    (world.box / "up").touch()
    often = "every second, each logged" if tries > 6 and lines > 6 else "after 1, 2, 4, 8 … seconds"
    return f"tried {often}; {world.outcome()}"


@scenario("a transfer hangs for ever (`transferTimeout` is set where there is such a setting)")
def hangs(world: World) -> str:
    hang = world.script(
        "hang", 'test -e $BOX/hang.once && rm $BOX/hang.once && exec sleep 1000\nexec /usr/bin/rsync "$@"'
    )
    world.configure(rsync(binary(hang), "transferTimeout = 2" if world.is_ours else ""))
    world.start()
    world.started()
    (world.box / "hang.once").touch()
    world.write("a", "b", "c")
    return world.outcome()


@scenario("a file is written 1000 times within a second")
def repeated(world: World) -> str:
    world.configure(rsync(settings='statusFile = "@/status", statusInterval = 1,'))
    world.start()
    world.started()
    for number in range(1000):
        world.write("a", text="x" * number)
    world.changes = 1
    queued = 0

    def count() -> bool:
        nonlocal queued
        head = text_of(world.box / "status").partition("There are ")[2].partition(" delays")[0]
        queued = max(queued, int(head or 0))
        return queued > 0 and not world.lost()

    world.happens(count)
    many = "one change waits" if queued <= 2 else "hundreds of changes wait"
    return f"{many}, {world.outcome()}"


@scenario("a file is written again, with as many bytes, in the second in which it has been transferred")
def same_second(world: World) -> str:
    """The wrapper writes it: after rsync, before the daemon hears of rsync's end."""
    again = "test -e $BOX/again && rm $BOX/again && printf 222 >$BOX/src/a"
    world.configure(rsync(binary(world.script("twice", f'/usr/bin/rsync "$@"; code=$?; {again}; exit $code'))))
    world.start()
    world.started()
    world.write("first")
    world.wait("the first file", lambda: not world.lost())
    world.happens(lambda: 0.2 < time.time() % 1 < 0.3)
    world.write("a", text="000")  # due in a second
    world.happens(lambda: time.time() % 1 < 0.1)
    (world.box / "again").touch()
    world.write("a", text="111")
    world.changes -= 1
    world.wait("the transfer", lambda: not (world.box / "again").exists())
    return world.outcome()


@scenario("one file changes in a directory of 5,000")
def among_many(world: World) -> str:
    """With -vv rsync names each file that it has looked at and that no rule lets through."""
    directory = world.see("src") / "d"
    directory.mkdir()
    first = directory / ("name " * 8)
    first.touch()
    for number in range(1, 5000):
        os.link(first, f"{first}{number}")
    world.configure(rsync(binary(world.script("verbose", '/usr/bin/rsync -vv "$@" >$BOX/looked'))))
    world.start()
    world.started()
    world.write("d/f")
    world.wait("the file", lambda: not world.lost())
    looked = sum(b"hiding file d/" in line for line in (world.box / "looked").read_bytes().splitlines())
    return f"rsync looks at {looked or 'none'} of the others, {world.outcome()}"


# ---- the source


@scenario("more changes than the kernel can queue while the config file is being edited")
def overflow(world: World) -> str:
    world.configure(rsync())
    world.start()
    world.started()
    world.signal(signal.SIGSTOP)
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    for number in range(most // 2 + 200):
        (world.see("src") / f"{number % 50}").touch()
        (world.see("src") / f"{number % 50}").unlink()
    world.write("a", "b")
    (world.box / "config.lua").write_text("sync{ default.rsync, sou")
    world.signal(signal.SIGCONT)
    # the real one compares each with all before it
    world.happens(lambda: not world.lost() or world.status() is not None, 60)
    return world.outcome()


@scenario("the source is deleted and made anew")
def deleted(world: World) -> str:
    world.configure(rsync())
    world.start()
    world.started()
    shutil.rmtree(world.see("src"))
    world.happens(lambda: "gone" in world.said(), 1)
    world.see("src").mkdir()
    world.write("a", "b")
    return world.outcome()


@scenario("the source is renamed, another directory takes its place")
def renamed(world: World) -> str:
    world.write("old")
    world.configure(rsync())
    world.start()
    world.started()
    world.see("src").rename(world.see("away"))
    world.see("src").mkdir()
    world.write("a", "b")
    return world.outcome()


@scenario("the source is unmounted, something else is changed, and it is mounted again")
def unmounted(world: World) -> str:
    world.do("mount", "-t", "tmpfs", "none", "src")
    world.write("a", "b")
    world.configure(rsync())
    world.start()
    world.started()
    world.unmount("src")
    world.happens(lambda: "gone" in world.said(), 1)
    world.do("mount", "-t", "tmpfs", "none", "disk")
    for name in ("c", "d"):
        world.see(f"disk/{name}").touch()
    world.do("mount", "-n", "--move", "disk", "src")
    world.write("e", "f")
    world.changes += 2
    return world.outcome()


@scenario("the source is unmounted, and a full run is asked for (HUP)")
def wiped(world: World) -> str:
    world.do("mount", "-t", "tmpfs", "none", "src")
    for number in range(10):
        (world.see("src") / f"{number}").touch()
    world.configure(rsync())
    world.start()
    world.started()
    world.unmount("src")
    world.happens(lambda: "gone" in world.said(), 1)
    world.signal(signal.SIGHUP)
    kept = "keeping the old configuration"
    world.happens(lambda: kept in world.said() or not list(world.see("trg").iterdir()))
    left = len(list(world.see("trg").iterdir()))
    return "the target is kept" if left == 10 else f"the target is emptied ({10 - left} of 10 files deleted)"


@scenario("the source is not mounted when the daemon starts (`maxDelete` is set where there is such a setting)")
def not_mounted(world: World) -> str:
    for number in range(10):
        (world.see("trg") / f"{number}").touch()
    world.configure(rsync(settings='maxDelete = "10%",' if world.is_ours else ""))
    world.start()
    world.wait("its first run", lambda: startups(world.said()) or "maxDelete" in world.said())
    left = len(list(world.see("trg").iterdir()))
    return "the target is kept" if left == 10 else f"the target is emptied ({10 - left} of 10 files deleted)"


@scenario(
    "the startup's connection breaks off when most of it is done, and its next try takes long (`startupProcesses` is"
    " set where there is such a key); a file is written below what was done"
)
def broken_startup(world: World) -> str:
    for name in "abc":
        world.see(f"src/{name}").mkdir()
        for number in range(600):
            (world.see(f"src/{name}") / f"{number}").touch()
    # the last part of the startup, or all of it, fails once, and is begun a second time only when there is `go`
    slow = world.script(
        "slow",
        'rules=$(mktemp $BOX/rules.XXXXXX)\ncat > "$rules"\n'
        'case "$*" in *--include-from=-*) exec /usr/bin/rsync "$@" < "$rules";; esac\n'
        'if [ ! -s "$rules" ] || grep -q "^+ /c/" "$rules"; then\n'
        "    if [ -e $BOX/again ]; then while [ ! -e $BOX/go ]; do sleep 0.1; done\n"
        '    else /usr/bin/rsync "$@" < "$rules"; touch $BOX/again; exit 12; fi\nfi\n'
        'exec /usr/bin/rsync "$@" < "$rules"',
    )
    world.configure(rsync(binary(slow) + (", startupProcesses = 2" if world.is_ours else "")))
    world.start()
    world.wait("the broken try", (world.box / "again").exists)
    world.write("a/new")
    has_come = world.happens((world.see("trg") / "a/new").exists)
    was_over = bool(startups(world.said()))
    (world.box / "go").touch()
    came = "it arrives at once" if has_come and not was_over else "it waits until the whole startup is done again"
    return f"{came}; {world.outcome()}"


@scenario("a tree of 1000 directories, ten deep, is made as fast as can be")
def burst(world: World) -> str:
    world.configure(rsync())
    world.start()
    world.started()
    for number in range(100):
        path = f"{number}"
        for depth in range(10):
            world.see(f"src/{path}").mkdir()
            world.write(f"{path}/f{depth}")
            path += f"/{depth}"
    return world.outcome()


@scenario("a directory can't be read when it appears, and can later")
def unreadable(world: World) -> str:
    world.configure(rsync())
    world.start(before=MORTAL)
    world.started()
    world.see("away").mkdir()
    (world.see("away") / "a").touch()
    world.see("away").chmod(0)
    world.see("away").rename(world.see("src/d"))
    world.changes += 1
    world.happens(lambda: "ermission denied" in world.said(), 3)
    world.see("src/d").chmod(0o755)
    world.write("b")
    world.wait("the other file", world.see("trg/b").exists)
    world.write("d/c", "d/e")
    return world.outcome()


@scenario("the kernel's limit of watches is reached (`watchLimit` is set where there is such a setting)")
def limit(world: World) -> str:
    few = 'echo 20 >/proc/sys/user/max_inotify_watches && exec "$@"'
    world.configure(rsync(settings='watchLimit = "degrade", pollInterval = 0.5,' if world.is_ours else ""))
    world.start(before=["unshare", "-U", "-r", "sh", "-c", few, "sh"])
    world.started()
    for number in range(30):
        world.see(f"src/{number}").mkdir()
    world.happens(lambda: "watches" in world.said(), 3)
    world.write(*(f"{number}/a" for number in range(30)))
    return world.outcome()


@scenario("a directory is moved out of the source, and files are written there")
def moved_out(world: World) -> str:
    world.see("src/d/e").mkdir(parents=True)
    world.configure(
        'sync{ source = "@/src", target = "@/trg", delay = 0, onCreate = "echo ^pathname >>@/seen",'
        ' onModify = "echo ^pathname >>@/seen" }'
    )
    world.start()
    world.wait("it to watch", lambda: watches(world) >= 3)
    before = watches(world)
    world.see("src/d").rename(world.see("out"))
    world.happens(lambda: watches(world) < before, 1)
    (world.see("out") / "e/x").write_text("x")
    (world.see("src") / "last").write_text("x")
    world.wait("the last file", lambda: "last" in text_of(world.box / "seen"))
    heard = "d/e/x" in text_of(world.box / "seen")
    return "they are reported as files of the source" if heard else "they are nobody's business"


@scenario("a file is being uploaded, and stands half-written for a while")
def upload(world: World) -> str:
    world.configure(rsync(settings='inotifyMode = "CloseWrite only",' if world.is_ours else ""))
    world.start()
    world.started()
    with open(world.see("src") / "upload", "w") as file:
        file.write("half")
        file.flush()
        world.write("other")
        world.wait("another file", world.see("trg/other").exists)
        travelled = (world.see("trg") / "upload").exists()
        file.write(" and half")
        world.changes += 1
    half = "half a file travels" if travelled else 'it waits for the end (with `inotifyMode = "CloseWrite only"`)'
    return f"{half}, {world.outcome()}"


NAMES = (
    b"]", b"[x]", b"[", b"a]b", b"new\nline", b"#h", b";s", b"*", b"?", b"b\\*s", b"b\\[", b"\\", b"b\\",
    b"- q", b"+ q", b"--delete", b" s p ", b"\t", b"\r", b"\xff\xfe", b"'", b'"', b"$(x)", b"`x`", b"!",
)  # fmt: skip


@scenario(f"{len(NAMES)} files with names as `]`, `[x]`, `*`, `\\`, a newline, `#h`, `- q`, `--delete`")
def names(world: World) -> str:
    world.configure(rsync())
    world.start()
    world.started()
    world.write(*NAMES)
    return world.outcome()


@scenario("`default.direct`: a directory is moved onto an empty one; two directories are swapped")
def direct(world: World) -> str:
    for name in ("a", "b", "c"):
        world.see(f"src/{name}").mkdir()
        (world.see(f"src/{name}") / name).write_text(name)
    world.see("src/empty").mkdir()
    world.configure('sync{ default.direct, source = "@/src", target = "@/trg", delay = 1 }')
    world.start()
    world.started()
    source = world.see("src")
    (source / "a").rename(source / "empty")
    (source / "b").rename(source / "t")
    (source / "c").rename(source / "b")
    (source / "t").rename(source / "c")
    world.happens(lambda: not world.lost() or world.status() is not None)
    wrong = world.lost()
    return "the target equals the source" if not wrong else "the trees differ for ever"


def direct_of_one_file(world: World) -> Path:
    (world.see("src") / "d").mkdir()
    (world.see("src") / "d/f").write_text("old")
    world.configure('sync{ default.direct, source = "@/src", target = "@/trg", delay = 1 }')
    world.start()
    world.started()
    return world.see("src") / "d/f"


@scenario(
    "`default.direct`: somebody puts a symlink in the place of a directory on the target; a file in it is written"
)
def led_astray(world: World) -> str:
    file = direct_of_one_file(world)
    others = world.box / "others"
    others.mkdir()
    (others / "f").write_text("not yours")
    shutil.rmtree(world.see("trg") / "d")
    (world.see("trg") / "d").symlink_to(others)
    file.write_text("new")
    world.happens(lambda: not world.lost() or (others / "f").read_text() == "new")
    if (others / "f").read_text() != "not yours":
        return "the file that it leads to is overwritten"
    return "nothing is written through it; " + world.outcome()


@scenario("`default.direct`: a file is written, and is a FIFO before it is copied; another file is written")
def fifo(world: World) -> str:
    file = direct_of_one_file(world)
    file.write_text("new")
    file.unlink()
    os.mkfifo(file)
    world.write("other")
    world.happens(lambda: text_of(world.see("trg") / "other") != "")
    return "the other arrives" if text_of(world.see("trg") / "other") else "nothing more is transferred"


def rsyncssh(world: World, more: str = "") -> None:
    """A sync to `trg` by an ssh that runs what it is told here; `more`: shell in its place, the command in $1."""
    ssh = world.script("ssh", f'while [ "$1" != h ]; do shift; done; shift; set -- "$*"\n{more}\nexec sh -c "$1"')
    world.configure(
        "settings{ insist = true }\nsync{ default.rsyncssh, source = '@/src', host = 'h', targetdir = '@/trg', "
        f"delay = 1, rsync = {{ rsh = '{ssh}' }}, ssh = {{ binary = '{ssh}' }} }}\n"
    )
    (world.see("src") / "d").mkdir()
    for name in ("d/f", "g"):
        (world.see("src") / name).write_text(name)
    world.start()
    world.started()


@scenario("`default.rsyncssh`: the account there may run rsync only; a file and a directory are renamed")
def rsync_only(world: World) -> str:
    rsyncssh(world, 'case "$1" in rsync\\ *) ;; *) echo Rejected; exit 1 ;; esac')
    (world.see("src") / "g").rename(world.see("src") / "g2")
    (world.see("src") / "d").rename(world.see("src") / "d2")
    world.happens(lambda: not world.lost())
    wrong = world.lost()
    return "the trees are equal" if not wrong else "the old names stay"


@scenario(
    "`default.rsyncssh`: somebody puts a symlink in the place of a directory on the target; a file in it is renamed"
)
def moved_by_a_link(world: World) -> str:
    rsyncssh(world)
    others = world.box / "others"
    others.mkdir()
    (others / "f").write_text("not yours")
    shutil.rmtree(world.see("trg") / "d")
    (world.see("trg") / "d").symlink_to(others)
    (world.see("src") / "d/f").rename(world.see("src") / "mine")
    world.happens(lambda: not world.lost() or not (others / "f").exists())
    return "the file that it leads to is moved" if not (others / "f").exists() else "that stays; " + world.outcome()


# ---- the daemon


@scenario("the daemon is killed in the middle of a transfer, files change, it is started again")
def crash(world: World) -> str:
    slow = world.script("slow", 'test -e $BOX/fast && exec /usr/bin/rsync "$@"\nexec /usr/bin/rsync --bwlimit=4 "$@"')
    world.configure(rsync(binary(slow)))
    world.start()
    world.started()
    world.write("a", "b", text="x" * 100_000)
    world.wait("the transfer", lambda: list(world.see("trg").glob(".a.*")))
    os.killpg(world.pid, signal.SIGKILL)
    (world.box / "fast").touch()
    world.write("b", "c")
    world.start()
    return world.outcome()


@scenario(
    "the daemon is started again, and 3 of 1,000 files have changed (`stateDir` is set where there is such a setting)"
)
def restart(world: World) -> str:
    """With -vv rsync names each file that it has looked at."""
    directory = world.see("src") / "others"
    directory.mkdir()
    for number in range(997):
        (directory / f"{number}").write_text("as ever")
    looking = binary(world.script("verbose", '/usr/bin/rsync -vv "$@" >$BOX/looked'))
    world.configure(rsync(looking, settings='stateDir = "@/state",' if world.is_ours else ""))
    world.start()
    world.started()
    if world.is_ours:
        world.wait("the state", lambda: is_recorded(world.box / "state"))
    world.signal(signal.SIGTERM)
    world.wait("the end", lambda: world.status() is not None)
    world.write("a", "b", "c")
    world.start()
    world.started(2)
    looked = sum(b"others/" in line for line in (world.box / "looked").read_bytes().splitlines())
    return f"rsync looks at {looked or 'none'} of the others, {world.outcome()}"


@scenario("the daemon alone is killed, its rsync goes on (`delete = false`); a file is replaced, it is started again")
def orphan(world: World) -> str:
    slow = world.script("slow", 'test -e $BOX/fast && exec /usr/bin/rsync "$@"\nexec /usr/bin/rsync --bwlimit=30 "$@"')
    world.configure(rsync(f"delete = false, {binary(slow)}", settings='pidfile = "@/pid",'))
    world.start()
    world.started()
    world.write("a", text="old" * 30_000)
    world.wait("the transfer", lambda: list(world.see("trg").glob(".a.*")))
    rsyncs = world.children()
    os.kill(world.pid, signal.SIGKILL)
    (world.box / "fast").touch()
    world.write("a.new", text="new")
    world.see("src/a.new").rename(world.see("src/a"))
    world.changes = 1
    world.start()
    world.started(2)
    world.wait("the old rsync", lambda: not any(Path(f"/proc/{pid}").exists() for pid in rsyncs))
    return world.outcome()


@scenario("HUP with a config that does not load")
def reset(world: World) -> str:
    world.configure(rsync())
    world.start()
    world.started()
    (world.box / "config.lua").write_text("sync{ default.rsync, sou")
    world.signal(signal.SIGHUP)
    world.wait("it to be noticed", lambda: "rror" in world.said() or world.status() is not None)
    world.write("a", "b")
    return world.outcome()


@scenario("100 times HUP while files change")
def resets(world: World) -> str:
    world.configure(rsync())
    world.start()
    world.started()
    for number in range(100):
        world.write(f"{number}")
        world.signal(signal.SIGHUP)
        world.happens(lambda: False, 0.01)
    return world.outcome()


@scenario("HUP while the transfer of another sync hangs for ever")
def reset_beside_hung(world: World) -> str:
    for name in ("src2", "trg2"):
        world.see(name).mkdir()
    hangs = binary(world.script("hang", "exec sleep 1000"))
    other = rsync(f"init = false, {hangs}", source="@/src2", target="@/trg2").partition("\n")[2]
    world.configure(rsync() + other)
    world.start()
    world.started()
    (world.see("src2") / "hangs").touch()
    world.wait("the transfer that hangs", world.children)
    world.signal(signal.SIGHUP)
    world.wait("it to be heard", lambda: "resetting" in world.said())
    world.write("a", "b", "c")
    return world.outcome()


@scenario("HUP while a change waits in a sync without a startup (`init = false`)")
def reset_without_startup(world: World) -> str:
    world.configure(rsync("init = false"))
    world.start()
    world.wait("its watches", world.watches)
    world.write("a", "b")
    world.signal(signal.SIGHUP)
    return world.outcome()


@scenario("TERM while a transfer hangs for ever; TERM again when it has had its minute")
def term(world: World) -> str:
    world.hurry(60)
    world.configure(rsync(binary(world.script("hang", "exec sleep 1000"))))
    world.start()
    world.wait("the transfer", world.children)
    world.signal(signal.SIGTERM)
    world.wait("it to be heard", lambda: "fading" in world.said())
    world.happens(lambda: False, 1.2)
    world.signal(signal.SIGTERM)
    ended = world.happens(lambda: world.status() is not None)
    return f"ends with {world.status()}" if ended else "waits for ever"


@scenario("the log file's disk is full for a while")
def log(world: World) -> str:
    world.do("mount", "-t", "tmpfs", "-o", "size=64k", "none", "disk")
    world.configure(rsync(settings='logfile = "@/disk/log",'))
    world.start()
    world.wait("the startup", lambda: len(startups(text_of(world.see("disk/log")))) == 1)
    fill(world.see("disk/filler"))
    for number in range(4):
        world.write(*(f"{'long ' * 40}{number}.{part}" for part in range(10)))
        world.wait("a transfer", lambda: not world.lost() or world.status() is not None)
    world.see("disk/filler").unlink()
    world.write("last")
    outcome = world.outcome()
    world.happens(lambda: "last" in text_of(world.see("disk/log")) or world.status() is not None)
    told = "could not be written to this file" in text_of(world.see("disk/log"))
    return f"{outcome}; " + ("the log says how many lines are missing" if told else "lines are missing without a word")


@scenario("the status file's directory goes and comes back")
def status(world: World) -> str:
    world.hurry(20)
    (world.box / "run").mkdir()
    world.configure(rsync(settings='statusFile = "@/run/status", statusInterval = 1,'))
    world.start()
    world.wait("the status file", (world.box / "run/status").exists)
    world.started()
    shutil.rmtree(world.box / "run")
    world.write("a")
    world.wait("a transfer", lambda: not world.lost() or world.status() is not None)
    (world.box / "run").mkdir()
    back = world.happens((world.box / "run/status").exists)
    return f"{world.outcome()}; " + ("the file is back" if back else "the file is back after the next change only")


@scenario("out of file descriptors for a while")
def descriptors(world: World) -> str:
    world.configure(rsync())
    world.start()
    world.started()
    world.limit_descriptors(4)
    world.write("a", "b")
    world.see("src/d").mkdir()
    world.write("d/c")
    world.happens(lambda: "oo many" in world.said() or world.status() is not None, 4)
    if world.status() is None:
        world.limit_descriptors(None)
    return world.outcome()


@scenario("started with stdin, stdout and stderr closed, in the foreground")
def closed(world: World) -> str:
    look = "for fd in 0 1 2; do test -e /proc/$$/fd/$fd && echo $fd >>$BOX/fds; done; echo run >>$BOX/fds"
    tool = world.script("tool", f'{look}; exec /usr/bin/rsync "$@"')
    world.configure(rsync(binary(tool), settings='logfile = "@/log", statusFile = "@/status", statusInterval = 1,'))
    world.start(shell="<&- >&- 2>&-")
    world.happens(lambda: startups(text_of(world.box / "log")) or world.status() is not None)
    world.write("a", "b")
    outcome = world.outcome()
    runs = text_of(world.box / "fds").split("run\n")[:-1]
    sane = all(run == "0\n1\n2\n" for run in runs)
    return f"{outcome}; " + ("rsync has all three" if sane else "rsync runs without some of them, too")


@scenario("onepass with three syncs, of which one is slow")
def onepass(world: World) -> str:
    slow = world.script("slow", 'sleep 1; exec /usr/bin/rsync "$@"')
    text = ""
    for number, tool in enumerate(("/usr/bin/rsync", slow, slow)):
        (world.box / f"src/{number}").mkdir()
        (world.box / f"src/{number}/f").touch()
        (world.box / f"trg/{number}").mkdir()
        text += f'sync{{ default.rsync, source = "@/src/{number}", target = "@/trg/{number}", {binary(tool)} }}\n'
    world.changes = 3
    world.configure(text)
    world.start("-onepass")
    world.wait("its end", lambda: world.status() is not None)
    if "unknown option" in world.said():
        return "has no such option"
    done = sum((world.box / f"trg/{number}/f").exists() for number in range(3))
    return f"ended with {world.status()} when {done} of 3 were done"


@scenario("`maxProcesses = 1` in settings, three syncs that are always busy")
def busy(world: World) -> str:
    text = "settings{ insist = true, maxProcesses = 1 }\n"
    for number in range(3):
        world.see(f"src/{number}").mkdir()
        world.see(f"trg/{number}").mkdir()
        text += f'sync{{ default.rsync, source = "@/src/{number}", target = "@/trg/{number}", delay = 0 }}\n'
    world.configure(text)
    world.start()
    world.started(3)
    for count in range(20):
        for number in range(3):
            world.write(f"{number}/{count}")
        world.happens(lambda: False, 0.05)
    return world.outcome()


def watches(world: World) -> int:
    found = 0
    for info in Path(f"/proc/{world.pid}/fdinfo").iterdir():
        found += text_of(info).count("inotify wd:")
    return found


def fill(path: Path, keep: int = 0) -> None:
    """Until there is no room for another byte, but for so many kilobytes."""
    with path.open("wb", buffering=0) as filler:
        try:
            while True:
                filler.write(b"x" * 4096)
        except OSError:
            pass
        filler.truncate(max(0, filler.tell() - keep * 1024))


# ---- all of them


def play(one: Scenario, command: Sequence[str], *, is_ours: bool) -> str:
    """What comes of a fault. Raises NotDone."""
    with (
        tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as scratch,
        World(Path(scratch) / "box", command, is_ours=is_ours) as world,
    ):
        outcome = one.play(world)
        if os.environ.get("FAULTS_SHOW"):
            print(world.said()[-4000:], file=sys.stderr)
        return outcome


def recorded() -> dict[str, tuple[str, str]]:
    """Words → what came of it with the real one, and with ours, as FAULTS.md has it."""
    rows = [line.strip("| ").split(" | ") for line in TABLE.read_text().splitlines() if line.startswith("| ")]
    return {cells[0]: (cells[1], cells[2]) for cells in rows[2:]}


def main() -> int:
    real = oracle()
    if real is None:
        print(f"there is no lsyncd {RELEASE} here", file=sys.stderr)
        return 1
    wanted = sys.argv[1:]

    def ask(one: Scenario, command: Sequence[str], is_ours: bool) -> str:
        try:
            return play(one, command, is_ours=is_ours)
        except NotDone as error:
            return f"NOT DONE: {error}"

    chosen = [one for one in SCENARIOS if not wanted or one.play.__name__ in wanted]
    with ThreadPoolExecutor(WORKERS) as pool:
        asked = [(one, pool.submit(ask, one, real, False), pool.submit(ask, one, ours(), True)) for one in chosen]
        rows = []
        for one, theirs, mine in asked:
            rows.append(f"| {one.words} | {theirs.result()} | {mine.result()} |")
            print(f"{one.play.__name__}: {rows[-1]}", flush=True)
    if wanted:
        return 0
    if any("NOT DONE" in line for line in rows):
        return 1
    TABLE.write_text(HEAD + "\n".join([*rows, ""]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
