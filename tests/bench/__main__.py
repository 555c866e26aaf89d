"""`make bench`: our daemon beside the real lsyncd, in turn, in one run; the table goes to RESULTS.md.

Figures of a shared machine wander: compare within a run only. `--quick` takes three minutes and
writes nothing.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import sys
import time
from pathlib import Path

from cases import CASES, THEIRS, Case, Figures
from world import Failed

HERE = Path(__file__).resolve().parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the small cases, once each")
    parser.add_argument("--runs", type=int, default=3, help="of each case; medians count")
    parser.add_argument("--tables", type=int, default=2, help="how often all of it is done: a table each")
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--ours", default=str(Path(sys.executable).with_name("lsyncd")))
    options = parser.parse_args()
    tables = [table(options) for _ in range(1 if options.quick else options.tables)]
    if not options.quick and not options.only:
        results = HERE / "RESULTS.md"
        head = results.read_text().partition("<!-- figures -->")[0] if results.exists() else ""
        results.write_text(f"{head}<!-- figures -->\n\n" + "\n\n".join(tables) + "\n")
    return 0


def table(options: argparse.Namespace) -> str:
    """All cases once; printed, too."""
    theirs = THEIRS if Path(THEIRS).exists() else None
    rows = [
        row(case, options.ours, theirs, 1 if options.quick else options.runs)
        for case in CASES
        if options.only in case.name and (case.is_quick or not options.quick)
    ]
    lines = [
        (
            f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}, "
            f"Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}, load {os.getloadavg()[0]:.1f}"
        ),
        "",
        "| case | figure | lsyncd | ours | ours / lsyncd | wanted at most |",
        "| --- | --- | --- | --- | --- | --- |",
        *(line for lines in rows for line in lines),
    ]
    text = "\n".join(lines)
    print(text, flush=True)
    return text


def row(case: Case, ours: str, theirs: str | None, runs: int) -> list[str]:
    """Run a case on both in turn; a line of the table for each figure."""
    results: dict[str, list[Figures]] = {"ours": [], "theirs": []}
    for _ in range(runs):
        for side, binary in (("theirs", None if case.ours_only else theirs), ("ours", ours)):
            if binary is None or shutil.which(binary.split()[0]) is None:
                continue
            try:
                results[side].append(case.run(binary, **case.arguments))
            except Failed as failed:
                print(f"{case.name}, {side}: {failed}", file=sys.stderr)
        print(f"{case.name}: {results['theirs'][-1:]} {results['ours'][-1:]}", file=sys.stderr, flush=True)
    lines = []
    for number, figure in enumerate(results["ours"][0] if results["ours"] else ()):
        a, b = (median(results[side], figure) for side in ("theirs", "ours"))
        ratio = f"{b / a:.3g}" if a and b is not None else "-"
        shown = ["-" if value is None else f"{value:.4g}" for value in (a, b)]
        wanted = case.bound if number == 0 else ""
        lines.append(f"| {case.name} | {figure} | {shown[0]} | {shown[1]} | {ratio} | {wanted} |")
    return lines


def median(results: list[Figures], figure: str) -> float | None:
    return statistics.median(result[figure] for result in results) if results else None


if __name__ == "__main__":
    sys.exit(main())
