"""Judges two outcomes of one case: what must be the same, and what must differ on purpose."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from differential.world import Case, Outcome


def differences(case: Case, oracle: Outcome | None, ours: Outcome) -> str:
    """What is wrong with ours, as text; empty where all is as it should be."""
    found = []
    if oracle is not None and "trouble" in oracle:
        found.append(f"the case does not work with the real lsyncd: {oracle['trouble']}\n")
    if "trouble" in ours:
        found.append(f"with ours: {ours['trouble']}\n")
    fields = case.ours if oracle is None else [*oracle, *(f for f in case.ours if f not in oracle)]
    for field in fields:
        if field in case.ignore or field == "trouble":
            continue
        wanted = case.ours.get(field, (oracle or {}).get(field, ""))
        got = ours.get(field, "")
        if isinstance(wanted, re.Pattern):
            if not wanted.fullmatch(got):
                found.append(f"{field} does not match {wanted.pattern!r}:\n{got}")
            continue
        if callable(wanted):
            wanted = wanted((oracle or {}).get(field, ""))
        if wanted != got:
            lines = difflib.unified_diff(
                wanted.splitlines(keepends=True), got.splitlines(keepends=True), f"{field} wanted", f"{field} ours"
            )
            found.append("".join(line if line.endswith("\n") else f"{line}\n" for line in lines))
    return "\n".join(found)
