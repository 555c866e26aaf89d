"""Source and target within each other (spec 6 row 30): what is refused, and what is left out.

A source inside its target is not there on the source's side, so a full run deletes it; a target inside its source is
copied into itself, once more with each run. Real paths count: links are followed, bind mounts seen through.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from orchestrator.descent import foreign_link
from orchestrator.errors import ConfigError
from orchestrator.logic.text import text_of
from orchestrator.mounttable import read_mounts

if TYPE_CHECKING:
    from orchestrator.logic.filters import Filters
    from orchestrator.sync.target import Target

_WILD: Final = re.compile(rb"[*?\[\]\\\n]")

_OWN_NAMES: Final = frozenset({"localhost", "localhost.localdomain", "ip6-localhost"})


class Nesting(NamedTuple):
    """What to say of it, and the pattern of what must be left out; None: nothing."""

    warning: str
    left_out: bytes | None = None


def nesting_of(source: bytes, target: Target, filters: Filters) -> Nesting | None:
    """How a source (real path, a slash at its end) and its target lie. Raises ConfigError where that does harm."""
    path = _path_of(target)
    if path is None:
        return None
    mounts = read_mounts()
    real = os.path.realpath(path)
    outer = source.rstrip(b"/") or b"/"
    shown = text_of(target.shown)
    place = mounts.inside(outer, real)
    is_spared = place is not None and not target.deletes_excluded and filters.excludes_path(place + b"/")
    if place is not None and target.deletes and not is_spared:
        if target.directory is not None:
            raise ConfigError(
                f'the source "{text_of(source)}" lies inside the target "{shown}", which would delete it; '
                "take another target, exclude the source's place there, or set delete = false."
            )
        return Nesting(
            f'if "{shown}" is on this machine, the source "{text_of(source)}" lies inside it: it is deleted.'
        )
    place = mounts.inside(real, outer)
    if place is None or filters.excludes_path(place + b"/"):
        return None
    if target.directory is None:
        return Nesting(f'if "{shown}" is on this machine, it lies inside the source, and is copied into itself.')
    return Nesting(
        f'the target "{shown}" lies inside the source, at "{text_of(place)}/": it is left out.',
        _WILD.sub(b"?", place) + b"/",
    )


def warnings_of_links(source: bytes, target: Target | None) -> list[str]:
    """What to say of other users' links on the way to a source (as the config names it) and to its target on this
    machine: whoever owns one can make it lead to any other directory."""
    ways = [("source", source)]
    if target is not None and target.directory is not None:
        ways.append(("target", target.directory))
    found = [(what, foreign_link(os.path.abspath(way))) for what, way in ways]
    return [
        f"the way to the {what} leads through a link that neither root nor this daemon's user has made: {text_of(link)}"
        "; what it leads to now is taken, no later change of it is followed."
        for what, link in found
        if link is not None
    ]


def _path_of(target: Target) -> bytes | None:
    """The target's place on this machine, as far as that is where it is."""
    if target.directory is not None:
        return target.directory
    is_here = target.host and target.path.startswith(b"/") and is_this_host(target.host)
    return target.path if is_here else None


def is_this_host(name: str) -> bool:
    """Whether a host's name or address is this machine's own. No name is looked up: that may take long."""
    import socket  # late: few daemons need it

    name = name.lower().rstrip(".").strip("[]")
    own = socket.gethostname().lower()
    if name in _OWN_NAMES or name in (own, own.partition(".")[0]):
        return True
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, name)
        except (OSError, ValueError):
            continue
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((name, 0))  # only an address of our own can be bound
            except OSError:
                return False
            return True
    return False
