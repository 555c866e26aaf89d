"""What happens before anything of ours is loaded."""

from __future__ import annotations

import subprocess
import sys

import pytest

LOOK = """
import sys
before = set(sys.modules)
import orchestrator.start
print(*sorted(set(sys.modules) - before - {"orchestrator", "orchestrator.start"}))
import signal
print(signal.getsignal(signal.SIGINT).name)
"""


@pytest.mark.parametrize(("shell", "handler"), [("", "SIG_DFL"), ("trap '' INT; ", "SIG_IGN")])
def test_ctrl_c_needs_no_traceback_from_the_first_moment_on(shell: str, handler: str) -> None:
    """Nothing is loaded before that; and who ignores it (nohup, a shell's background job) goes on to do so."""
    command = ["sh", "-c", f'{shell}exec "$@"', "sh", sys.executable, "-I", "-c"]
    look = f"import sys; sys.path[:0] = {sys.path!r}\n{LOOK}"
    done = subprocess.run([*command, look], capture_output=True, text=True, check=True)
    loaded, found = done.stdout.splitlines()
    assert found == handler
    assert set(loaded.split()) <= {"__future__", "_signal"}
