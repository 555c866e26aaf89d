"""Hard links: which names of the source are one file, so that they are one file on the target too.

inotify reports a write under the one name it was made by, and not under the other names; so all
names of a file with several must be known, or the others would go stale on the target.
"""

from __future__ import annotations

import threading

Key = tuple[int, int]
"""Device and inode of a file."""


class Links:
    """The names known of every file that has several; lives as long as the sync. Names may be out of date:
    who uses them looks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names: dict[Key, set[str]] = {}
        self._keys: dict[str, Key] = {}
        self._searched: dict[Key, int] = {}

    def add(self, key: Key, path: str) -> None:
        with self._lock:
            self._names.setdefault(key, set()).add(path)
            self._keys[path] = key

    def key(self, path: str) -> Key | None:
        """Which file had this name when it was last looked at."""
        return self._keys.get(path)

    def names(self, key: Key) -> list[str]:
        with self._lock:
            return sorted(self._names.get(key, ()))

    def discard(self, key: Key, path: str) -> None:
        with self._lock:
            if self._keys.get(path) == key:
                del self._keys[path]
            names = self._names.get(key)
            if names is not None:
                names.discard(path)
                self._searched.pop(key, None)
                if not names:
                    del self._names[key]

    def rename(self, path: str, path2: str) -> None:
        """The file that had the one name has the other now."""
        key = self._keys.get(path)
        if key is not None:
            self.discard(key, path)
            self.add(key, path2)

    def clear(self) -> None:
        """A walk of the whole tree begins: it finds all."""
        with self._lock:
            self._names.clear()
            self._keys.clear()
            self._searched.clear()

    def missing(self, key: Key, count: int) -> bool:
        """Names are unknown, and it has not been searched for them since `count` names there were."""
        with self._lock:
            return len(self._names.get(key, ())) < count and self._searched.get(key) != count

    def searched(self, key: Key, count: int) -> None:
        """All names in the tree are known now; others lie outside."""
        with self._lock:
            self._searched[key] = count
