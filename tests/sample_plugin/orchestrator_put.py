"""default.put: what changed is PUT to an HTTP server, what is gone is DELETEd there."""

import os
from pathlib import Path
from urllib.parse import quote
from urllib.request import Request, urlopen

from orchestrator.api import Action, ConfigError, Option, etypes, hookimpl


class Put(Action):
    name = "put"
    options = {"target": Option((str,), None, "URL of the directory to keep equal")}
    defaults = {"delay": 1, "exitcodes": {0: "ok", 1: "again"}}

    def prepare(self, config):
        if not str(config.get("target")).startswith(("http://", "https://")):
            raise ConfigError('default.put needs a "target" that is a URL')

    def init(self, event):
        self._start(event, everything_below(event.source, event.inlet.matcher()))

    def action(self, inlet):
        events = inlet.get_events(lambda event: event.etype not in etypes.SPECIAL)
        self._start(events, events.paths())

    def _start(self, agent, paths):
        inlet, url = agent.inlet, agent.config.get("target").rstrip("/")
        inlet.run(agent, lambda stop: push(inlet, url, paths, stop))


def everything_below(source, is_excluded):
    for top, _, names in os.walk(source):
        paths = (os.path.join(top, name)[len(source) - 1 :] for name in names)
        yield from (path for path in paths if not (is_excluded and is_excluded(path)))


def push(inlet, url, paths, stop):
    """Make the server's copies what the source has by now. Runs in a thread: it may take its time."""
    for path in paths:
        file = Path(os.fsdecode(inlet.source + path))
        if file.is_dir() or stop.is_set():
            continue
        data = file.read_bytes() if file.exists() else None
        try:
            urlopen(Request(url + quote(path), data, method="DELETE" if data is None else "PUT"), timeout=60).close()
        except OSError as error:
            if getattr(error, "code", None) != 404:  # it is gone there, too
                inlet.log("Warn", "put: ", path, f": {error}")
                return 1
    return 1 if stop.is_set() else 0


@hookimpl
def orchestrator_actions():
    return [Put()]
