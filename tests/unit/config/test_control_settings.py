"""The settings of the control socket: a file, none, or the usual place."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.config.settings import make_settings
from orchestrator.errors import ConfigError


@pytest.mark.parametrize(
    ("given", "meant"), [("/a/b", "/a/b"), (5, "5"), (False, False), ("false", False), (True, None), (None, None)]
)
def test_what_a_value_means(given: object, meant: object) -> None:
    found = make_settings({"controlSocket": given}).control_socket
    assert (found, type(found)) == (meant, type(meant))


@pytest.mark.parametrize("given", [[], {}, float("inf"), "a\0b", "x" * 5000])
def test_a_value_that_means_nothing(given: Any) -> None:
    with pytest.raises(ConfigError, match='setting "controlSocket" must'):
        make_settings({"controlSocket": given})


def test_a_group_is_a_name() -> None:
    assert make_settings({"controlGroup": "adm"}).control_group == "adm"
    with pytest.raises(ConfigError, match='setting "controlGroup" must be a string, not true'):
        make_settings({"controlGroup": True})
