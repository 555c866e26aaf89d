"""The records of one sync in an SQLite file (see the package for the rules). Used on one thread at a time."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

from orchestrator.logic.known import DIRECTORY, FILE, IDENTITY, ROOT, Record, checksum, kind_of, without_attributes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from orchestrator.state.place import Seal

VERSION: Final = 1
"""Of the tables; a database of another version is not used."""

_TABLES: Final = (
    "CREATE TABLE about (key TEXT PRIMARY KEY, value) WITHOUT ROWID",
    """CREATE TABLE entry (parent INTEGER NOT NULL, name BLOB NOT NULL, kinds INTEGER NOT NULL, status BLOB,
       number INTEGER, below INTEGER, PRIMARY KEY (parent, name)) WITHOUT ROWID""",
)
"""`number`, `below`: of directories alone. The name is the last component, the root's is empty."""

_BELOW: Final = (
    "parent IN (WITH RECURSIVE below(id) AS (VALUES(?) UNION SELECT entry.number FROM entry JOIN below"
    " ON entry.parent = below.id WHERE entry.number IS NOT NULL) SELECT id FROM below)"
)
"""The records below a directory, all the way down."""

_PUT: Final = "INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?, ?, ?)"

_MOST_PLACES: Final = 2048
"""Directories whose place is remembered from one commit to the next."""

_CACHE: Final = -1024
"""Kilobytes of SQLite's page cache."""

_WAL_LIMIT: Final = 4 << 20
"""Bytes of the log that is kept beside the database."""


class Damaged(Exception):
    """The database contradicts itself."""


class _Place:
    """A directory's record: where it stands, and what is to be written of it."""

    __slots__ = ("below", "is_changed", "name", "number", "parent")

    def __init__(self, parent: int, name: bytes, number: int, below: int) -> None:
        self.parent = parent
        self.name = name
        self.number = number
        self.below = below
        self.is_changed = False


class Store:
    """An open database. All methods raise sqlite3.Error, OSError or Damaged; it cannot be used any more then.

    `commit` writes all changes.
    """

    def __init__(self, seal: Seal) -> None:
        """Open the database, and make it where it is missing. It may be any file: see `version`."""
        self._seal = seal
        self._db = db = sqlite3.connect(seal.path, isolation_level=None, check_same_thread=False, timeout=1.0)
        self._run = db.execute
        try:
            self._run(f"PRAGMA cache_size = {_CACHE}")
            self._run("PRAGMA journal_mode = WAL")
            self._run(f"PRAGMA journal_size_limit = {_WAL_LIMIT}")
            self._run("PRAGMA temp_store = MEMORY")
            if self.version() == 0:
                self._run("BEGIN IMMEDIATE")
                for table in _TABLES:
                    self._run(table)
                self._run(f"PRAGMA user_version = {VERSION}")
                self._run("COMMIT")
            self._next = int(self.about("next") or ROOT + 1) if self.version() == VERSION else 0
        except BaseException:
            db.close()
            raise
        self._places: dict[bytes, _Place] = {}
        self._is_open = False

    def version(self) -> int:
        (version,) = self._run("PRAGMA user_version").fetchone()
        return int(version)

    def about(self, key: str) -> str | None:
        found = self._run("SELECT value FROM about WHERE key = ?", (key,)).fetchone()
        return None if found is None else str(found[0])

    def set_about(self, values: Mapping[str, str | None]) -> None:
        self._begin()
        for key, value in values.items():
            if value is None:
                self._run("DELETE FROM about WHERE key = ?", (key,))
            else:
                self._run("INSERT OR REPLACE INTO about VALUES (?, ?)", (key, value))

    def has_lost(self) -> bool:
        """Whether changes are missing that were certainly written once."""
        written = self._seal.number()
        return written is None or int(self.about("sequence") or 0) < written

    def commit(self, *, durably: bool = False) -> None:
        """Write what was changed. `durably`: on disk, so that it survives a power cut."""
        if not self._is_open and not durably:
            return
        number = 0
        if durably:
            number = int(self.about("sequence") or 0) + 1
            self.set_about({"sequence": str(number)})
        self._flush()
        self.set_about({"next": str(self._next)})
        self._run("COMMIT")
        self._is_open = False
        if len(self._places) > _MOST_PLACES:
            self._places.clear()
        if durably:
            self._seal.write(number)

    def close(self) -> None:
        self._db.close()

    # ---- reading ------------------------------------------------------------------------------

    def records(self, number: int) -> dict[bytes, Record]:
        """The records in a directory by name."""
        rows = self._run("SELECT name, kinds, status, number, below FROM entry WHERE parent = ?", (number,))
        make = Record._make
        return {name: make((kinds, status, own, below or 0)) for name, kinds, status, own, below in rows}

    def root(self) -> Record | None:
        """The source directory's own record."""
        return self._get(0, b"")

    def _get(self, parent: int, name: bytes) -> Record | None:
        row = self._run(
            "SELECT kinds, status, number, below FROM entry WHERE parent = ? AND name = ?", (parent, name)
        ).fetchone()
        return None if row is None else Record(row[0], row[1], row[2], row[3] or 0)

    # ---- changing -----------------------------------------------------------------------------

    def clear(self) -> None:
        """Forget all records."""
        self._begin()
        self._places.clear()
        self._run("DELETE FROM entry")
        self._next = ROOT + 1
        self._run(_PUT, (0, b"", DIRECTORY, None, ROOT, 0))

    def void(self, path: bytes) -> None:
        """Forget the status of a path (a directory's ends with a slash), which the target may have from now on."""
        self._begin()
        place, name = self._place_of(path)
        kind = DIRECTORY if path.endswith(b"/") else FILE
        if place is None:
            self._run("UPDATE entry SET status = NULL WHERE parent = 0")
            return
        old = self._get(place.number, name)
        if old is None:
            self._put(place, name, None, Record(kind))
        elif old.kinds & kind != kind:
            self._put(place, name, old, old._replace(kinds=old.kinds | kind, status=None))
        elif old.status is not None:
            self._run("UPDATE entry SET status = NULL WHERE parent = ? AND name = ?", (place.number, name))

    def void_below(self, path: bytes) -> None:
        """As `void` for a directory, with all below it."""
        self.void(path)
        place, name = self._place_of(path)
        old = self._get(place.number if place else 0, name)
        if old is not None and old.number is not None:
            self._run(f"UPDATE entry SET status = NULL WHERE {_BELOW}", (old.number,))

    def void_attributes(self, path: bytes) -> None:
        """As `void` for a directory, but it stays known as the one that it is."""
        place, name = self._place_of(path)
        parent = place.number if place else 0
        old = self._get(parent, name)
        if old is None or old.status is None or not old.kinds & DIRECTORY:
            self.void(path)
            return
        self._begin()
        status = without_attributes(old.status)
        self._run("UPDATE entry SET status = ? WHERE parent = ? AND name = ?", (status, parent, name))

    def know(self, directory: bytes, statuses: Iterable[tuple[bytes, bytes]]) -> None:
        """Record the statuses of names in a directory."""
        self._begin()
        place = self._place(directory)
        for name, status in statuses:
            self._know(directory, place, name, status)

    def know_root(self, status: bytes) -> None:
        """Record the status of the source directory itself."""
        self._begin()
        self._run("UPDATE entry SET status = ? WHERE parent = 0", (status,))

    def know_same(self, path: bytes, status: bytes) -> None:
        """Record the status of a directory that is known as this very one."""
        place, name = self._place_of(path)
        parent = place.number if place else 0
        old = self._get(parent, name)
        if old is not None and old.status not in (None, status) and old.status[:IDENTITY] == status[:IDENTITY]:
            self._begin()
            self._run("UPDATE entry SET status = ? WHERE parent = ? AND name = ?", (status, parent, name))

    def add(self, directory: bytes, entries: Mapping[bytes, tuple[int, bytes | None]]) -> None:
        """Record names (kind and status) in a directory of which nothing is recorded yet."""
        self._begin()
        place = self._place(directory)
        known = self.records(place.number)
        rows = []
        for name in sorted(entries.keys() - known.keys()):
            kind, status = entries[name]
            record = Record(kind, status, self._new_number() if kind == DIRECTORY else None)
            place.below ^= checksum(name, record)
            rows.append((place.number, name, kind, status, record.number, 0 if record.number else None))
        place.is_changed = place.is_changed or bool(rows)
        self._db.executemany(_PUT, rows)

    def drop(self, path: bytes) -> None:
        """Forget a path with all below it: the target does not have it."""
        self._begin()
        place, name = self._place_of(path)
        old = None if place is None else self._get(place.number, name)
        if place is None or old is None:
            return
        self._drop_below(old, path.rstrip(b"/") + b"/")
        self._run("DELETE FROM entry WHERE parent = ? AND name = ?", (place.number, name))
        place.below ^= checksum(name, old)
        place.is_changed = True

    # ---- within -------------------------------------------------------------------------------

    def _begin(self) -> None:
        if not self._is_open:
            self._run("BEGIN IMMEDIATE")
            self._is_open = True

    def _know(self, directory: bytes, place: _Place, name: bytes, status: bytes) -> None:
        old, kind = self._get(place.number, name), kind_of(status)
        if old is not None and old.kinds == kind:
            if old.status != status:
                self._run("UPDATE entry SET status = ? WHERE parent = ? AND name = ?", (status, place.number, name))
            return
        if old is not None and kind != DIRECTORY:
            self._drop_below(old, directory + name + b"/")
        number = old.number if old is not None and kind == DIRECTORY else None
        below = old.below if old is not None and kind == DIRECTORY else 0
        self._put(place, name, old, Record(kind, status, number, below))

    def _drop_below(self, record: Record, path: bytes) -> None:
        if record.number is not None:
            for place in [place for place in self._places if place.startswith(path)]:
                del self._places[place]
            self._run(f"DELETE FROM entry WHERE {_BELOW}", (record.number,))

    def _put(self, place: _Place, name: bytes, old: Record | None, new: Record) -> None:
        if new.kinds & DIRECTORY and new.number is None:
            new = new._replace(number=self._new_number())
        if old is not None:
            place.below ^= checksum(name, old)
        place.below ^= checksum(name, new)
        place.is_changed = True
        below = new.below if new.number is not None else None
        self._run(_PUT, (place.number, name, new.kinds, new.status, new.number, below))

    def _new_number(self) -> int:
        self._next += 1
        return self._next - 1

    def _place_of(self, path: bytes) -> tuple[_Place | None, bytes]:
        """The directory that a path lies in, and its name there; None for the root."""
        if path == b"/":
            return None, b""
        plain = path[:-1] if path.endswith(b"/") else path
        cut = plain.rindex(b"/") + 1
        return self._place(plain[:cut]), plain[cut:]

    def _place(self, directory: bytes) -> _Place:
        """The record of a directory, made where there is none: then the target may have it."""
        found = self._places.get(directory)
        if found is not None:
            return found
        if directory == b"/":
            record = self._get(0, b"")
            if record is None:
                raise Damaged("it has no root")
            place = _Place(0, b"", ROOT, record.below)
        else:
            above, name = self._place_of(directory)
            assert above is not None
            old = self._get(above.number, name)
            if old is None or old.number is None:
                self._begin()
                new = Record(DIRECTORY | (old.kinds if old else 0), None, self._new_number())
                self._put(above, name, old, new)
                old = new
            place = _Place(above.number, name, old.number or 0, old.below)
        self._places[directory] = place
        return place

    def _flush(self) -> None:
        """Write the checksums of directories in which something has changed."""
        changed = [place for place in self._places.values() if place.is_changed]
        for place in changed:
            place.is_changed = False
        self._db.executemany(
            "UPDATE entry SET below = ? WHERE parent = ? AND name = ?",
            [(place.below, place.parent, place.name) for place in changed],
        )
