"""lsyncd-orchestrator: a live syncing daemon that runs lsyncd's configs, with plugins.

Docstrings here and in the built-in plugins cite the behavioural contract: "spec 3.4" is a part of it, "row 16b" is a
row of the table on its page 6. It is tests/spec/ in the sources, and share/doc/lsyncd-orchestrator/spec/ below the
prefix that a wheel was installed to.
"""

from __future__ import annotations

__version__ = "0.1.0"

LSYNCD_VERSION = "2.3.1"
"""The version of lsyncd whose behaviour this is (spec 1), as shown by `-version` and `lsyncd_version`."""
