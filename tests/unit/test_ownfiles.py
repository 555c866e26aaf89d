"""Where files of the daemon's own are, if somebody else has rights to the directory."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from orchestrator.ownfiles import LastLink, located, open_file, temporary_directory
from tests.kit.need import missing

SOMEBODY = 65534

CREATE = os.O_WRONLY | os.O_CREAT


def link(path: Path, target: str | Path, owner: int = 0) -> None:
    path.symlink_to(target)
    if owner:
        if os.geteuid() != 0:
            missing("only root can make links of others")
        os.lchown(path, owner, owner)


def place_of(path: Path, last_link: LastLink = LastLink.FOLLOWED) -> str:
    """Where a path leads, as the kernel calls it."""
    with located(os.fsencode(path), last_link) as place:
        return os.path.join(os.readlink(f"/proc/self/fd/{place.directory}"), os.fsdecode(place.name))


@pytest.fixture
def box(tmp_path: Path) -> Path:
    (tmp_path / "real/deep").mkdir(parents=True)
    (tmp_path / "real/file").write_text("precious")
    return tmp_path


def test_a_way_without_links(box: Path) -> None:
    assert place_of(box / "real/file") == f"{box}/real/file"
    assert place_of(box / "real/none") == f"{box}/real/none"
    assert place_of(Path("/")) == "/."
    for name in ("none/file", "real/file/x"):
        with pytest.raises(OSError, match=r"No such|Not a directory"):
            place_of(box / name)


def test_our_own_links_are_followed(box: Path) -> None:
    link(box / "way", "real/./deep/..")
    link(box / "last", box / "way/file")
    link(box / "dangling", "real/new")
    assert place_of(box / "way/file") == f"{box}/real/file"
    assert place_of(box / "last") == f"{box}/real/file"
    assert place_of(box / "dangling") == f"{box}/real/new"
    assert place_of(box / "last", LastLink.NEVER) == f"{box}/last"
    assert place_of(box / "way/../way/file", LastLink.NEVER) == f"{box}/real/file"


def test_links_of_others_are_not(box: Path) -> None:
    link(box / "way", "real", SOMEBODY)
    link(box / "last", "real/file", SOMEBODY)
    link(box / "ours", "way/file")
    for name in ("way/file", "ours"):
        with pytest.raises(OSError, match="a link of somebody else's is on the way") as caught:
            place_of(box / name)
        assert caught.value.errno == errno.ELOOP
    for last_link in LastLink:
        assert place_of(box / "last", last_link) == f"{box}/last"
    with pytest.raises(OSError, match="Too many levels"):
        open_file(os.fsencode(box / "last"), CREATE | os.O_TRUNC)
    assert (box / "real/file").read_text() == "precious"


def test_a_last_link_in_a_directory_of_everybody_s(box: Path) -> None:
    shared = box / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    link(shared / "last", box / "real/file")
    assert place_of(shared / "last") == f"{box}/real/file"
    assert place_of(shared / "last", LastLink.NOT_FROM_SHARED) == f"{shared}/last"


def test_links_in_a_circle_and_a_long_chain(box: Path) -> None:
    link(box / "a", "b")
    link(box / "b", "a")
    link(box / "0", "real/file")
    for number in range(1, 3000):
        link(box / str(number), str(number - 1))
    assert place_of(box / "39") == f"{box}/real/file"
    for name in ("a", "2999"):
        with pytest.raises(OSError, match="Too many levels"):
            place_of(box / name)


def test_a_descriptor_s_name(box: Path) -> None:
    """logfile = "/dev/stdout", as in containers: a link of /proc, which leads to a pipe that has no path."""
    reading, writing = os.pipe()
    link(box / "out", f"/proc/self/fd/{writing}")
    fd = open_file(os.fsencode(box / "out"), CREATE | os.O_APPEND)
    os.write(fd, b"said")
    assert os.read(reading, 100) == b"said"
    for one in (fd, reading, writing):
        os.close(one)


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0, 0o664), (0o077, 0o600)])
def test_no_new_file_is_everybody_s_to_write(box: Path, umask: int, mode: int) -> None:
    old = os.umask(umask)
    os.close(open_file(os.fsencode(box / "new"), CREATE))
    os.umask(old)
    assert stat.S_IMODE((box / "new").stat().st_mode) == mode


def test_children_do_not_inherit_it(box: Path) -> None:
    fd = open_file(os.fsencode(box / "new"), CREATE)
    assert not os.get_inheritable(fd)
    os.close(fd)


def test_nothing_is_left_open(box: Path) -> None:
    link(box / "way", "real")
    link(box / "circle", "circle")
    before = len(os.listdir("/proc/self/fd"))
    for name in ("way/file", "circle", "circle/x", "way/none/x", "real/file/x"):
        try:
            os.close(open_file(os.fsencode(box / name), os.O_RDONLY))
        except OSError:
            pass
    assert len(os.listdir("/proc/self/fd")) == before


def test_temporary_files_go_where_they_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert temporary_directory() == str(tmp_path)
    tmp_path.rmdir()
    assert temporary_directory() == str(tmp_path), "it stays the same: what is to be there later waits"
    monkeypatch.setenv("TMPDIR", str(tmp_path / "never there"))
    assert temporary_directory() in ("/tmp", "/var/tmp")
    monkeypatch.delenv("TMPDIR")
    assert temporary_directory() in ("/tmp", "/var/tmp")
