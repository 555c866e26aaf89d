"""Which syncs are the same after a reload, and so go on as if nothing had happened (spec 1.5).

A sync is the same if it has its name, and its fingerprint: the text of everything that it is made of. One whose
functions share something that may change (a table, a captured variable, a global) with a sync that is not the same is
not the same either: each of them has its own from then on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Fingerprint(NamedTuple):
    """A sync's, when it was loaded. `digest`, `size`: of the text of all that it is made of.

    `has_functions`: of the user's. `shares`: what these reach and may change, as numbers of the config and within it.
    """

    digest: int
    size: int
    has_functions: bool = False
    shares: frozenset[tuple[int, int]] = frozenset()

    def is_same_as(self, other: Fingerprint) -> bool:
        """Whether two syncs, of two configs, are made of the same."""
        return self[:3] == other[:3]


def same_syncs(
    old: Mapping[str, Fingerprint | None], new: Mapping[str, Fingerprint | None], *, keeps_functions: bool
) -> set[str]:
    """The names of the syncs that are the same, from the fingerprints of all by name; None: nothing can be said.

    `keeps_functions`: whether one with functions may be the same at all.
    """
    same = {
        name
        for name, one in old.items()
        if one is not None
        and (other := new.get(name)) is not None
        and one.is_same_as(other)
        and (keeps_functions or not one.has_functions)
    }
    while True:
        torn = {name for prints in (old, new) for name in same if _shares_with_others(name, same, prints)}
        if not torn:
            return same
        same -= torn


def _shares_with_others(name: str, same: set[str], prints: Mapping[str, Fingerprint | None]) -> bool:
    one = prints[name]
    if one is None or not one.shares:
        return False
    return any(
        other is None or not one.shares.isdisjoint(other.shares)
        for other_name, other in prints.items()
        if other_name not in same
    )
