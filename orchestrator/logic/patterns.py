"""rsync's patterns, and an automaton that finds out which of many rules decides over a path (spec 3.2).

What a pattern means is what rsync(1) says under "PATTERN MATCHING RULES", and what rsync does where that is silent
(tests/property/test_filters_property.py asks the real one):

* A slash in front anchors the pattern at the source. Any other begins at the start of any segment, or, where it
  begins with `**`, anywhere. It has to reach to the end of the path.
* A slash at the end asks for a directory.
* Only a pattern that holds `*`, `?` or `[` has wildcards: `*` is any run of bytes but `/`, `**` any run, `?` one byte
  but `/`, `[a-z]` one of a class, a backslash takes the special meaning from what follows. In any other pattern
  all bytes stand for themselves, the backslash, too.
* One that ends in `***` matches a directory as well as all below it.
* What is below an excluded directory is excluded, whatever the rules say of it: rsync does not descend there.

The automaton reads a path once, byte by byte, whatever is in the patterns: no name and no pattern makes it go back.
One number, a bit for each place in each pattern, says where it stands; what follows on a byte is kept, so that of a
path that resembles earlier ones only its own bytes are looked up. Of the directories it remembers where it stood.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SLASH: Final = 0x2F

_WILD: Final = re.compile(rb"[*?\[]")

_MAX_STATES: Final = 1000
_MAX_STATES_SIZE: Final = 1 << 22
"""States that are kept before all are forgotten, and the bytes that they may take together."""

_MAX_REMEMBERED: Final = 1 << 20
"""Bytes of directories' paths that are remembered."""

_ASCII: Final = bytes(range(0x80))
_POSIX: Final = {
    b"alnum": bytes(b for b in _ASCII if chr(b).isalnum()),
    b"alpha": bytes(b for b in _ASCII if chr(b).isalpha()),
    b"blank": b" \t",
    b"cntrl": bytes([*range(0x20), 0x7F]),
    b"digit": b"0123456789",
    b"graph": bytes(range(0x21, 0x7F)),
    b"lower": bytes(range(0x61, 0x7B)),
    b"print": bytes(range(0x20, 0x7F)),
    b"punct": bytes(b for b in range(0x21, 0x7F) if not chr(b).isalnum()),
    b"space": b" \t\n\v\f\r",
    b"upper": bytes(range(0x41, 0x5B)),
    b"xdigit": b"0123456789abcdefABCDEF",
}
_NOT_SLASH: Final = bytes(b for b in range(256) if b != SLASH)


class Token(NamedTuple):
    """A piece of a pattern. `text`: as it is written. `run`: any run of `accepts`, else one of them."""

    text: bytes
    accepts: bytes
    run: bool = False


class Pattern(NamedTuple):
    """What a pattern says, taken apart."""

    tokens: tuple[Token, ...]
    anchored: bool
    directory: bool
    """It asks for a directory."""
    leads: bool
    """It begins with `**`, and so before the path's first slash."""
    whole: bool
    """It ends in `***`: a directory is matched as one with a slash behind it."""


def is_wild(pattern: bytes) -> bool:
    """Whether it has wildcards, and so a backslash is an escape in it."""
    return _WILD.search(pattern) is not None


def parse(pattern: bytes) -> Pattern | None:
    """Take a pattern apart. None: nothing can match it (it is empty or `/`, say, or ends within a class)."""
    directory = len(pattern) > 1 and pattern.endswith(b"/")
    if directory:
        pattern = pattern[:-1]
    anchored = pattern.startswith(b"/")
    bare = pattern[1:] if anchored else pattern
    if not bare:
        return None
    tokens = _tokens(bare) if is_wild(bare) else [Token(bytes([byte]), bytes([byte])) for byte in bare]
    if tokens is None:
        return None
    if not anchored and b"**" not in bare and bare.count(b"/") != sum(token.accepts == b"/" for token in tokens):
        return None  # a slash within a class: rsync counts it as one of the path's, where it can't be
    return Pattern(tuple(tokens), anchored, directory, not anchored and bare.startswith(b"**"), bare.endswith(b"***"))


def _tokens(pattern: bytes) -> list[Token] | None:
    tokens = []
    place = 0
    while place < len(pattern):
        start, byte = place, pattern[place]
        place += 1
        accepts: bytes | None = bytes([byte])
        if byte == 0x2A:  # *
            while pattern[place : place + 1] == b"*":
                place += 1
            accepts = _NOT_SLASH if place == start + 1 else bytes(range(256))
        elif byte == 0x3F:  # ?
            accepts = _NOT_SLASH
        elif byte == 0x5C:  # \
            accepts = pattern[place : place + 1]
            place += 1
        elif byte == 0x5B:  # [
            accepts, place = _class(pattern, place)
        if not accepts:
            return None
        tokens.append(Token(pattern[start:place], accepts, run=byte == 0x2A))
    return tokens


def _class(pattern: bytes, place: int) -> tuple[bytes | None, int]:
    """The bytes of the class whose `[` stands before `place`, and where it ends. None: it has no end."""
    negated = pattern[place : place + 1] in (b"!", b"^")
    place += negated
    found: set[int] = set()
    before: int | None = None  # what a range may begin with
    first = True
    while first or pattern[place : place + 1] != b"]":
        first = False
        here = pattern[place : place + 1]
        if not here:
            return None, place
        if here == b"[" and pattern[place + 1 : place + 2] == b":":
            end = pattern.find(b"]", place + 2)
            if end < 0:
                return None, place
            if pattern[end - 1 : end] == b":" and end - 1 > place + 1:
                named = _POSIX.get(pattern[place + 2 : end - 1])
                if named is None:
                    return None, place
                found.update(named)
                before = None
                place = end + 1
                continue
        if here == b"-" and before is not None and pattern[place + 1 : place + 2] not in (b"", b"]"):
            place += 1
            if pattern[place : place + 1] == b"\\":
                place += 1
            last = pattern[place : place + 1]
            if not last:
                return None, place
            found.update(range(before, last[0] + 1))
            before = None
        else:
            if here == b"\\":
                place += 1
                here = pattern[place : place + 1]
                if not here:
                    return None, place
            found.add(here[0])
            before = here[0]
        place += 1
    accepts = bytes(b for b in _NOT_SLASH if (b in found) != negated)
    # a class of nothing matches nothing, but it has an end
    return accepts or None, place + 1


class _State(dict[int, "_State"]):
    """Where the automaton stands: byte → where it stands after it."""

    __slots__ = ("_automaton", "bits", "excludes_directory", "excludes_file")

    def __init__(self, automaton: Automaton, bits: int) -> None:
        super().__init__()
        self._automaton = automaton
        self.bits = bits
        self.excludes_file = automaton.decides(bits, is_directory=False)
        self.excludes_directory = automaton.decides(bits, is_directory=True)

    def __missing__(self, byte: int) -> _State:
        state = self[byte] = self._automaton.after(self.bits, byte)
        return state


class Automaton:
    """Rules in order, of which the first that matches decides. `steps`: how often something was found out anew.

    It may be asked from several threads at once: what they find out is the same.
    """

    def __init__(self, rules: Sequence[tuple[bool, Pattern]]) -> None:
        """`rules`: (whether it includes, pattern)."""
        self.steps = 0
        self._remembered: dict[bytes, _State | None] = {}
        self._room = 0  # for more of them
        self._states: dict[int, _State] = {}
        ends: list[int] = []
        accepts: dict[int, list[int]] = {}  # byte → places that are reached by it
        questions: list[int] = []  # by any byte but the slash
        stars: list[int] = []  # places that are kept by any byte but the slash
        double_stars: list[int] = []  # by any
        anchored: list[int] = []
        floating: list[int] = []
        leading: list[int] = []
        size = 0
        for _, pattern in rules:
            starts = leading if pattern.leads else anchored if pattern.anchored else floating
            starts.append(size)
            for token in pattern.tokens:
                if token.run:
                    (stars if token.accepts is _NOT_SLASH else double_stars).append(size)
                    continue
                size += 1
                if token.accepts is _NOT_SLASH:
                    questions.append(size)
                else:
                    for byte in token.accepts:
                        accepts.setdefault(byte, []).append(size)
            ends.append(size)
            size += 1

        def mask(places: Iterable[int]) -> int:
            row = bytearray(size // 8 + 1)
            for place in places:
                row[place >> 3] |= 1 << (place & 7)
            return int.from_bytes(row, "little")

        question, star, self._kept_by_slash = mask(questions), mask(stars), mask(double_stars)
        self._kept = self._kept_by_slash | star
        self._reached = [mask(accepts.get(byte, ())) | (question if byte != SLASH else 0) for byte in range(256)]
        self._floating = mask(floating)
        self._file_ends = mask(end for end, (_, pattern) in zip(ends, rules, strict=True) if not pattern.directory)
        self._directory_ends = mask(ends)
        self._whole_ends = mask(end for end, (_, pattern) in zip(ends, rules, strict=True) if pattern.whole)
        self._includes = {end: includes for end, (includes, _) in zip(ends, rules, strict=True)}
        self._max_states = max(16, min(_MAX_STATES, _MAX_STATES_SIZE // (size // 8 + 1)))
        self._first = self._step(mask(leading), SLASH) | mask(anchored)
        self._forget()

    def excludes(self, path: bytes) -> bool:
        """Whether a path is left out. It starts with a slash; a directory's ends with one. The root never is."""
        end = len(path) - path.endswith(b"/")
        if not end:
            return False
        cut = path.rfind(b"/", 0, end) + 1
        directory = path[:cut]
        remembered = self._remembered  # another thread may forget it meanwhile
        if directory in remembered:
            state = remembered[directory]
        else:
            state = self._descend(directory)
            self._remember(directory, state)
        if state is None:
            return True
        for byte in path[cut:end]:
            state = state[byte]
        return state.excludes_directory if end < len(path) else state.excludes_file

    def kept(self) -> tuple[int, int]:
        """States, and bytes of directories' paths, that are kept for later."""
        return len(self._states), sum(map(len, self._remembered))

    def _descend(self, directory: bytes) -> _State | None:
        """Where it stands before the names in a directory; None: that, or one above it, is excluded."""
        state = self._root
        for byte in memoryview(directory)[1:]:
            if byte == SLASH and state.excludes_directory:
                return None
            state = state[byte]
        return state

    def _remember(self, directory: bytes, state: _State | None) -> None:
        self._room -= len(directory)
        if self._room < 0:
            self._remembered = {}
            self._room = _MAX_REMEMBERED - len(directory)
        self._remembered[directory] = state

    def _forget(self) -> None:
        self._remembered = {}
        self._room = _MAX_REMEMBERED
        self._states = {}
        self._root = _State(self, self._first)

    def after(self, bits: int, byte: int) -> _State:
        """For the states: what follows on a byte."""
        bits = self._step(bits, byte)
        state = self._states.get(bits)
        if state is None:
            if len(self._states) >= self._max_states:
                self._forget()
            state = self._states[bits] = _State(self, bits)
        return state

    def _step(self, bits: int, byte: int) -> int:
        self.steps += 1
        if byte == SLASH:
            return (bits << 1) & self._reached[byte] | bits & self._kept_by_slash | self._floating
        return (bits << 1) & self._reached[byte] | bits & self._kept

    def decides(self, bits: int, *, is_directory: bool) -> bool:
        """For the states: whether the path that ends here is excluded."""
        if is_directory:
            matching = bits & self._directory_ends
            if self._whole_ends:
                matching |= self._step(bits, SLASH) & self._whole_ends
        else:
            matching = bits & self._file_ends
        if not matching:
            return False
        return not self._includes[(matching & -matching).bit_length() - 1]
