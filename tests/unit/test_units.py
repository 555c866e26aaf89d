"""The units in contrib: what they must not do to a daemon that mirrors whatever its config names."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

UNITS = sorted(
    path
    for path in (ROOT / "contrib").rglob("*")
    # the page's server mirrors nothing, and may be shut in
    if path.suffix in (".service", ".socket", ".timer") and path.name != "lsyncd-web.service"
)

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


def seconds(value: str) -> float:
    """A span of time as far as the units have it."""
    factor = {"min": 60, "s": 1, "h": 3600}
    unit = value.lstrip("0123456789")
    return float(value.removesuffix(unit)) * factor[unit or "s"]


SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]


@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.name)
def test_a_service_that_cannot_run_is_known_to_whoever_starts_it(unit: Path) -> None:
    found = dict(options(unit))
    program, *_, config = found["ExecStart"].split()
    # a Condition that does not hold is a success to systemctl start
    assert [name for name in found if name.startswith("Condition")] == []
    assert found["ExecStartPre"].split() == [str(Path(program).with_name("orchestrator")), "check", "--load", config]
    # and it is given up: the limit must come before its interval is over, each try taking a few seconds
    tries = int(found["StartLimitBurst"])
    assert tries * (seconds(found["RestartSec"]) + 30) < seconds(found["StartLimitIntervalSec"])


@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.name)
def test_a_service_is_stopped_in_time(unit: Path) -> None:
    found = dict(options(unit))
    assert found["KillMode"] == "mixed"  # rsync would take a TERM for itself
    assert seconds(found["TimeoutStopSec"]) <= 90
    assert {"143", "130"} <= set(found["SuccessExitStatus"].split())


@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.name)
def test_a_service_is_up_when_its_sources_are_watched(unit: Path) -> None:
    found = dict(options(unit))
    assert found["Type"] == "notify"
    assert found["SyslogIdentifier"] == "lsyncd"
    # a loop that a function of the config holds up is no loop that hangs
    assert seconds(found["WatchdogSec"]) >= 60


def test_a_unit_is_enabled_and_disabled_as_the_readme_says() -> None:
    readme = (ROOT / "contrib/README.md").read_text()
    assert "systemctl daemon-reload && systemctl enable --now lsyncd" in readme
    assert (
        "systemctl disable --now lsyncd && rm /etc/systemd/system/lsyncd.service && systemctl daemon-reload" in readme
    )
