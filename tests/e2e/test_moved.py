"""The bytes of transfers, by real programs: what is told of each is what went to its target."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.kit.daemon import Daemon, wait_until
from tests.kit.need import program
from tests.kit.rest import report
from tests.kit.sshd import Sshd

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 3_000_000

ACTIONS = ("rsync", "rsyncssh", "direct", "native")


def config(box: Path, server: Sshd) -> str:
    keys = {
        "rsync": f'target = "{box}/trg/rsync"',
        "direct": f'target = "{box}/trg/direct"',
        "native": f'target = "{box}/trg/native"',
        "rsyncssh": f"""host = "{server.user}@127.0.0.1", targetdir = "{box}/trg/rsyncssh",
            ssh = {{port = {server.port}, identityFile = "{server.key}",
                   options = {{UserKnownHostsFile = "{server.known_hosts}", BatchMode = "yes"}}}}""",
    }
    syncs = [
        f'sync{{default.{action}, name = "{action}", source = "{box}/src", delay = 0, {keys[action]}}}'
        for action in ACTIONS
    ]
    return "\n".join([f'settings{{controlSocket = "{box}/socket"}}', *syncs])


def test_bytes_are_those_that_went_to_the_target(tmp_path: Path) -> None:
    """At the startup all; of a file that gets a little longer rsync sends that through ssh, and cp all of it again."""
    program("rsync")
    box = tmp_path
    (box / "src").mkdir()
    for action in ACTIONS:
        (box / "trg" / action).mkdir(parents=True)
    (box / "src" / "large").write_bytes(os.urandom(SIZE))
    with Sshd(box) as server, Daemon(box, lua=config(box, server)) as daemon:
        daemon.wait_for("Startup of", len(ACTIONS))

        def moved() -> dict[str, int]:
            return {sync["name"]: sync["counts"]["bytes"] for sync in report(box / "socket")["syncs"]}

        first = moved()
        assert {action: SIZE <= count <= 1.02 * SIZE for action, count in first.items()} == dict.fromkeys(ACTIONS, True)
        with (box / "src" / "large").open("ab") as file:
            file.write(os.urandom(100_000))
        larger = SIZE + 100_000

        def has_arrived() -> bool:
            return all((box / "trg" / action / "large").stat().st_size == larger for action in ACTIONS) and all(
                (sync["state"], sync["transfers"]) == ("in sync", []) for sync in report(box / "socket")["syncs"]
            )

        wait_until(has_arrived, f"the change to arrive; it said:\n{daemon.said()}")
        second = {action: count - first[action] for action, count in moved().items()}
        assert 100_000 <= second["rsyncssh"] < 300_000, "with the sums of what is there already"
        assert all(larger <= second[action] <= 1.02 * larger for action in ("rsync", "direct", "native")), second
        recent = {sync["name"]: sync["counts"] for sync in report(box / "socket")["syncs"]}
        assert all(counts["seconds"] > 0 and counts["files"] >= 1 for counts in recent.values()), recent
