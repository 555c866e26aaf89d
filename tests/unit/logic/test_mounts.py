"""Where this process sees something else than the machine has: tables of mounts as systemd's options make them."""

from __future__ import annotations

import pytest

from orchestrator.logic.mounts import Mounts, Place, places_unlike

MACHINE = b"""\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:5 / /proc rw - proc proc rw
24 22 0:24 / /run rw - tmpfs tmpfs rw
25 22 8:2 / /home rw - ext4 /dev/sda2 rw
26 22 8:3 /www /srv/with\\040space rw - ext4 /dev/sda3 rw
"""


def service(*lines: bytes) -> Mounts:
    """As the machine's table, with numbers of its own, and with what a unit's option adds."""
    copied = [line.replace(b" 22 ", b" 122 ", 1) for line in MACHINE.splitlines()]
    copied[0] = copied[0].replace(b"22 1 ", b"122 1 ")
    return Mounts(b"\n".join((*copied, *lines)))


OPTIONS = {
    # option: what it adds to the table; source; the places in the source that differ by it
    "nothing": ((), b"/", []),
    "ProtectKernelModules": (
        (b"140 122 0:24 /systemd/inaccessible/dir /usr/lib/modules ro - tmpfs tmpfs rw",),
        b"/usr",
        [b"/usr/lib/modules"],
    ),
    "the source lies in what is hidden": (
        (b"140 122 0:24 /systemd/inaccessible/dir /usr/lib/modules ro - tmpfs tmpfs rw",),
        b"/usr/lib/modules/6.1/",
        [b"/usr/lib/modules/6.1"],
    ),
    "the source is beside it": (
        (b"140 122 0:24 /systemd/inaccessible/dir /usr/lib/modules ro - tmpfs tmpfs rw",),
        b"/usr/lib/mod/",
        [],
    ),
    "PrivateTmp": (
        (b"140 122 8:1 /tmp/systemd-private-x/tmp /tmp rw - ext4 /dev/sda1 rw",),
        b"/",
        [b"/tmp"],
    ),
    "ProtectHome=tmpfs": ((b"140 125 0:50 / /home ro - tmpfs tmpfs ro",), b"/", []),
    "ProtectHome=tmpfs, on the mount that is there": ((b"140 25 0:50 / /home ro - tmpfs tmpfs ro",), b"/", [b"/home"]),
    # the same files, which only can't be written to
    "ProtectSystem=full": (
        (b"140 122 8:1 /usr /usr ro - ext4 /dev/sda1 rw", b"141 122 8:1 /boot /boot ro - ext4 /dev/sda1 rw"),
        b"/",
        [],
    ),
    "ReadOnlyPaths of a mount of its own": (
        (b"140 26 8:3 /www /srv/with\\040space ro - ext4 /dev/sda3 rw",),
        b"/",
        [],
    ),
    "one hidden by another: the outermost is enough": (
        (
            b"140 122 0:50 / /srv ro - tmpfs tmpfs ro",
            b"141 122 0:51 / /srv/deep/er ro - tmpfs tmpfs ro",
        ),
        b"/srv/",
        [b"/srv"],
    ),
}


@pytest.mark.parametrize("option", OPTIONS)
def test_where_a_service_sees_something_else(option: str) -> None:
    lines, source, places = OPTIONS[option]
    assert places_unlike(service(*lines), Mounts(MACHINE), source) == places


def test_what_the_machine_has_mounted_and_we_have_not() -> None:
    ours = Mounts(b"\n".join(line for line in MACHINE.splitlines() if b"/home" not in line))
    assert places_unlike(ours, Mounts(MACHINE), b"/home/me/") == [b"/home/me"]


def test_another_root_directory_makes_paths_mean_something_else() -> None:
    container = Mounts(b"9 1 0:77 / / rw - overlay overlay rw\n10 9 0:78 / /data rw - ext4 x rw\n")
    assert places_unlike(container, Mounts(MACHINE), b"/data/") == []
    assert places_unlike(Mounts(b""), Mounts(MACHINE), b"/") == []


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (b"/", Place(b"8:1", b"/")),
        (b"/usr/bin/", Place(b"8:1", b"/usr/bin")),
        (b"/home", Place(b"8:2", b"/")),
        (b"/homes/x", Place(b"8:1", b"/homes/x")),
        (b"/srv/with space/a", Place(b"8:3", b"/www/a")),
    ],
)
def test_what_a_path_means(path: bytes, place: Place) -> None:
    assert Mounts(MACHINE).place_of(path) == place


BINDS = b"""\
22 1 8:1 / / rw - ext4 /dev/sda1 rw
25 22 8:2 / /home rw - ext4 /dev/sda2 rw
26 22 8:2 /u/data /srv/data rw - ext4 /dev/sda2 rw
27 22 8:1 /var/www /mnt/www rw - ext4 /dev/sda1 rw
28 22 8:3 / /mnt/hidden rw - ext4 /dev/sda3 rw
29 28 8:4 / /mnt/hidden/below rw - ext4 /dev/sda4 rw
"""


@pytest.mark.parametrize(
    ("path", "outer", "place"),
    [
        (b"/a/b", b"/a", b"/b"),
        (b"/a/b/c", b"/a/", b"/b/c"),
        (b"/a", b"/a", None),
        (b"/ab", b"/a", None),
        (b"/a", b"/", b"/a"),
        (b"/srv/data/x", b"/home", b"/u/data/x"),
        (b"/srv/data", b"/home/u", b"/data"),
        (b"/home/u/data/x", b"/srv", b"/data/x"),
        (b"/home/u", b"/srv", None),
        (b"/mnt/www/html", b"/var", b"/www/html"),
        (b"/var/www", b"/mnt", b"/www"),
        (b"/mnt/hidden/below", b"/mnt/hidden", b"/below"),
        (b"/home/u/data", b"/srv/data", None),  # the same directory
    ],
)
def test_where_a_directory_lies_within_another(path: bytes, outer: bytes, place: bytes | None) -> None:
    assert Mounts(BINDS).inside(path, outer) == place


def test_what_is_hidden_by_a_later_mount_is_no_way() -> None:
    hidden = BINDS + b"30 22 8:5 / /srv rw - ext4 /dev/sda5 rw\n"
    assert Mounts(hidden).inside(b"/home/u/data/x", b"/srv") is None
