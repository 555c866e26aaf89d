"""Modules of the sample plugins, each time anew: they keep a state of their own."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

PLACE = Path(__file__).parents[1] / "sample_plugins"


def source_of(name: str) -> str:
    """The text of the plugin's module."""
    return (PLACE / name / f"orchestrator_{name}.py").read_text()


def loaded(name: str) -> ModuleType:
    """The plugin's module, with nothing in it yet of what another test has done."""
    path = PLACE / name / f"orchestrator_{name}.py"
    spec = importlib.util.spec_from_file_location(f"orchestrator_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
