"""default.put: what changed is PUT to an HTTP server, what is gone is DELETEd there.

The server takes a DELETE of `/d/` for all below it, as WebDAV does. What is deleted while no daemon runs stays there.
"""

import errno
import os
import stat
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
        paths = everything_below(event.source, event.inlet.matcher())
        self._start(event, ((etypes.CREATE, path) for path in paths))

    def action(self, inlet):
        events = inlet.get_events(lambda event: event.etype not in etypes.SPECIAL)
        self._start(events, [(event.etype, event.raw_path) for event in events])

    def _start(self, agent, changes):
        inlet, url = agent.inlet, agent.config.get("target").rstrip("/")
        inlet.run(agent, lambda stop: push(inlet, url, changes, stop))


def everything_below(source, is_excluded):
    for top, _, names in os.walk(source):
        paths = (os.path.join(top, name)[len(source) - 1 :] for name in names)
        yield from (path for path in paths if not (is_excluded and is_excluded(path)))


def push(inlet, url, changes, stop):
    """Make the server's copies what the source has by now. Runs in a thread: it may take its time."""
    for etype, path in changes:
        if stop.is_set():
            return 1
        if path.endswith(b"/"):
            # A Delete stands for all below, also if a directory of that name is there again: what is in
            # that one has changes of its own, which come later.
            if etype != etypes.DELETE:
                continue
            data = None
        else:
            data = content(inlet.source + path[1:])
        try:
            urlopen(Request(url + quote(path), data, method="DELETE" if data is None else "PUT"), timeout=60).close()
        except OSError as error:
            if getattr(error, "code", None) != 404:  # it is gone there, too
                inlet.log("Warn", "put: ", path, f": {error}")
                return 1
    return 0


def content(path):
    """Of a file; None where there is none. Neither a link is followed nor a FIFO waited for: who made it?"""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO):
            return None
        raise
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        with open(fd, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(fd)


@hookimpl
def orchestrator_actions():
    return [Put()]
