"""Entry points of the commands `lsyncd` and `orchestrator`: Ctrl-C ends them quietly before anything else is loaded.

Python would raise KeyboardInterrupt in the middle of an import, and print a traceback.
"""

from __future__ import annotations

# the module `signal` itself loads others; this one is built in
import _signal  # type: ignore[import-not-found]

if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)


def lsyncd() -> int:
    """The command `lsyncd`. Returns the exit status."""
    from orchestrator.cli import main

    return main()


def orchestrator() -> int:
    """The command `orchestrator`. Returns the exit status."""
    from orchestrator.control import main

    return main()
