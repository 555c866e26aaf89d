"""What the churn test sets up for each action: a config, where it writes, and what of a tree it carries."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tests.kit.csync2 import Cluster, csync2_binary
from tests.kit.fanotify import needs_fanotify
from tests.kit.need import program
from tests.kit.sshd import Sshd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path


@dataclass(frozen=True)
class Mirror:
    """`keys`: the sync's, but for `source` and `delay`. `one_link`: it cannot change where a symlink points to.

    `modes`, `times`: whether permissions and the times of files are to be equal in the end. `is_fragile`: what
    runs for the daemon must not die with it, nor in its startup, as it would leave half done what nobody knows of.
    `sizes_differ`: a startup cannot tell two files of one second and one size apart.
    """

    keys: str
    source: Path
    target: Path
    settings: str = ""
    one_link: bool = False
    modes: bool = True
    times: bool = True
    is_fragile: bool = False
    sizes_differ: bool = False

    def config(self, delay: float, status: Path) -> str:
        """With a pid file: what a daemon that was killed has left running is known by it, and waited for."""
        return (
            f'settings {{ insist = true, statusFile = "{status}", statusInterval = 0, {self.settings} }}\n'
            f'settings {{ pidfile = "{status.with_name("pid")}" }}\n'
            f'sync {{ {self.keys}, source = "{self.source}", delay = {delay} }}\n'
        )


EXACT = '_extra = { "--modify-window=-1" }'
"""Else a startup cannot tell two files of one second and one size apart; see the plugin's README."""


@contextlib.contextmanager
def rsync(box: Path, restarts: bool) -> Iterator[Mirror]:
    program("rsync")
    rsync = f"archive = true, {EXACT if restarts else ''}"
    yield Mirror(f'default.rsync, target = "{box}/trg", rsync = {{ {rsync} }}', box / "src", box / "trg")


@contextlib.contextmanager
def rsync_by_size(box: Path, restarts: bool) -> Iterator[Mirror]:
    """Several at once."""
    with rsync(box, restarts) as mirror:
        yield replace(mirror, keys=f"{mirror.keys}, batchSizeLimit = 3000, maxProcesses = 3")


@contextlib.contextmanager
def rsyncssh(box: Path, restarts: bool) -> Iterator[Mirror]:
    for name in ("rsync", "ssh"):
        program(name)
    with Sshd(box) as sshd:
        yield Mirror(
            f'default.rsyncssh, host = "{sshd.user}@127.0.0.1", targetdir = "{box}/trg", '
            f"rsync = {{ archive = true, {EXACT if restarts else ''} }}, "
            f'ssh = {{ port = {sshd.port}, identityFile = "{sshd.key}", '
            f'options = {{ UserKnownHostsFile = "{sshd.known_hosts}", BatchMode = "yes" }} }}',
            box / "src",
            box / "trg",
        )


@contextlib.contextmanager
def rsync_listed(box: Path, restarts: bool) -> Iterator[Mirror]:
    """Each change by its name, in small directories, too."""
    with rsync(box, restarts) as mirror:
        yield replace(mirror, keys=mirror.keys.replace("archive = true", "archive = true, listed = true"))


@contextlib.contextmanager
def rsyncssh_listed(box: Path, restarts: bool) -> Iterator[Mirror]:
    with rsyncssh(box, restarts) as mirror:
        yield replace(mirror, keys=mirror.keys.replace("archive = true", "archive = true, listed = true"))


@contextlib.contextmanager
def direct(box: Path, restarts: bool) -> Iterator[Mirror]:
    program("rsync")
    rsync = f"archive = true, {EXACT if restarts else ''}"
    yield Mirror(
        f'default.direct, target = "{box}/trg", rsync = {{ {rsync} }}',
        box / "src",
        box / "trg",
        modes=False,
        times=False,
    )


@contextlib.contextmanager
def native(box: Path, restarts: bool) -> Iterator[Mirror]:
    yield Mirror(f'default.native, target = "{box}/trg"', box / "src", box / "trg")


@contextlib.contextmanager
def fanotify(box: Path, restarts: bool) -> Iterator[Mirror]:
    needs_fanotify()
    keys = f'default.native, target = "{box}/trg", monitor = "fanotify"'
    yield Mirror(keys, box / "src", box / "trg")


COMMAND = """#!{python}
import os, shutil, subprocess, sys

SOURCE, TARGET = b"{source}", b"{target}"
if sys.argv[1:]:
    sys.exit(subprocess.call(["rsync", "-a", "-I", "--delete", "--force", SOURCE + b"/", TARGET + b"/"]) not in (0, 24))
for path in filter(None, sys.stdin.buffer.read().split(b"\\0")):
    here, there = SOURCE + b"/" + path.strip(b"/"), TARGET + b"/" + path.strip(b"/")
    try:
        is_directory = os.path.isdir(here) and not os.path.islink(here)
        if os.path.isdir(there) and not os.path.islink(there):
            if not is_directory:
                shutil.rmtree(there)
            elif is_directory:
                for name in os.listdir(there):
                    if not os.path.lexists(os.path.join(here, name)):
                        gone = os.path.join(there, name)
                        shutil.rmtree(gone) if os.path.isdir(gone) and not os.path.islink(gone) else os.unlink(gone)
                continue
        elif os.path.lexists(there):
            os.unlink(there)
        if not os.path.lexists(here):
            continue
        above = TARGET
        for name in path.strip(b"/").split(b"/")[:-1]:
            above += b"/" + name
            if os.path.islink(above) or os.path.isfile(above):
                os.unlink(above)
            if not os.path.isdir(above):
                os.mkdir(above)
        if is_directory:
            os.mkdir(there)
        elif os.path.lexists(here):
            shutil.copy2(here, there, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        pass
"""
"""Mirrors each of the paths that it is given, everything with an argument."""


@contextlib.contextmanager
def command(box: Path, restarts: bool) -> Iterator[Mirror]:
    """A script that is given paths, and mirrors each of them."""
    program("rsync")
    script = box / "mirror"
    script.write_text(COMMAND.format(python=sys.executable, source=f"{box}/src", target=f"{box}/trg"))
    script.chmod(0o755)
    keys = (
        f'default.command, target = "{box}/trg", command = {{ "{script}" }}, startupCommand = {{ "{script}", "all" }}'
    )
    yield Mirror(keys, box / "src", box / "trg", modes=False, times=False)


@contextlib.contextmanager
def csync2(box: Path, restarts: bool) -> Iterator[Mirror]:
    with Cluster(box / "cluster") as cluster:
        here, there = cluster
        here.csync2("-cr", "/")  # killed while it makes its database, it never recovers
        yield Mirror(
            f'default.csync2, syncid = "{cluster.syncid}", csync2 = {{ binary = "{csync2_binary()}", '
            f'hostname = "{here.name}", database = "{here.database}", config_dir = "{cluster.system}", '
            f"port = {cluster.port} }}",
            here.tree,
            there.tree,
            settings="transferTimeout = 20",  # a file that vanishes may make csync2 and its peer wait for each other
            one_link=True,
            is_fragile=True,
            sizes_differ=restarts,
        )


MIRRORS: dict[str, Callable[[Path, bool], AbstractContextManager[Mirror]]] = {
    "rsync": rsync,
    "rsync-listed": rsync_listed,
    "rsync-sized": rsync_by_size,
    "native": native,
    "fanotify": fanotify,
    "direct": direct,
    "command": command,
    "rsyncssh": rsyncssh,
    "rsyncssh-listed": rsyncssh_listed,
    "csync2": csync2,
}
