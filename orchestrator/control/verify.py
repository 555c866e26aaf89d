"""`orchestrator verify`: whether the targets of a running daemon's syncs equal their sources, and where they do not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from orchestrator.control import client
from orchestrator.control.exits import ATTENTION, OK
from orchestrator.logic.text import counted

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from orchestrator.control.client import Connection
    from orchestrator.control.output import Output


def run(options: argparse.Namespace, output: Output) -> int:
    """Have them compared, one after the other, and print what differs as it is known. Returns the exit status:
    ATTENTION unless all are equal."""
    results: list[dict[str, Any]] = []
    with client.reach(options.socket, options.pid) as daemon:
        try:
            for name in _names(options, daemon):
                asked = daemon.ask(
                    "verify", patience=None, syncs=[name], quick=options.quick or None, repair=options.repair or None
                )
                results += asked["syncs"]
                lines = [line for sync in asked["syncs"] for line in _lines(sync, is_repaired=options.repair)]
                for line in lines if not options.json else ():
                    output.line(line)
            are_equal = all(bool(sync["is_equal"]) for sync in results)
        except (LookupError, TypeError, ValueError):
            raise client.not_ours(daemon.path) from None
    if options.json:
        output.raw(json.dumps({"syncs": results}, indent=1))
    return OK if are_equal else ATTENTION


def _names(options: argparse.Namespace, daemon: Connection) -> list[str]:
    status = daemon.ask("status", syncs=options.syncs or None)
    return [f"{sync['name']}" for sync in status["syncs"]]


def _lines(sync: Mapping[str, Any], *, is_repaired: bool) -> Iterator[str]:
    """The differences of one sync, and a line about all of them."""
    name, differences, listed = sync["name"], int(sync["differences"]), sync["listed"]
    for one in listed:
        yield f"{name}: {one['kind']} {one['path']}"
    if differences > len(listed):
        yield f"{name}: and {differences - len(listed)} more"
    compared = "" if sync["compared"] is None else f" of {int(sync['compared'])} compared"
    found = counted(differences, "difference") if differences else "no difference"
    unsettled = f"; {counted(sync['unsettled'], 'path', 'paths')} kept changing" if sync["unsettled"] else ""
    queued = "; they are queued" if is_repaired and differences else ""
    if sync["error"] and not differences:
        yield f"{name}: could not be verified: {sync['error']}"
    else:
        failed = f"; {sync['error']}" if sync["error"] else ""
        yield f"{name}: {found}{compared}{unsettled}{queued}{failed}"
