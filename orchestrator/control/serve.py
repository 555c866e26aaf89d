"""`orchestrator serve`: see `orchestrator.control.web`. Only this module is needed to say that an extra is missing."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Final

from orchestrator.control.exits import OK, WRONG_CALL, Refused
from orchestrator.control.web.listening import find_address, listen, read_token

if TYPE_CHECKING:
    import argparse

    from orchestrator.control.output import Output

NEEDS: Final = ("starlette", "uvicorn", "prometheus_client")
"""The modules of the extra [web]."""


def run(options: argparse.Namespace, output: Output) -> int:
    """Serve until ended by a signal. Raises Refused."""
    missing = [name for name in NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        raise Refused(f'serve needs {missing[0]}: pip install "lsyncd-orchestrator[web]" installs it', WRONG_CALL)
    address = find_address(options.listen)
    token = None if options.token_file is None else read_token(options.token_file)
    if not address.is_loopback and token is None:
        raise Refused(f"to listen on {options.listen}, which others can reach, needs --token-file", WRONG_CALL)
    listening = listen(address)
    # imported late: what was wrong so far is said without it
    from orchestrator.control.web.server import serve

    shown = f"[{listening.host}]" if ":" in listening.host else listening.host
    output.complain(f"Listening on http://{shown}:{listening.port}/")
    serve(listening, options.socket, token, frozenset(options.host))
    return OK
