"""The Debian package (contrib/debian): what it brings fits what the project asks for."""

from __future__ import annotations

from pathlib import Path

import tomli
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
DEBIAN = ROOT / "contrib" / "debian"


def brought() -> dict[str, str]:
    """Each pinned name with its version."""
    lines = (DEBIAN / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def test_each_dependency_has_one_version_that_fits() -> None:
    project = tomli.loads((ROOT / "pyproject.toml").read_text())["project"]
    versions = brought()
    for line in project["dependencies"]:
        needed = Requirement(line)
        assert versions[needed.name] in needed.specifier, line


def test_the_units_of_the_package_are_made_of_the_unit_that_is_there() -> None:
    """What the package's rules replace in it: a line of each, with the path that they look for."""
    unit = (ROOT / "contrib" / "systemd" / "lsyncd.service").read_text()
    for begin in ("ExecStartPre=", "ExecStart=", "ExecReload="):
        lines = [line for line in unit.splitlines() if line.startswith(begin)]
        assert len(lines) == 1
        assert lines[0].startswith(f"{begin}/opt/lsyncd-orchestrator/bin/")
