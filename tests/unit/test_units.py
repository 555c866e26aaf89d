"""The units in contrib: what they must not do to a daemon that mirrors whatever its config names."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

UNITS = sorted(path for path in (ROOT / "contrib").rglob("*") if path.suffix in (".service", ".socket", ".timer"))

HIDES = {
    # systemd.exec(5): paths
    *("RootDirectory", "RootImage", "RootHash", "RootVerity", "MountAPIVFS", "ProtectProc", "ProcSubset"),
    *("BindPaths", "BindReadOnlyPaths", "MountImages", "ExtensionImages", "ExtensionDirectories"),
    # sandboxing
    *("ProtectSystem", "ProtectHome", "ReadWritePaths", "ReadOnlyPaths", "InaccessiblePaths", "ExecPaths"),
    *("NoExecPaths", "TemporaryFileSystem", "PrivateTmp", "PrivateDevices", "PrivateNetwork", "PrivateIPC"),
    *("PrivateMounts", "PrivateUsers", "PrivatePIDs", "PrivateBPF", "ProtectHostname", "ProtectClock"),
    *("ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs", "ProtectControlGroups", "MountFlags"),
    *("DynamicUser", "NetworkNamespacePath", "JoinsNamespaceOf", "BindLogSockets", "RestrictNamespaces"),
    # what older versions called them
    *("ReadWriteDirectories", "ReadOnlyDirectories", "InaccessibleDirectories"),
    # credentials come by a mount
    *("LoadCredential", "LoadCredentialEncrypted", "ImportCredential", "SetCredential", "SetCredentialEncrypted"),
    # what takes from root the right to look into every directory
    *("CapabilityBoundingSet", "AmbientCapabilities"),
}
"""Options that put something over directories, make a name space, or take rights: a directory may look empty."""


def options(unit: Path) -> list[tuple[str, str]]:
    """Its assignments, in order: an option may be given several times."""
    joined = unit.read_text().replace("\\\n", " ")
    lines = (line.strip() for line in joined.splitlines())
    found = [line.partition("=") for line in lines if line and line[0] not in "#;["]
    assert all(equals for _, equals, _ in found)
    return [(name.strip(), value.strip()) for name, _, value in found]


def test_there_are_units() -> None:
    assert UNITS


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_no_unit_puts_anything_over_a_directory(unit: Path) -> None:
    """Not even switched off: who edits it is not to be led there."""
    assert [name for name, _ in options(unit) if name in HIDES] == []
