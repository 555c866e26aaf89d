"""The table: every case, by the pages of the behaviour it covers."""

from __future__ import annotations

from differential import cases_actions, cases_engine, cases_errors, cases_logs, cases_lua

CASES = [*cases_errors.CASES, *cases_lua.CASES, *cases_engine.CASES, *cases_actions.CASES, *cases_logs.CASES]
