"""`orchestrator serve` as a process, and requests to it."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.kit.daemon import DEADLINE, ROOT, TERMINATED, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

COMMAND = (sys.executable, "-c", "import sys; from orchestrator.control import main; sys.exit(main())", "serve")
ELSEWHERE = "import sys; from orchestrator.requests import place; place.RUN = sys.argv.pop(1)"
"""Before the rest of COMMAND: the usual directory of sockets is another one, below what comes next."""
TOKEN = "correct-horse-battery"


def environment(**values: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}", **values}


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Server:
    """Where it listens."""

    def __init__(self, url: str) -> None:
        self.url = url
        match = re.fullmatch(r"http://(\[?[\w.:]+?\]?):(\d+)/", url)
        assert match, url
        self.host, self.port = match[1].strip("[]"), int(match[2])

    def ask(self, path: str, method: str = "GET", body: Any = None, **headers: str) -> Answer:
        """An answer. Underscores in the names of headers are hyphens."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=DEADLINE)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
            if content is not None:
                named.setdefault("Content-Type", "application/json")
            connection.request(method, path, content, named)
            answer = connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def steer(self, command: str, body: Any = None, **headers: str) -> Answer:
        """POST, with the token."""
        headers.setdefault("Authorization", f"Bearer {TOKEN}")
        return self.ask(f"/api/v1/{command}", "POST", {} if body is None else body, **headers)

    def daemons(self) -> list[dict[str, Any]]:
        """What it knows."""
        return list(self.ask("/api/v1/status").json["daemons"])

    def wait_for_daemons(self, count: int = 1) -> None:
        """Until so many answer."""
        wait_until(lambda: sum(one["is_up"] for one in self.daemons()) == count, f"{count} daemons that answer")


def token_file(box: Path) -> Path:
    path = box / "token"
    path.write_text(TOKEN + "\n")
    path.chmod(0o600)
    return path


@contextmanager
def serving(
    box: Path, *arguments: str | Path, listen: str = "127.0.0.1:0", run: Path | None = None
) -> Iterator[Server]:
    """A server that runs inside of the block; it must end by TERM, having said nothing but where it listens.

    `run`: in the place of /run.
    """
    python, option, script, *rest = COMMAND
    command = [python, option, script] if run is None else [python, option, f"{ELSEWHERE}; {script}", str(run)]
    said = box / "serve.said"
    with said.open("wb") as log:
        process = subprocess.Popen(
            [*command, *rest, "--listen", listen, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment(),
        )
    try:
        wait_until(lambda: process.poll() is not None or b"/\n" in said.read_bytes(), "it to listen")
        assert process.poll() is None, said.read_text()
        line = said.read_text()
        assert line.startswith("Listening on "), line
        yield Server(line.split()[-1])
        process.terminate()
        assert process.wait(DEADLINE) == -(TERMINATED - 128), said.read_text()
        assert said.read_text() == line
    finally:
        process.kill()
        process.wait()
