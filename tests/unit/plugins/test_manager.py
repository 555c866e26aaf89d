"""Finding plugins, and what is said of those that are none (spec 6 "Beyond")."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

import orchestrator
from orchestrator import hookspecs
from orchestrator.api import API_VERSION, Action, Inlet, MonitorKind, Option, hookimpl
from orchestrator.errors import ConfigError
from orchestrator.installed import EntryPoint
from orchestrator.plugins import Manager, make_manager
from orchestrator.sync.hooks import Hooks

if TYPE_CHECKING:
    from collections.abc import Callable

NEWER = (
    f"is written for version {API_VERSION + 1} of the plugin interface; this is version {API_VERSION}. "
    "Install a newer lsyncd-orchestrator."
)
BUILT_IN = Path(orchestrator.__file__).parents[1] / "plugins"


class Push(Action):
    name = "push"

    def action(self, inlet: Inlet) -> None:
        inlet.spawn(inlet.get_events(), ["true"])


def module(**names: Any) -> ModuleType:
    made = ModuleType("outside")
    vars(made).update(names)
    return made


def plugin(*actions: Any, **more: Any) -> ModuleType:
    @hookimpl
    def orchestrator_actions() -> list[Any]:
        return list(actions)

    return module(orchestrator_actions=orchestrator_actions, **more)


def changed(**members: Any) -> Action:
    """An action like Push, but for some members."""
    made: Action = type("Changed", (Push,), members)()
    return made


def gives(name: str, given: Any) -> ModuleType:
    return hook(name, lambda: given)


def raises(name: str) -> ModuleType:
    def fails() -> None:
        raise RuntimeError("no\nluck")

    return hook(name, fails)


def hook(name: str, function: Callable[..., Any], **options: Any) -> ModuleType:
    function.__name__ = name
    return module(**{name: hookimpl(**options)(function) if options else hookimpl(function)})


def entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, source: str) -> EntryPoint:
    """A plugin module on the path, as a distribution would name it."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / f"outside_{name}.py").write_text(source)
    importlib.invalidate_caches()
    return EntryPoint(name=name, value=f"outside_{name}")


GOOD = """
from orchestrator.api import Action, hookimpl
class {name}(Action):
    name = "{name}"
    def action(self, inlet): inlet.discard(inlet.get_event())
@hookimpl
def orchestrator_actions(): return [{name}()]
"""


def test_the_built_in_ones_come_through_the_entry_points_and_nothing_else() -> None:
    installed = {found.module for found in make_manager().found}
    folders = {folder.name for folder in pkgutil.iter_modules([str(BUILT_IN)])}
    assert {"orchestrator_rsync", "orchestrator_rsyncssh", "orchestrator_direct"} <= installed
    declared = (BUILT_IN.parent / "pyproject.toml").read_text()
    assert all(f'"{folder}"' in declared for folder in folders)


def test_the_core_imports_no_plugin() -> None:
    for path in (BUILT_IN.parent / "orchestrator").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            assert not [name for name in names if name.startswith("orchestrator_")], path


def test_an_action_is_found_by_its_name() -> None:
    actions = make_manager([("outside", plugin(Push()))]).actions()
    assert isinstance(actions["push"], Push)
    assert {"rsync", "rsyncssh", "direct", "push"} <= set(actions)


def test_two_managers_share_nothing() -> None:
    make_manager([("outside", plugin(Push()))])
    assert "push" not in make_manager().actions()


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (
            plugin(Push(), ORCHESTRATOR_API=API_VERSION + 1),
            NEWER,
        ),
        (plugin("push"), "orchestrator_actions gave 'push', which is no orchestrator.api.Action"),
        (plugin(type("Nameless", (Push,), {"name": ""})()), "its action Nameless has no name"),
        (plugin(type("Idle", (Action,), {"name": "idle"})()), 'its action "idle" does not define action(inlet)'),
        (
            plugin(type("Other", (Push,), {"name": "rsync"})()),
            'its action "rsync" is there already, from plugin "rsync"; uninstall one of the two.',
        ),
        (plugin(Push(), Push()), 'it has two actions "push".'),
        (plugin(Push), "orchestrator_actions gave a class, Push; it takes Push()"),
        (plugin(Push(), ORCHESTRATOR_API="1"), "its ORCHESTRATOR_API must be a whole number, not '1'"),
        (plugin(changed(name="a b")), "its action Changed cannot be called 'a b'"),
        (plugin(changed(name="init")), "its action Changed cannot be called 'init'"),
        (
            plugin(changed(action=lambda self: None)),
            'its action "push" has action(), but it is called as action(inlet)',
        ),
        (
            plugin(changed(collect=lambda self: None)),
            'its action "push" has collect(), but it is called as collect(outcome)',
        ),
        (plugin(changed(init=None)), 'its action "push": init must be a method, not None'),
        (plugin(changed(options=["a"])), "its action \"push\": options must be a dict, not ['a']"),
        (
            plugin(changed(options={"a": {"b": 3}})),
            "its action \"push\": options['a']['b'] must be an orchestrator.api.Option, not 3",
        ),
        (
            plugin(changed(options={"a": Option((bytes,))})),
            "its action \"push\": options['a']: types must be a tuple of bool, str, int, float, list, dict",
        ),
        (gives("orchestrator_actions", None), "orchestrator_actions gave None, not a list of actions"),
        (
            gives("orchestrator_monitors", ["x"]),
            "orchestrator_monitors gave 'x', which is no orchestrator.api.MonitorKind",
        ),
        (raises("orchestrator_actions"), f"orchestrator_actions() failed: RuntimeError: no luck ({__file__}:66)"),
        (raises("orchestrator_monitors"), f"orchestrator_monitors() failed: RuntimeError: no luck ({__file__}:66)"),
        (gives("orchestrator_settings", ["url"]), "the options of orchestrator_settings must be a dict, not ['url']"),
        (raises("orchestrator_settings"), f"orchestrator_settings() failed: RuntimeError: no luck ({__file__}:66)"),
        (module(), "has no hook: a function with @hookimpl (see plugins/README.md in share/doc/lsyncd-orchestrator)."),
    ],
)
def test_what_is_wrong_is_said_and_nothing_of_it_stays(broken: Any, problem: str) -> None:
    manager = make_manager()
    before = manager.actions()
    with pytest.raises(ConfigError) as caught:
        manager.register(broken, "outside")
    assert str(caught.value) == problem
    assert manager.actions() == before
    manager.register(plugin(Push()), "outside")
    assert "push" in manager.actions()


def test_an_unknown_hook_is_named() -> None:
    with pytest.raises(ConfigError, match="orchestrator_no_such_hook"):
        make_manager().register(hook("orchestrator_no_such_hook", lambda: None), "outside")


def test_a_wrong_signature_is_named() -> None:
    with pytest.raises(ConfigError, match="colour"):
        make_manager().register(hook("orchestrator_fading", lambda reason, colour: None), "outside")


def test_a_plugin_that_cannot_be_imported_harms_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        entry_point(tmp_path, monkeypatch, "raises", "raise RuntimeError('no luck')"),
        entry_point(tmp_path, monkeypatch, "syntax", "def"),
        EntryPoint(name="missing", value="outside_missing"),
        entry_point(tmp_path, monkeypatch, "fine", GOOD.format(name="Fine")),
    ]
    manager = Manager(points)
    assert set(manager.actions()) == {"Fine"}
    first, second, third = manager.problems()
    place = f"{tmp_path}/outside_raises.py:1"
    assert first == f'plugin "raises" (outside_raises): cannot be loaded: RuntimeError: no luck ({place})'
    assert second.startswith('plugin "syntax" (outside_syntax): cannot be loaded: SyntaxError: ')
    assert third.startswith('plugin "missing" (outside_missing): cannot be loaded: ModuleNotFoundError: ')
    assert not [line for line in manager.problems() if "\n" in line]


def test_registered_twice_is_said_with_the_place_of_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = entry_point(tmp_path, monkeypatch, "one", GOOD.format(name="One"))
    other = EntryPoint(name="one", value="outside_other")
    (tmp_path / "outside_other.py").write_text(GOOD.format(name="Other"))
    again = EntryPoint(name="again", value="outside_one")
    manager = Manager([first, other, again])
    assert set(manager.actions()) == {"One"}
    assert manager.problems() == [
        'plugin "one" (outside_other): there is a plugin of this name already (outside_one); uninstall one of the two.',
        'plugin "again" (outside_one): is there already, under the name "one".',
    ]


def test_a_plugin_that_leaves_python_at_its_import_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = Manager([entry_point(tmp_path, monkeypatch, "leaves", "raise SystemExit(3)")])
    assert manager.problem_by_name() == {
        "leaves": f'plugin "leaves" (outside_leaves): cannot be loaded: SystemExit: 3 ({tmp_path}/outside_leaves.py:1)',
    }


def test_monitors_are_found_by_their_names() -> None:
    kind = MonitorKind("mine", lambda mode, wants, log: None)  # type: ignore[arg-type, return-value]
    manager = make_manager([("outside", gives("orchestrator_monitors", [kind]))])
    assert manager.monitors()["mine"] is kind
    with pytest.raises(ConfigError, match='its monitor "mine" is there already, from plugin "outside"'):
        manager.register(gives("orchestrator_monitors", [kind]), "other")


# ---- observers ---------------------------------------------------------------------------------


def test_a_plugin_may_have_settings_for_itself() -> None:
    def refuse(values: Any) -> None:
        if values["url"] == "x":
            raise ConfigError("no URL")
        raise RuntimeError("no\nluck")

    own = gives("orchestrator_settings", {"url": Option((str,))})
    refuse.__name__ = "orchestrator_check_settings"
    vars(own)["orchestrator_check_settings"] = hookimpl(refuse)
    settings = make_manager([("outside", own), ("other", gives("orchestrator_settings", {}))]).settings()
    assert list(settings["outside"].options) == ["url"]
    assert settings["other"].check({"url": "x"}) is None
    with pytest.raises(ConfigError, match=r"^no URL$"):
        settings["outside"].check({"url": "x"})
    failed = 'orchestrator_check_settings of plugin "outside" failed: RuntimeError: no luck'
    with pytest.raises(ConfigError, match=failed):
        settings["outside"].check({"url": "y"})


def hooks_of(*plugins: ModuleType) -> tuple[Hooks, list[str]]:
    lines: list[str] = []
    manager = make_manager([(f"outside{number}", each) for number, each in enumerate(plugins)])
    return Hooks(manager.hook, lambda category, text: lines.append(f"{category}: {text}")), lines


def test_one_that_raises_is_named_and_the_others_are_told() -> None:
    told: list[str] = []

    def fails(reason: str) -> None:
        raise RuntimeError(reason)

    hooks, lines = hooks_of(
        hook("orchestrator_fading", lambda reason: told.append(reason)),
        hook("orchestrator_fading", fails),
        hook("orchestrator_fading", lambda reason: told.append(reason)),
    )
    hooks.tell("orchestrator_fading", reason="TERM")
    assert told == ["TERM", "TERM"]
    error, debug = lines
    assert error.startswith('Error: hook orchestrator_fading of plugin "outside1" failed: RuntimeError: TERM (')
    assert re.search(r"/test_manager.py:\d+\)$", error)
    # without the frames that called it
    assert debug.startswith(f'Debug: Traceback (most recent call last):\n  File "{__file__}", line ')


def test_before_a_spawn_the_first_answer_decides() -> None:
    asked: list[str] = []

    def allows(spawn: Any) -> bool:
        asked.append("allows")
        return True

    def forbids(spawn: Any) -> bool:
        asked.append("forbids")
        return False

    hooks, _ = hooks_of(
        hook("orchestrator_before_spawn", allows),
        hook("orchestrator_before_spawn", forbids),
        hook("orchestrator_before_spawn", lambda spawn: None),
    )
    assert hooks.tell("orchestrator_before_spawn", inlet=None, agent=None, spawn=None) is False
    assert asked == ["forbids"]


def test_nobody_is_asked_where_nobody_listens() -> None:
    hooks, lines = hooks_of()
    assert not hooks.has("orchestrator_fading")
    assert hooks.tell("orchestrator_fading", reason="TERM") is None
    assert lines == []


def test_hooks_around_others_are_refused() -> None:
    def around(reason: str) -> Any:
        yield

    with pytest.raises(ConfigError, match="hook orchestrator_fading: wrappers are not supported"):
        make_manager().register(hook("orchestrator_fading", around, hookwrapper=True), "outside")


def test_every_hook_tells_its_contract() -> None:
    hooks = [value for name, value in vars(hookspecs).items() if name.startswith("orchestrator_")]
    assert len(hooks) == 15
    assert all(value.__doc__ and len(value.__doc__) > 40 for value in hooks)
