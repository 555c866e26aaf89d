"""The commands that steer a daemon: its syncs, its log, its configuration."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from orchestrator.errors import UsageError
from orchestrator.logic.secrets import mask
from orchestrator.requests.protocol import Code, RequestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from orchestrator.requests.call import Call
    from orchestrator.sync.flushes import Flushed
    from orchestrator.sync.sync import Sync


def pause(call: Call) -> None:
    call.desk.runner.steering.pause(call.syncs, partial(call.answer, _named(call.syncs)))


def unpause(call: Call) -> None:
    call.desk.runner.steering.unpause(call.syncs, partial(call.answer, _named(call.syncs)))


def run(call: Call) -> dict[str, Any]:
    return _named(call.desk.runner.steering.run(call.syncs))


def flush(call: Call) -> None:
    runner = call.desk.runner
    runner.read_all()  # what was written before the request came is among what is flushed

    def done(flushed: Sequence[Flushed]) -> None:
        names = [
            {"name": mask(one.sync.name), "is_done": one.is_done, "waiting": one.waiting, "state": one.sync.state.value}
            for one in flushed
        ]
        call.answer({"syncs": names})

    runner.steering.flush(call.syncs, call.arguments.get("wait"), done, lambda: not call.is_over)


def retry(call: Call) -> dict[str, Any]:
    call.desk.runner.steering.try_now(call.syncs)
    return _named(call.syncs)


def log(call: Call) -> dict[str, Any]:
    desk = call.desk
    try:
        desk.log.change(call.arguments.get("on", []), call.arguments.get("off", []))
    except UsageError as error:
        raise RequestError(Code.BAD_REQUEST, str(error)) from None
    for sync in desk.runner.syncs:
        sync.follow_log()
    desk.log_changed()
    return {"categories": desk.log.shown()}


def reload(call: Call) -> None:
    def done(lines: list[str], problem: str) -> None:
        if problem:
            call.fail(RequestError(Code.FAILED, problem))
        else:
            call.answer({"lines": lines})

    call.desk.reload(done)


def _named(syncs: Iterable[Sync]) -> dict[str, Any]:
    return {"syncs": [mask(sync.name) for sync in syncs]}
