"""Who may import whom: what keeps the rooms apart, read from the code itself."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

ROOT = Path(__file__).resolve().parents[2]

MAY_IMPORT = {
    "errors": set(),
    "logic": {"errors"},
    "clock": set(),
    "descent": set(),
    "ownfiles": set(),
    "mounttable": {"logic"},
    "lifeline": set(),
    "servicemanager": set(),
    "log": {"logic", "clock", "errors", "ownfiles"},
    "masterloop": set(),
    "monitor": {"descent", "mounttable", "logic", "errors"},
    "process": {"logic", "errors", "clock", "ownfiles", "lifeline"},
    "sync": {"process", "descent", "mounttable", "logic", "errors", "ownfiles"},
    "state": {"descent", "mounttable", "logic", "ownfiles"},
    "config": {"sync", "logic", "errors"},
    "api": {"lifeline", "config", "sync", "monitor", "descent", "logic", "errors"},
    "hookspecs": set(),
    "plugins": {"api", "hookspecs", "errors", "installed"},
    "installed": set(),
    "requests": {"runner", "process", "logic", "errors"},
    "runner": {"sync", "monitor", "process", "state", "logic", "errors"},
    "daemon": {
        "lifeline",
        "servicemanager",
        "logic",
        "runner",
        "requests",
        "config",
        "plugins",
        "monitor",
        "process",
        "sync",
        "masterloop",
        "log",
        "clock",
        "errors",
    },
    "commandline": {"errors"},
    "init": set(),
    "cli": {"daemon", "commandline", "errors", "init"},
    "start": {"cli", "control"},
}
"""Room → rooms that it may import at run time (imports for type checking alone do not count)."""

WORLDLY = {"asyncio", "ctypes", "fcntl", "io", "os", "random", "select", "selectors", "signal", "socket"}
WORLDLY |= {"subprocess", "sys", "tempfile", "threading", "time", "loguru", "lupa", "inotify_simple", "pluggy"}
"""What pure code has no use for."""


def imports_of(path: Path, *, for_types: bool = False) -> Iterator[str]:
    """Every module that a file imports when it is run; with `for_types` those that only its types need as well."""
    tree = ast.parse(path.read_text())
    typing_only = (
        set()
        if for_types
        else {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            for inner in ast.walk(node)
        }
    )
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports are absolute"
            yield node.module or ""
            if node.module == "orchestrator":
                yield from (
                    f"orchestrator.{name.name}"
                    for name in node.names
                    if name.name.isidentifier() and name.name[0] != "_" and name.name.islower()
                )


def files(*parts: str) -> list[Path]:
    place = ROOT.joinpath(*parts)
    found = [place.with_suffix(".py")] if place.with_suffix(".py").exists() else sorted(place.rglob("*.py"))
    assert found
    return found


def module_name(path: Path) -> str:
    parts = path.with_suffix("").relative_to(ROOT).parts
    parts = parts[1:] if parts[0] == "plugins" else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def circles(imports: Mapping[str, set[str]]) -> set[frozenset[str]]:
    """The largest groups of modules of which each needs all the others, directly or not."""

    def reached(start: str) -> set[str]:
        found, pending = {start}, [start]
        while pending:
            new = imports[pending.pop()] - found
            found |= new
            pending += new
        return found

    all_reached = {module: reached(module) for module in imports}
    groups = {
        frozenset(other for other in found if module in all_reached[other]) for module, found in all_reached.items()
    }
    return {group for group in groups if len(group) > 1}


def needs_of(path: Path, modules: Collection[str]) -> set[str]:
    """Which of the modules a file imports, for its types alone included; of `from package import module` the module."""
    needs = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            needs |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            needs |= {
                inner if (inner := f"{node.module}.{name.name}") in modules else node.module for name in node.names
            }
    return needs & {*modules}


def test_no_modules_import_each_other() -> None:
    """Imports for types count: who reads one file of a circle has to read them all."""
    paths = {module_name(path): path for path in [*files("orchestrator"), *files("plugins")]}
    assert circles({name: needs_of(path, paths) - {name} for name, path in paths.items()}) == set()


def test_circles_are_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a", "e"}, "e": set()}) == {frozenset("abc")}


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_lies_below_it(room: str) -> None:
    for path in files("orchestrator", room):
        for module in imports_of(path):
            package, _, rest = module.partition(".")
            if package == "orchestrator" and rest:
                other = rest.partition(".")[0]
                assert other == room or other in MAY_IMPORT[room], f"{path.relative_to(ROOT)} imports {module}"


def test_pure_code_imports_nothing_of_the_world() -> None:
    for path in files("orchestrator", "logic"):
        assert not {module.partition(".")[0] for module in imports_of(path)} & WORLDLY, path


def all_imports_of(path: Path) -> Iterator[str]:
    """Every module that a file names in an import, also for type checking alone."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_plugins_import_public_interfaces_only() -> None:
    """The core's `orchestrator.api`, and of another plugin its `api` module."""
    for path in files("plugins"):
        own = path.relative_to(ROOT / "plugins").parts[0]
        for module in all_imports_of(path):
            package, _, rest = module.partition(".")
            if package == "orchestrator" or (package.startswith("orchestrator_") and package != own):
                assert rest == "api", f"{path.relative_to(ROOT)} imports {module}"


def test_the_core_imports_no_plugin() -> None:
    for path in files("orchestrator"):
        assert not [module for module in imports_of(path) if module.startswith("orchestrator_")], path


@pytest.mark.parametrize(
    ("door", "room"), [("subprocess", "process"), ("lupa", "config"), ("inotify_simple", "monitor")]
)
def test_the_world_has_one_door_each(door: str, room: str) -> None:
    for path in files("orchestrator"):
        # what is there for tests stands outside of the house
        if path.relative_to(ROOT / "orchestrator").parts[0] not in (room, "testing") and door in {
            module.partition(".")[0] for module in imports_of(path)
        }:
            # Lua's own io.popen is a child of Lua's, not of ours
            assert (door, path.name) == ("subprocess", "popen.py"), path


READS_THE_WALL_CLOCK = {
    "clock.py",
    "file.py",  # of the log, as is the next
    "terminal.py",
    "runner.py",  # the status file
    "statusfile.py",
    "crontab.py",
    "desk.py",  # the same over the control socket
    "progress.py",  # and on the terminal
    "history.py",  # last success and error, for the status
    "host.py",  # all other times in the status
    "tunnel.py",  # the start of its processes, for the status file
    "keeper.py",  # of recorded states: when transfers were over
    # these compare with files' times, which are of that clock, to distrust what is younger
    "verification.py",
    "known.py",
    "treescan.py",
    "quickcheck.py",
    "syncruns.py",
}


def test_setting_the_clock_moves_nothing_but_crontabs_and_what_is_told() -> None:
    readers = set()
    for path in [*files("orchestrator"), *files("plugins")]:
        for node in ast.walk(ast.parse(path.read_text())):
            name = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
            if name.endswith(".wall") or name in ("time.time", "time.time_ns", "datetime.now"):
                readers.add(path.name)
    assert readers <= READS_THE_WALL_CLOCK


MOST_ARGUMENTS = 6

LONG_CONSTRUCTORS: dict[str, int] = {}
"""Constructors that take more. None may be added."""


def test_constructors_take_few_arguments() -> None:
    """A class that needs more collaborators than that knows too much of the others."""
    found = {}
    for path in [*files("orchestrator"), *files("plugins")]:
        for kind in ast.walk(ast.parse(path.read_text())):
            for node in kind.body if isinstance(kind, ast.ClassDef) else ():
                if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                    count = len(node.args.posonlyargs + node.args.args + node.args.kwonlyargs) - 1
                    if count > MOST_ARGUMENTS:
                        found[kind.name] = count
    assert found == LONG_CONSTRUCTORS


def test_the_life_of_a_sync_is_written_in_one_place() -> None:
    for path in files("orchestrator"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                assert not re.search(r"\blife\.|_life\.", ast.unparse(node)), path
