"""The config keys by which a sync says which files it mirrors and which it deletes."""

from __future__ import annotations

from typing import Final

from orchestrator.config.model import Option, Options

SELECTION: Final[Options] = {
    "delete": Option((bool, str), True, "true, false, 'startup' (full runs only) or 'running' (changes only)"),
    "maxDelete": Option((int, float, str, bool), None, "as the setting, for this sync; false: any number"),
    "exclude": Option((str, list), None, "patterns of what to leave out"),
    "excludeFrom": Option((str,), None, "file with such patterns, one a line"),
    "filter": Option((str, list), None, "'+ PATTERN' and '- PATTERN' rules, the first that matches decides"),
    "filterFrom": Option((str,), None, "file with such rules, one a line"),
}
"""For actions that mirror a tree, delete what the source does not have, and look at `inlet.max_delete`."""
