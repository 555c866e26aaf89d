"""The questions that an action is asked about each sync: a wrong answer, or none, names the plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.api import Action, Config, Option
from orchestrator.config.lua.actions import can_verify
from orchestrator.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.config.lua_config import World

SYNC = 'sync{ default.odd, source = "SRC", startupProcesses = 2 }'

WRONG = {
    "endpoint": "it gave 5, not a str or None",
    "target": "it gave 5, which is no orchestrator.api.Target",
    "undivided": "it gave 5, not a str or None",
    "resumable": "it gave 5, which is no orchestrator.api.Resumable",
}


class Odd(Action):
    name = "odd"
    sets = True
    options = {"startupProcesses": Option((int,), None, "")}  # noqa: RUF012

    def init(self, event: Any) -> None: ...

    def action(self, inlet: Any) -> None: ...


def odd(method: str, answer: Callable[[Action, Config], Any]) -> Action:
    return type("Odd", (Odd,), {method: answer})()


def raising(_action: Action, _config: Config) -> Any:
    raise RuntimeError("no luck")


@pytest.mark.parametrize("method", WRONG)
def test_an_answer_of_another_type_names_the_plugin(world: World, method: str) -> None:
    world.actions["odd"] = odd(method, lambda action, config: 5)
    with pytest.raises(ConfigError) as raised:
        world.load(SYNC)
    assert WRONG[method] in str(raised.value)
    assert f'plugin "odd" failed in {method}()' in str(raised.value)


@pytest.mark.parametrize("method", WRONG)
def test_what_is_raised_names_the_plugin(world: World, method: str) -> None:
    world.actions["odd"] = odd(method, raising)
    with pytest.raises(ConfigError, match="no luck") as raised:
        world.load(SYNC)
    assert f'plugin "odd" failed in {method}()' in str(raised.value)


@pytest.mark.parametrize("method", WRONG)
def test_none_is_an_answer(world: World, method: str) -> None:
    world.actions["odd"] = odd(method, lambda action, config: None)
    assert len(world.load(SYNC).syncs) == 1


def test_only_an_action_with_an_init_does_something_at_a_startup(world: World) -> None:
    """A reload hands what waits to a sync that does not compare everything anyway."""

    class Idle(Action):
        name = "idle"

        def action(self, inlet: Any) -> None: ...

    world.actions |= {"idle": Idle(), "odd": odd("full", lambda action, event: None)}
    idle, eager, own = world.load(
        'sync{ default.idle, source = "SRC" } sync{ default.odd, source = "SRC" }'
        'sync{ default.idle, source = "SRC", init = function( event ) end }'
    ).syncs
    assert [sync.calls.has_startup() for sync in (idle, eager, own)] == [False, True, True]


class Mixin:
    def helper(self) -> None: ...


def test_only_a_comparison_of_its_own_lets_an_action_verify() -> None:
    assert not can_verify(Odd())
    assert not can_verify(type("Mixed", (Odd, Mixin), {})())
    assert can_verify(type("Mixed", (Odd, Mixin), {"verify": lambda *arguments, **how: None})())
    assert can_verify(type("Mixed", (Odd, type("Verifying", (), {"verify": lambda *arguments, **how: None})), {})())
