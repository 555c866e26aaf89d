"""Code and docs use the field's words: none of our own where a standard term exists.

`WORDS` and `NAMES` give each word that is not to be used, with the one to say in its place. `KEPT` lists the few that
stay.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parents[2]

WORDS: Mapping[str, str] = {
    r"on hearsay|hearsay": "circuit breaker: open, half-open, closed",
    r"is apart|prober": "circuit breaker, probe",
    r"is fooled|may hide": "racily clean (is_racy)",
    r"likeness|glances?": "quick compare",
    r"crew|hires?": "work queue, start_worker",
    r"forecasts?": "deletion count",
    r"let through": "allow",
    r"bury|buried|buries|strangers?": "reap, adopted children",
    r"for want": "resource shortage",
    r"give way|gives way": "yield_cpu",
    r"whereabouts": "directory identity (is_same_directory)",
    r"take back|takes back|taken back": "retract",
    r"retells?|retold": "re-emit",
    r"distrusts?|distrusted|doubts?": "recheck, ambiguous",
    r"twins?": "alias",
    r"landmarks?": "ancestor watches",
    r"vacant": "placeholder",
    r"uprooted": "source watch lost",
    r"shuffled": "moved",
    r"in vain|is vain": "never ran",
    r"put off": "deferred",
    r"when over": "on_finished",
    r"predecessors?": "orphaned transfers",
    r"mends?|mended": "resync, repair",
    r"mind ends": "install_stop_handlers",
    r"obeys?|obeyed": "stop, react",
    r"urged": "second_signal",
    r"told|tells": "reported, logs, says, event",
}
"""Words of prose and parts of names (`is_apart` counts as "is apart"), as patterns → the word to use."""

NAMES: Mapping[str, str] = {
    "Looks": "racily clean files",
    "hide": "is_racy",
    "Lane": "retry list",
    "lane": "retry list",
    "FullAgain": "full-run retry",
    "full_again": "full-run retry",
    "fullagain": "full-run retry",
    "Leftovers": "pending deliveries",
    "spot": "entry",
    "Spot": "entry",
    "Assistant": "worker process",
    "object": "refuse",
    "is_for_want": "resource shortage",
    "ring": "wake",
    "calm": "clear",
    "attend": "also_poll",
    "bell": "wake-up descriptor",
    "Look": "TreeScan",
    "Rounds": "PollCycle",
    "rounds": "poll_cycle",
    "examine": "read_directory",
    "occasion": "current event",
    "miss": "mark_missing",
    "leads_to": "is_same_directory",
    "is_at": "is_same_directory",
    "guards": "ancestor watches",
    "opens": "Outcome",
    "closes": "Outcome",
    "Grave": "deleted directory",
    "News": "reporter",
}
"""Names that a module, class, function, parameter or variable must not have; in prose they may be plain English."""

VERBS = (
    "is|was|are|were|has|had|have|does|did|do|can|cannot|could|may|must|should|will|would|becomes|became|comes|came|"
    "goes|went|stands|stood|lies|lay|follows|leaves|left|looks|waits|waited|needs|ends|ended|fails|failed|remains|"
    "gets|got|keeps|makes|made|says|said|takes|took|belongs|changes|changed|holds|happens|happened"
)
HEADLESS = re.compile(rf"(?:^|[.:;]\s|\n\n)\s*(?:What|Whatever|Who|Whoever) (?:{VERBS})\b[^?]*?(?:[.;:]|$)")
"""A sentence whose subject is a clause without a noun ("What is told is …"). A question is none."""

KEPT: Mapping[str, set[str]] = {
    # a line of the status file
    "orchestrator/sync": {"for want"},
}
"""Part of the project → words that stay, since they are part of a format."""

DOCUMENTS = ("*.md", "configs/*", "plugins/*.md", "plugins/*/*.md", "contrib/*.md", "contrib/*/*", "tests/*/*.md")
# the changes of old versions stay as they were written
HISTORY = re.compile(r"^## \[\d.*", re.DOTALL | re.MULTILINE)

PATTERNS = {pattern: re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE) for pattern in WORDS}


def in_words(name: str) -> str:
    """An identifier as prose: `_is_apart` and `IsApart` are `is apart`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ").strip()


def names_in(tree: ast.AST) -> Iterator[str]:
    """Every name that a module defines."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


def prose_in(source: str) -> Iterator[str]:
    """Every block of comment lines, and every string: docstrings and messages."""
    block: list[str] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        kind = tokenize.tok_name[token.type]
        if kind == "COMMENT":
            block.append(token.string.lstrip("#: "))
        elif kind == "NL" and block:
            continue
        else:
            if block:
                yield " ".join(block)
                block = []
            if kind in ("STRING", "FSTRING_MIDDLE"):
                yield token.string.lstrip("rbfRBF").strip("\"'")


def misused(prose: str, names: set[str]) -> set[str]:
    text = re.sub(r"[ \t]*\n[ \t]*(?!\n)", " ", prose)
    every = [text, *map(in_words, names)]
    found = {pattern for pattern, word in PATTERNS.items() if any(map(word.search, every))}
    return found | {f"{name} (a name)" for name in NAMES if names & {name, f"_{name}"}}


def parts() -> dict[str, list[Path]]:
    """The sources and documents of each part: a directory, or a file that stands alone."""
    found: dict[str, list[Path]] = {}
    for top in ("orchestrator", "plugins"):
        for path in sorted([*(ROOT / top).rglob("*.py"), *(ROOT / top).rglob("*.lua")]):
            found.setdefault("/".join(path.relative_to(ROOT).parts[:2]), []).append(path)
    for pattern in DOCUMENTS:
        for path in filter(Path.is_file, sorted(ROOT.glob(pattern))):
            name = str(path.relative_to(ROOT)) if path.parent == ROOT else str(path.parent.relative_to(ROOT))
            found.setdefault(name, []).append(path)
    return found


def words_of(path: Path) -> set[str]:
    """The words to be replaced in a file."""
    text = path.read_text()
    if path.suffix == ".md":
        # code and its output are not prose
        prose = re.sub(r"```.*?```|`[^`\n]*`", "", HISTORY.sub("", text), flags=re.DOTALL)
        return misused(prose, set())
    if path.suffix != ".py":
        # in Lua, manuals and scripts names count as prose
        return misused(in_words(text), set())
    found: set[str] = misused("", {*names_in(ast.parse(text)), path.stem})
    for prose in prose_in(text):
        found |= misused(prose, set())
        if HEADLESS.search(prose):
            found.add("headless")
    return found


PARTS = parts()


@pytest.mark.parametrize("part", PARTS)
def test_no_private_terms(part: str) -> None:
    better = {**WORDS, **{f"{name} (a name)": word for name, word in NAMES.items()}, "headless": "begin with a noun"}
    wrong = [
        f"{path.relative_to(ROOT)}: not {word!r}: say {better[word]}"
        for path in PARTS[part]
        for word in sorted(words_of(path) - KEPT.get(part, set()))
    ]
    assert wrong == []


def test_the_test_sees_them() -> None:
    assert misused("The count is\ntaken back.", set()) == {"take back|takes back|taken back"}
    assert misused("", {"_isApart", "_spot", "spots"}) == {"is apart|prober", "spot (a name)"}
    assert HEADLESS.search("A list. What is told is wrong.")
    assert HEADLESS.search("What failed and why, for the log")
    assert not HEADLESS.search("What is it? An error.")
    assert not HEADLESS.search("Whatever kind of path")


def test_only_words_that_are_there_are_kept() -> None:
    found = {part: set().union(*map(words_of, PARTS[part])) for part in KEPT}
    assert found == KEPT
