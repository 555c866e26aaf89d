"""How hard the property tests try: `HYPOTHESIS_PROFILE=ci` for more than the usual 100 examples."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# no deadlines: how long an example takes says more about the machine's other work than about the code.
# In CI the examples are the same every time: what is red there is what changed. Elsewhere they are new ones.
common = settings(
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
)
settings.register_profile("default", common, max_examples=100)
settings.register_profile("ci", common, max_examples=600)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
