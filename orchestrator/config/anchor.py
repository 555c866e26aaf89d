"""Relative paths in a sync's config: a daemon works in `/`, so they are made absolute before it goes there.

Which values are paths, the options say (`Option.path`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from orchestrator.config.model import Config, Option

if TYPE_CHECKING:
    from orchestrator.config.model import Options

_LEFT: Final = ("/", "~", "%", "$")
"""Beginnings of what is absolute, and of what ssh makes a path of by itself (ssh_config(5), TOKENS)."""


def anchor_paths(config: Config, options: Options) -> None:
    """Make the relative paths among these options absolute; they count from the working directory."""
    for key, option in options.items():
        value = config.get(key)
        if not isinstance(option, Option):
            if isinstance(value, Config):
                anchor_paths(value, option)
        elif isinstance(option.path, str):
            if option.path and isinstance(value, str):
                config.set(key, _anchored(value, is_program=option.path == "program"))
        elif isinstance(value, Config):
            for name, text in value.items():
                if name.lower() in option.path and isinstance(text, str):
                    # ssh takes several files in one value, parted by spaces
                    value.set(name, " ".join(map(_anchored, text.split(" "))))


def _anchored(path: str, *, is_program: bool = False) -> str:
    """The path, absolute. A word without a slash is one only if such a file exists: it may be `none`, or a password.

    Of a program it is none: that is looked up in PATH. URLs stay as they are.
    """
    if not path or path.startswith(_LEFT) or ":/" in path:
        return path
    if "/" not in path and (is_program or not os.path.lexists(path)):
        return path
    try:
        return os.path.join(os.getcwd(), path)
    except FileNotFoundError:  # the directory is gone: nothing can count from there
        return path
