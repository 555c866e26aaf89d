"""The recorded state of targets, by which a start finds what changed while no daemon ran (setting `stateDir`).

For each sync there is an SQLite file with a record for every path that the target is known to have, or may have.
Two rules keep a record from claiming too much, wherever the daemon is killed:

1. Before a transfer begins, all paths that it may change on the target have a record without a status, on disk
   (fsync). A directory that was made, deleted or moved: all below it as well. Before a full run the whole state is
   declared void.
2. A path gets a status only after a transfer that went well and only if its ctime lies before the transfer's beginning,
   by the coarse clock that the kernel takes file times from. So its status was the same all the time that the transfer
   ran, and nobody need look at a path before it is transferred. Nor is a path taken whose directory may have been
   renamed since then: its own ctime and the mtime of the one above it are both not older (`scan.unmoved_since`).

A path that changes later needs no record: its status differs from the one that is recorded. A power cut may
lose statuses, never a void: the number of the last change that was fsynced stands in a file of its own as well, and a
database that is older is not used.

All files are read and written on one thread (`writer.Writer`), never by the loop. A transfer waits until its paths are
void; statuses are recorded in the background, and given up where too many wait (the paths stay without one). After a
full run the source is walked there, too; until that is done, another start is a full run.

`store` has the file of one sync, `place` the directory and the locks, `keeper` what a sync asks of all this. The rules
of comparison are pure: `logic.known`.
"""
