"""With fewer watches than directories (watchLimit = "degrade"): whatever happens, at whatever moment, who repeats the
changes reported has the same tree after the next cycle; and when there are watches again, all is watched.
"""

from __future__ import annotations

import random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator.monitor.inotify import InotifyMonitor
from tests.kit.kernel import World
from tests.kit.pollcycle import PromptPollCycle
from tests.property.test_monitor_races import Mirror, Vandal, picture, probe, settle
from tests.property.test_monitor_roots import SOURCES, RootVandal, take_in


def cycles_until_quiet(world: World, monitor: InotifyMonitor, mirror: Mirror, poll_cycle: PromptPollCycle) -> None:
    """PollCycle with nothing happening meanwhile, until one finds nothing."""
    settle(world, monitor, mirror)
    for _ in range(100):
        poll_cycle.is_time = True
        reported = []
        for _ in range(3):  # one read begins the cycle, another one takes what it found
            changes = monitor.read()
            mirror.repeat_all(changes)
            reported += changes
        settle(world, monitor, mirror)
        if not reported:
            return
    raise AssertionError("a cycle finds something again and again")


def play(seed: int, *, on_move: bool) -> None:
    dice = random.Random(seed)
    world = World()
    world.piece = dice.choice([96, 500, 65536])
    world.limit = dice.choice([0, 1, 2, 3, 5, 8])
    for path in (b"/src", b"/out"):
        world.mkdir(path)
    vandal = Vandal(world, dice)
    vandal.left = 20
    while vandal.left:
        vandal.act()
    world.between = vandal.seldom
    poll_cycle = PromptPollCycle(world, lambda _: True)
    said: list[str] = []
    monitor = InotifyMonitor(
        "CloseWrite",
        lambda _: True,
        lambda category, message: said.append(category),
        make_kernel=lambda _: world,
        make_poll_cycle=lambda *_: poll_cycle,  # type: ignore[arg-type, return-value]
    )
    vandal.left = dice.randrange(20)
    monitor.watch(b"/src/")
    vandal.left = 0
    cycles_until_quiet(world, monitor, Mirror(world, monitor, on_move=False), poll_cycle)
    mirror = Mirror(world, monitor, on_move=on_move)
    mirror.tree = picture(world.find(b"/src"), b"/src/")  # the startup transfer

    vandal.left = dice.randrange(60)
    while vandal.left:
        vandal.act()
        if dice.random() < 0.3:
            poll_cycle.is_time = dice.random() < 0.3
            mirror.repeat_all(monitor.read())
        if dice.random() < 0.1:
            world.limit = dice.choice([0, 2, 5, 8, 100])
    cycles_until_quiet(world, monitor, mirror, poll_cycle)
    assert mirror.tree == picture(world.find(b"/src"), b"/src/")
    there = world.directories_below(b"/src/")
    watched, polled = monitor.watched(), monitor.polled()
    assert sorted({*watched, *polled}) == there
    assert len(watched) + len(polled) == len(there)
    assert len(said) == 0 or said[0] == "Warn"
    is_short = polled or world.watched_inodes() == len(watched)  # or / is not guarded
    assert bool(is_short) == (said[-1:] == ["Warn"])

    world.limit = 1000
    vandal.left = 5
    cycles_until_quiet(world, monitor, mirror, poll_cycle)
    while vandal.left:
        vandal.act()
    cycles_until_quiet(world, monitor, mirror, poll_cycle)
    assert mirror.tree == picture(world.find(b"/src"), b"/src/")
    assert sorted(monitor.watched()) == world.directories_below(b"/src/")
    assert monitor.polled() == []
    assert world.watched_inodes() == len(monitor.watched()) + 1  # the guard of /
    assert said[-1:] in ([], ["Normal"])
    if poll_cycle.is_waited_for:
        poll_cycle.is_time = True
        monitor.read()
    assert not poll_cycle.is_waited_for  # nothing wakes a daemon that has all its watches
    probe(world, monitor)


# The same seeds every time: in one of three thousand a tree is elsewhere just when its transfer comes, and back before
# the next cycle. No scan can find that; it stays until the next full run (plugins/orchestrator_poll/README.md).
SAME_SEEDS = settings(derandomize=True)


@SAME_SEEDS
@given(st.integers(0, 2**64))
@example(1000723)  # a directory is exchanged for a file, and found to be elsewhere after the file was reported
@example(1005212)
def test_a_target_that_splits_moves_ends_up_equal(seed: int) -> None:
    play(seed, on_move=False)


@SAME_SEEDS
@given(st.integers(0, 2**64))
@example(92419)  # a directory is another one of that name, and what was new in it is gone
def test_a_target_that_repeats_moves_ends_up_equal(seed: int) -> None:
    play(seed, on_move=True)


def play_sources(seed: int) -> None:
    """Sources that lie within each other, come and go, and lose events."""
    dice = random.Random(seed)
    world = World()
    for path in (b"/src", b"/src/a", b"/src/a/b", b"/out"):
        world.mkdir(path)
    vandal = RootVandal(world, dice)
    world.between = vandal.seldom
    world.limit = dice.choice([0, 1, 2, 3, 5, 8])
    world.queue_limit = dice.choice([8, 30, 1000, 1_000_000])
    poll_cycle = PromptPollCycle(world, lambda _: True)
    monitor = InotifyMonitor(
        "CloseWrite",
        lambda _: True,
        lambda *_: None,
        make_kernel=lambda _: world,
        make_poll_cycle=lambda *_: poll_cycle,  # type: ignore[arg-type, return-value]
    )
    users = {source: dice.choice([1, 1, 2]) for source in SOURCES if dice.random() < 0.7}
    held: dict[bytes, bool] = {}

    def read(*, is_time: bool) -> None:
        poll_cycle.is_time = is_time
        take_in(monitor, held)

    def look_after(*, is_enough: bool) -> None:
        for _ in range(20):
            read(is_time=True)
            read(is_time=False)
        there = {source for source in held if world.device(source) is not None}
        assert {source for source in held if held[source]} == there
        watched, polled = monitor.watched(), monitor.polled()
        assert len(set(watched)) == len(watched)
        assert {*watched, *polled} == {path for source in there for path in world.directories_below(source)}
        assert not (polled and is_enough)

    for source, count in users.items():
        vandal.left = dice.randrange(5)
        for _ in range(count):
            monitor.watch(source)
        held[source] = True
    for _ in range(dice.randrange(1, 6)):
        vandal.left = dice.randrange(40)
        while vandal.left:
            vandal.act()
            if dice.random() < 0.3:
                read(is_time=dice.random() < 0.3)
            if dice.random() < 0.1:
                world.limit = dice.choice([0, 2, 5, 8, 100])
        if held and dice.random() < 0.3:
            source = dice.choice(list(held))
            monitor.unwatch(source)
            users[source] -= 1
            if not users[source]:
                del held[source]
    look_after(is_enough=False)
    world.limit = 1000
    look_after(is_enough=True)
    for source in held:
        for _ in range(users[source]):
            monitor.unwatch(source)
    monitor.read()
    assert not world.watched_inodes()


@given(st.integers(0, 2**64))
@example(38_742_663_885_134_064)  # a source is given up when one within it is gone, and nobody has looked yet
def test_sources_within_sources(seed: int) -> None:
    play_sources(seed)
