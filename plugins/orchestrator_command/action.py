"""The command action: what to run, when, and how it gets to know the paths (spec 4.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakKeyDictionary

from orchestrator.api import (
    Action,
    CannotVerify,
    Config,
    ConfigError,
    Event,
    EventList,
    Inlet,
    Resumable,
    Template,
    argument_room,
    argument_size,
    etypes,
    remove_list,
    to_bytes,
    variable_value,
    write_list,
)
from orchestrator_command.options import EVENTS, OPTIONS, Plan, is_paths, plan_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from orchestrator.api import Verifier


class Command(Action):
    name = "command"
    sets = True
    options = OPTIONS
    defaults: ClassVar[Mapping[str, Any]] = {"delay": 1}

    def __init__(self) -> None:
        self._plans: WeakKeyDictionary[Inlet, Plan] = WeakKeyDictionary()

    def prepare(self, config: Config) -> None:
        plan = plan_of(config)
        if plan.per_event and plan.events[EVENTS["move"]] is not plan.command:
            config.set("onMove", True)
        if config.get("verify") is not None and plan.verify is None:
            raise ConfigError('default.command: "verify" needs "verifyCommand"')

    def resumable(self, config: Config) -> Resumable | None:
        plan = plan_of(config)
        return None if plan.per_event or plan.startup is None else Resumable()

    def verify(self, inlet: Inlet, paths: Sequence[bytes] | None, *, quick: bool) -> Verifier:
        from orchestrator_command.verify import Comparison  # late: few have a use for it

        template = self._plan(inlet).verify
        if template is None:
            raise CannotVerify("it has no verifyCommand")
        return Comparison(inlet, template.argv(_lookup(inlet)), paths)

    def init(self, event: Event) -> None:
        _run_once(event, self._plan(event.inlet).startup)

    def full(self, event: Event) -> None:
        template = self._plan(event.inlet).full
        if template is None:
            event.inlet.log(
                "Warn",
                f"{event.inlet.name}: everything is to be brought up to date once more, "
                "but there is no fullCommand and no startupCommand.",
            )
        _run_once(event, template)

    def action(self, inlet: Inlet) -> None:
        plan = self._plan(inlet)
        if plan.per_event:
            _run_event(inlet, plan)
        else:
            _run_batch(inlet, plan)

    def _plan(self, inlet: Inlet) -> Plan:
        plan = self._plans.get(inlet)
        if plan is None:
            plan = self._plans[inlet] = plan_of(inlet.config)
        return plan


def _run_once(event: Event, template: Template | None) -> None:
    """A startup or full run; left waiting where there is nothing to run, it is dropped."""
    inlet = event.inlet
    if template is None:
        inlet.discard(event)
        return
    value = _lookup(inlet)
    inlet.log("Normal", template.message(b"Event " + event.etype.encode(), value))
    inlet.spawn(event, template.argv(value), b"")


def _run_event(inlet: Inlet, plan: Plan) -> None:
    event = inlet.get_event()
    if event is None:
        return
    template = plan.events.get(event.etype)
    if template is None:
        inlet.discard(event)
        return
    value = _lookup(inlet, event)
    inlet.log("Normal", template.message(b"Event " + event.etype.encode(), value))
    inlet.spawn(event, template.argv(value), b"")


def _run_batch(inlet: Inlet, plan: Plan) -> None:
    assert plan.command is not None
    if plan.paths == "arguments":
        _run_with_arguments(inlet, plan, plan.command)
        return
    events = inlet.get_events(lambda event: event.etype not in etypes.SPECIAL)
    items = [item for item in (_item(plan, event) for event in events) if _can_be_listed(inlet, plan, item)]
    if not items:
        for event in events:
            inlet.discard(event)
        return
    if plan.paths == "file":
        listed = write_list(items, plan.separator)
        try:
            _spawn(inlet, events, plan.command, items, b"", listed)
        except ValueError:
            remove_list(listed)
            raise
    else:
        _spawn(inlet, events, plan.command, items, b"".join(item + plan.separator for item in items))


def _run_with_arguments(inlet: Inlet, plan: Plan, template: Template) -> None:
    """As many changes as fit into one command line; the others have their turn when it has ended."""
    room = argument_room(template.argv(_lookup(inlet)))
    items: list[bytes] = []

    def fits(event: Event) -> bool | str:
        nonlocal room
        if event.etype in etypes.SPECIAL:
            return False
        item = _item(plan, event)
        room -= argument_size(item)
        if items and room < 0:
            return "break"
        items.append(item)
        return True

    events = inlet.get_events(fits)
    if items:
        _spawn(inlet, events, template, items, b"")


def _spawn(
    inlet: Inlet, events: EventList, template: Template, items: list[bytes], stdin: bytes, listed: bytes = b""
) -> None:
    value = _lookup(inlet, count=b"%d" % len(items), paths=b"...", pathsFile=listed)
    argv = template.argv(value)
    if not listed and not stdin:
        place = next((place for place, word in enumerate(template.arguments) if is_paths(word)), len(argv))
        argv[place : place + 1] = items
    inlet.log("Normal", template.message(b"Batch of %d" % len(items), value))
    inlet.spawn(events, argv, stdin, lambda: remove_list(listed) if listed else None)


def _lookup(inlet: Inlet, event: Event | None = None, **more: bytes) -> Callable[[str], bytes]:
    """The values of variables: of the sync, of an event, and of a batch."""
    values = {"source": inlet.source, "target": inlet.target, "name": to_bytes(inlet.name)}
    values.update(more)

    def value(variable: str) -> bytes:
        if variable in values or event is None:
            return values.get(variable, b"")
        if variable == "etype":
            return event.etype.encode()
        return variable_value(variable, event, event.destination if event.half else None)

    return value


def _item(plan: Plan, event: Event) -> bytes:
    """The text that is handed over for one change."""
    (item,) = plan.each.argv(_lookup(event.inlet, event))
    return item


def _can_be_listed(inlet: Inlet, plan: Plan, item: bytes) -> bool:
    """Whether the program can tell it from its neighbours."""
    if plan.separator not in item:
        return True
    inlet.log("Warn", f"{inlet.name}: a name with a newline cannot be listed line by line, and is left out: ", item)
    return False
