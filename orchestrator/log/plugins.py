"""Connects loguru's global logger, which modules of plugins use, to the daemon's log."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from loguru import logger

from orchestrator.errors import named, trace
from orchestrator.log.levels import DEBUG, add_level, category_of

if TYPE_CHECKING:
    from loguru import Message

    from orchestrator.log import Log

_DEFAULT = 0
"""The handler of loguru's own sink, which writes to stderr. There is none where LOGURU_AUTOINIT says so."""


class PluginMessages:
    """A sink of the logger that everybody imports. Takes the place of loguru's default one.

    A level that has the name of a category is that category; of any other the number decides. An exception is one
    line with its type and message; its traceback is a Debug message.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._handler: int | None = None
        self._categories: set[str] = set()

    def connect(self) -> None:
        """Begin, or begin again: a module that was imported since may have called `logger.remove()`.

        Sinks that modules have added for themselves stay.
        """
        self._categories = self._log.categories()
        for category in self._categories:
            add_level(logger, category)
        old = self._handler
        if old is None:
            _remove(_DEFAULT)
        self._handler = logger.add(
            self._write,
            level=self._log.lowest_level(),
            format="{message}",
            backtrace=False,
            diagnose=False,
            catch=False,
        )
        if old is not None:
            _remove(old)

    def disconnect(self) -> None:
        """End it. Messages of modules go to the sinks that they have added, if any."""
        if self._handler is not None:
            _remove(self._handler)
            self._handler = None

    def _write(self, message: Message) -> None:
        record = message.record
        level, error = record["level"], record["exception"]
        category = level.name if level.name in self._categories else category_of(level.no)
        if error is None or error.value is None:
            self._log(category, record["message"])
            return
        self._log(category, record["message"], ": ", named(error.value))
        self._log(DEBUG, trace(error.value))


def _remove(handler: int) -> None:
    with suppress(ValueError):  # a module has removed it
        logger.remove(handler)
