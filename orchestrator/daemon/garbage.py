"""When Python looks for garbage in what is loaded."""

from __future__ import annotations

import gc


def spare_what_is_loaded() -> None:
    """Python looks for cycles in all objects again and again, the loop standing still meanwhile.

    With 200,000 pending changes one look takes 100 ms, in which the kernel's queue overflows. What has
    been loaded is not looked at again, and all that is pending only after ten million new objects:
    changes go by themselves when they are done with, cycles are few. What is new is looked at once more
    after 60,000 of them: after ten times 20,000, Python's own measure, that took 25 to 40 ms, and seven of
    seventeen bursts of 200,000 files at full speed overflowed.
    """
    gc.freeze()
    gc.set_threshold(20_000, 2, 200)
    gc.enable()


def collect_what_was_loaded() -> None:
    """What an old configuration was made of may go now."""
    gc.unfreeze()
    gc.collect()
