"""The part of this plugin that other plugins may use: data of files, copied and compared, and temporary names."""

from __future__ import annotations

from orchestrator_native.content import is_same_data
from orchestrator_native.data import Copier
from orchestrator_native.report import Stopped, Vanished
from orchestrator_native.temps import temp_name

__all__ = ["Copier", "Stopped", "Vanished", "is_same_data", "temp_name"]
