"""The entry points of installed distributions (packaging.python.org, "Entry points specification").

importlib.metadata has them, too, but imports email, zipfile and csv: an eighth of the start of an empty daemon and
4 MB of its memory. Distributions inside of zip files are not found here.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any, NamedTuple


class EntryPoint(NamedTuple):
    """`value` is `MODULE` or `MODULE:ATTRIBUTE.…`; `distribution` and `version` are those of the owner."""

    name: str
    value: str
    distribution: str = "?"
    version: str = "?"

    def load(self) -> Any:
        """Import it. Raises the exceptions of the import, and AttributeError where the module has no such attribute."""
        module, _, attributes = self.value.partition(":")
        found: Any = import_module(module.strip())
        for attribute in attributes.split("."):
            if attribute.strip():
                found = getattr(found, attribute.strip())
        return found


def entry_points(group: str) -> list[EntryPoint]:
    """The entry points of a group. Of a distribution that is installed twice, the first one in sys.path counts."""
    found: list[EntryPoint] = []
    seen: set[str] = set()
    for directory in dict.fromkeys(sys.path):
        for name in _names(directory or "."):
            if name.endswith((".dist-info", ".egg-info")):
                found += _of(os.path.join(directory, name), group, seen)
    return found


def _of(directory: str, group: str, seen: set[str]) -> list[EntryPoint]:
    text = _text(os.path.join(directory, "entry_points.txt"))
    if group not in text:
        return []
    distribution, version = _identity(directory)
    if distribution.replace("_", "-").lower() in seen:
        return []
    seen.add(distribution.replace("_", "-").lower())
    return [EntryPoint(name, value, distribution, version) for name, value in _section(text, group)]


def _section(text: str, group: str) -> list[tuple[str, str]]:
    """The `name = value` lines below `[group]`, without the extras that may follow a value."""
    found = []
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1].strip()
        elif section == group and "=" in line and line[0] not in "#;":
            name, _, value = line.partition("=")
            found.append((name.strip(), value.partition("[")[0].strip()))
    return found


def _identity(directory: str) -> tuple[str, str]:
    """A distribution's name and version, from its headers."""
    headers = {}
    for line in (_text(os.path.join(directory, "METADATA")) or _text(os.path.join(directory, "PKG-INFO"))).splitlines():
        if not line:
            break
        key, _, value = line.partition(":")
        headers[key.lower()] = value.strip()
    return headers.get("name", "?"), headers.get("version", "?")


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
