"""plugins/README.md promises what the code has: every hook with its arguments, an example that works, and a test."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

import orchestrator.api
from orchestrator import hookspecs
from orchestrator.api import Action, Collected, Event, EventList, Inlet, Outcome
from orchestrator.plugins import make_manager

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "plugins" / "README.md").read_text()
SAMPLE = ROOT / "tests" / "sample_plugin"
HOOKS = {name: hook for name, hook in vars(hookspecs).items() if name.startswith("orchestrator_")}


def part_of(hook: str) -> str:
    """What the README says of a hook."""
    _, found, rest = README.partition(f"\n### {hook}(")
    assert found, f"plugins/README.md has no part about {hook}"
    return rest.partition("\n### ")[0]


def test_no_other_hook_is_documented() -> None:
    assert set(re.findall(r"^### (\w+)\(", README, re.M)) == set(HOOKS)


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_is_documented_with_its_arguments_and_an_example(hook: str) -> None:
    part = part_of(hook)
    assert part.splitlines()[0] == f"{', '.join(inspect.signature(HOOKS[hook]).parameters)})"
    told, example = re.split(r"```python\n", part)
    assert len(told.split()) > 10
    example = example.partition("```")[0]
    assert f"def {hook}(" in example
    assert len(example.splitlines()) <= 5


@pytest.mark.parametrize("hook", HOOKS)
def test_the_example_of_a_hook_is_taken(hook: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SAMPLE))
    example = re.split(r"```python\n", part_of(hook))[1].partition("```")[0]
    plugin = ModuleType("example")
    head = "import os, shutil\nfrom orchestrator.api import *\nfrom orchestrator_put import Put\n"
    exec(head + example, vars(plugin))
    make_manager().register(plugin, "example")


def functions_of(directory: Path) -> Iterator[str]:
    for path in directory.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                yield node.name


def test_every_hook_has_a_test() -> None:
    assert {f"test_{hook}" for hook in HOOKS} - set(functions_of(ROOT / "tests" / "e2e")) == set()


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_called(hook: str) -> None:
    """Somewhere in the core, by its name."""
    callers = [path for path in (ROOT / "orchestrator").rglob("*.py") if f"{hook}" in path.read_text()]
    assert [path.name for path in callers if path.name != "hookspecs.py"]


@pytest.mark.parametrize("kind", [Action, Inlet, Event, EventList, Outcome, Collected])
def test_every_member_that_plugins_may_use_is_documented(kind: type) -> None:
    members = {name for name in (*vars(kind), *vars(kind).get("__annotations__", ())) if not name.startswith("_")}
    unknown = {
        name
        for name in members
        if not re.search(rf"\b{name}\b", README) and not name.startswith(("source_path", "target_path"))
    }
    # the queue's own affair, and what is said in other words
    assert unknown - {"delay", "delays", "event", "half", "is_list", "judgement", "status"} == set()


def test_what_is_exported_is_there() -> None:
    assert [name for name in orchestrator.api.__all__ if not hasattr(orchestrator.api, name)] == []


@pytest.mark.parametrize("path", sorted(path.name for path in SAMPLE.iterdir() if path.suffix in (".py", ".toml")))
def test_the_plugin_in_the_readme_is_the_one_that_is_tested(path: str) -> None:
    """tests/e2e/test_sample_plugin.py installs it, runs its own tests, and uses it."""
    text = (SAMPLE / path).read_text()
    language = "toml" if path.endswith(".toml") else "python"
    assert f"`{path}`:\n\n```{language}\n{text}```\n" in README


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert [link for link in links if not (ROOT / "plugins" / link).exists()] == []
    told = {Path(link).parts[0] for link in links}
    assert {path.parent.name for path in (ROOT / "plugins").glob("*/README.md")} - told == set()


CALLED: dict[str, tuple[object, ...]] = {
    "create": (b"/x",),
    "retry": (b"/x",),
    "report_retrying": (1,),
    "report_failing": ([b"/x"],),
    "report_conflicts": ([b"/x"],),
    "report_arrived": ([b"/x"],),
    "after": (1.0, lambda: None),
    "add_exclude": (b"*.x",),
    "rm_exclude": (b"*.x",),
    "append_filter": (b"- *.y",),
    "log": ("Warn", "x"),
    "log_lines": ([b"x"],),
    "shows": ("Warn",),
    "shared_ssh": (["ssh"], "host"),
}
"""How each is called, beside those that need an event."""


def test_everything_of_an_inlet_works_in_the_kit(tmp_path: Path) -> None:
    from orchestrator.testing.inlet import FakeInlet

    class Any(Action):
        name = "any"

        def action(self, inlet: Inlet) -> None:
            pass

    inlet = FakeInlet(Any(), source=bytes(tmp_path) + b"/")
    for name in sorted(name for name in vars(Inlet) if not name.startswith("_")):
        member = getattr(inlet, name)
        needs = set(inspect.signature(member).parameters) if inspect.ismethod(member) else {"no call"}
        if not needs & {"agent", "event", "delay", "argv", "no call"}:
            member(*CALLED.get(name, ()))
    assert (inlet.number, inlet.name) == (1, "Sync1")
    inlet.change("Create", b"/f")
    event = inlet.get_event()
    assert event is not None
    inlet.spawn(event, ["true"])
    assert inlet.execute(inlet.spawned[0]) == "ok"
    inlet.change("Create", b"/g")
    left = inlet.get_event()
    assert left is not None
    inlet.discard(left)
    assert (left.etype, left.raw_path) not in inlet.waiting
