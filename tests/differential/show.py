"""``python -m differential.show [oracle|ours|both] NAME…``: run cases by hand and print what came out."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from pathlib import Path

from differential.commands import oracle, ours
from differential.world import run

LONGEST = 6000  # characters of one field


def main() -> None:
    side, *names = sys.argv[1:]
    for case in importlib.import_module(os.environ.get("DIFFERENTIAL_TABLE", "differential.table")).CASES:
        if names and not any(case.name.startswith(name) for name in names):
            continue
        for label, command in (("oracle", oracle()), ("ours", ours())):
            if side not in (label, "both") or command is None or (label == "oracle" and case.only_ours):
                continue
            with tempfile.TemporaryDirectory(prefix="d.") as scratch:
                result = run(case, command, Path(scratch) / "b")
            print(f"######## {case.name} ({label})")
            for key, text in result.items():
                text = text if len(text) < LONGEST else f"{text[: LONGEST // 2]}\n[…]\n{text[-LONGEST // 2 :]}"
                if text:
                    print(f"---- {key}\n{text}", end="" if text.endswith("\n") else "\n", flush=True)


if __name__ == "__main__":
    main()
