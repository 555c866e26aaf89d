"""lsyncd-orchestrator: a live syncing daemon that runs lsyncd's configs, with plugins."""

from __future__ import annotations

__version__ = "0.1.0"

LSYNCD_VERSION = "2.3.1"
"""The lsyncd whose behaviour this is (spec 1): what `-version` and `lsyncd_version` say."""
