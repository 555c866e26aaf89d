"""The config keys of `default.rsync`, one table: what a key is called, and what it makes of itself (spec 4.2)."""

from __future__ import annotations

from typing import Final

from orchestrator.api import SELECTION, Option, Options

SHORT_FLAGS: Final[tuple[tuple[str, str, str], ...]] = (
    ("acls", "A", "keep access control lists"),
    ("backup", "b", "keep what is overwritten or deleted, see backup_dir and suffix"),
    ("checksum", "c", "compare by checksum, not by size and time"),
    ("compress", "z", "compress on the way"),
    ("copy_dirlinks", "k", "treat links to directories as directories"),
    ("copy_links", "L", "copy what a link points to"),
    ("cvs_exclude", "C", "leave out what CVS leaves out"),
    ("dry_run", "n", "only say what would be done"),
    ("executability", "E", "keep whether a file can be executed"),
    ("group", "g", "keep the group"),
    ("hard_links", "H", "keep hard links"),
    ("ignore_times", "I", "transfer even where size and time are equal"),
    ("ipv4", "4", "use IPv4"),
    ("ipv6", "6", "use IPv6"),
    ("keep_dirlinks", "K", "take a link to a directory on the target for the directory"),
    ("links", "l", "copy links as links"),
    ("one_file_system", "x", "stay on one file system"),
    ("omit_dir_times", "O", "leave the times of directories alone"),
    ("omit_link_times", "J", "leave the times of links alone"),
    ("owner", "o", "keep the owner, where permitted"),
    ("perms", "p", "keep the permissions"),
    ("protect_args", "s", "pass names to the other side without a shell seeing them"),
    ("prune_empty_dirs", "m", "leave out empty directories"),
    ("quiet", "q", "say less"),
    ("sparse", "S", "make holes of runs of zeros"),
    ("times", "t", "keep modification times"),
    ("update", "u", "leave what is newer on the target"),
    ("verbose", "v", "say more"),
    ("whole_file", "W", "copy whole files, no deltas"),
    ("xattrs", "X", "keep extended attributes"),
)
"""Key, letter, meaning."""

LONG_OPTIONS: Final[tuple[tuple[str, bool, str], ...]] = (
    ("append", False, "append data to shorter files"),
    ("append_verify", False, "the same, and verify the old part"),
    ("backup_dir", True, "where backup puts things; may hold a date, as in %Y-%m-%d"),
    ("bwlimit", True, "limit in KiB per second"),
    ("chmod", True, "change the permissions on the way"),
    ("chown", True, "change owner and group on the way"),
    ("copy_unsafe_links", False, "copy what a link points to, where it points outside the tree"),
    ("groupmap", True, "map groups"),
    ("existing", False, "create nothing new on the target"),
    ("inplace", False, "write into the files themselves"),
    ("password_file", True, "file with the password of an rsync daemon"),
    ("rsh", True, "the remote shell, with its arguments"),
    ("rsync_path", True, "rsync on the other side"),
    ("suffix", True, "suffix for backup; may hold a date, as in .%Y-%m-%d"),
    ("temp_dir", True, "where files lie while they are being written"),
    ("timeout", True, "seconds without data after which rsync gives up"),
    ("usermap", True, "map users"),
)
"""Key, whether it takes a value, meaning; in the order in which lsyncd hands them over."""

ARCHIVE: Final = ("links", "perms", "times", "group", "owner", "devices", "specials")
"""What `archive = true` turns on, unless one of them is set to false."""

_ON_BY_DEFAULT: Final = frozenset({"links", "protect_args", "times"})

_LISTS = "rsync reads from its standard input what to transfer"

UNSAFE: Final[dict[str, str]] = {
    "delete-excluded": "between full runs it deletes all on the target that has not just changed;"
    " say rsync = { delete_excluded = true }, which is for full runs",
    "relative": "it puts all below the source's own path on the target, where no change of later would reach it",
    "files-from": f"{_LISTS}; say filter or exclude",
    "from0": f"{_LISTS}, and it would take those of a full run for one long name",
    "list-only": "nothing is transferred",
    "read-batch": "what changed is not transferred",
    "only-write-batch": "nothing reaches the target",
    "daemon": "nothing is transferred",
    "server": "nothing is transferred",
    "help": "nothing is transferred",
    "version": "nothing is transferred",
    "": "all options behind it would be taken for names of files",
}
"""Words for rsync that lose or destroy something without rsync saying so, and why.

All others are safe at the startup and while running: what they do to one file they do to it in both.
"""

UNSAFE_WITH_DELETIONS: Final[dict[str, str]] = {
    "remove-source-files": "what is gone from the source is deleted on the target, too; say delete = false",
    "delete-missing-args": "a source that is not mounted would delete the target; say delete = false",
}
"""Those that do so where `delete` is not false."""

READS_STDIN: Final = frozenset({"exclude-from", "include-from", "filter", "password-file", "early-input"})
"""Options whose value may be a file that is to be read; `-` would be the list that is meant for another option."""

RSYNC_TABLE: Final[Options] = {
    "binary": Option((str,), "rsync", "the program, looked up in PATH", path="program"),
    "archive": Option((bool,), None, f"{', '.join(ARCHIVE)}, unless set one by one"),
    **{key: Option((bool,), key in _ON_BY_DEFAULT or None, text) for key, _, text in SHORT_FLAGS},
    "devices": Option((bool,), None, "keep device files"),
    "specials": Option((bool,), None, "keep sockets and FIFOs"),
    **{
        key: Option((str, int, float) if valued else (bool,), None, text, path="file" if key == "password_file" else "")
        for key, valued, text in LONG_OPTIONS
    },
    "delete_excluded": Option((bool,), None, "full runs delete excluded files on the target"),
    "_extra": Option((list,), None, "further arguments, handed over as they are"),
    "listed": Option(
        (bool, str),
        None,
        "true, false, 'auto': changes travel by their names alone; 'auto', not set: in large directories",
    ),
}

SSH_SHARE: Final = Option((int, float, bool), None, "seconds, as the setting; false: no ssh connection is shared")

OPTIONS: Final[Options] = {
    **SELECTION,
    "target": Option((str,), None, "where to: a path, HOST:PATH, HOST::MODULE/PATH or rsync://…"),
    "batchSizeLimit": Option((int, float), None, "bytes; a larger file gets a run of its own"),
    "sshShare": SSH_SHARE,
    "startupProcesses": Option((int,), None, "processes at a time that the startup is shared out to; not set: one"),
    "rsync": RSYNC_TABLE,
}
