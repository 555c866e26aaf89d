"""What an action brings to a verification: a function that compares, or the reason why there is none."""

from __future__ import annotations

import threading
from collections.abc import Callable

from orchestrator.logic.difference import Compared, Difference

Verifier = Callable[[threading.Event, Callable[[Difference], None]], Compared]
"""Compares source and target, and changes nothing. Called in a worker thread, with an event that is set when it should
come to an end, and a function that is to be given each difference. What it raises becomes the verification's error."""


class CannotVerify(Exception):
    """Why source and target of a sync cannot be compared, in a few words."""
