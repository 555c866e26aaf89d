"""What an action says of the place that a sync's transfers write to."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from orchestrator.process.sshshare import SshConnection
    from orchestrator.sync.inlet import Inlet

Share = Callable[["Inlet", "list[str | bytes]"], "tuple[list[str | bytes], SshConnection | None]"]
Ask = Callable[[bytes], "list[str | bytes]"]


class Target(NamedTuple):
    """A target (see Action.target).

    `directory`: where it is on this machine; None: on another one, which `host` and `path` name as far as they are
    known. `shown`: as the config has it. `deletes`: whether what the source has not is deleted there;
    `deletes_excluded`: even what is excluded. `ask(name)`, of a target on another machine: the arguments of a program
    that ends with 0 if there is a file `name` in it, and with 23 if there is none; None: nobody can ask.
    `share(inlet, arguments)`: these arguments for a shared ssh connection, with that; None: there never is one.
    """

    shown: bytes
    directory: bytes | None = None
    deletes: bool = True
    deletes_excluded: bool = False
    host: str = ""
    path: bytes = b""
    ask: Ask | None = None
    share: Share | None = None
