"""Plugins for a daemon under test that pip has not installed: their entry points, in a directory for PYTHONPATH."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.plugins import GROUP

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

VERSION = "0.0.1"


def declare(directory: Path, plugins: Mapping[str, str]) -> None:
    """Make the directory look as if a distribution with these plugins were installed there.

    `plugins`: the name of each entry point → the module it names, or (more than one line) the text of a
    module, which is written there, too.
    """
    info = directory / f"plugins_of_a_test-{VERSION}.dist-info"
    info.mkdir(parents=True)
    lines = [f"[{GROUP}]"]
    for name, plugin in plugins.items():
        module = plugin
        if "\n" in plugin:
            module = f"plugin_of_a_test_{name}"
            (directory / f"{module}.py").write_text(plugin)
        lines.append(f"{name} = {module}")
    (info / "entry_points.txt").write_text("\n".join([*lines, ""]))
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: plugins-of-a-test\nVersion: {VERSION}\n")
