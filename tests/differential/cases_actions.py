"""Page 4: what the built-in actions call, with which arguments, which list on stdin, and what they say."""

# ruff: noqa: E501 - lines of Lua stand as they are

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from differential.steps import (
    at_once,
    called,
    chmod,
    ends,
    logged,
    mkdir,
    node,
    release,
    rename,
    rmtree,
    started,
    unlink,
    write,
)
from differential.world import Case, logs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from differential.world import Box

CASES: list[Case] = []


def live(name: str, text: str | None, *steps: Callable[[Box], object], **more: Any) -> None:
    CASES.append(Case(name, text, steps, **more))


# ---- 4.2 rsync: options
def rsync(options: str = "", extra: str = "") -> str:
    return f'sync{{ default.rsync, source="@SRC@", target="@TRG@", delay=0, {extra} rsync={{ {options} }} }}'


def option(name: str, options: str, **more: Any) -> None:
    live(f"rsync-{name}", rsync(options), logged("Startup of"), node("f"), logged("Finished a list"), **more)


FLAGS = (
    *(
        "acls",
        "backup",
        "checksum",
        "compress",
        "copy_dirlinks",
        "copy_links",
        "cvs_exclude",
        "dry_run",
        "executability",
    ),
    *(
        "group",
        "hard_links",
        "ignore_times",
        "ipv4",
        "ipv6",
        "keep_dirlinks",
        "links",
        "one_file_system",
        "omit_dir_times",
    ),
    *("omit_link_times", "owner", "perms", "protect_args", "prune_empty_dirs", "quiet", "sparse", "times", "update"),
    *("verbose", "whole_file", "xattrs"),
)
LONG = ("append", "append_verify", "existing", "inplace")
VALUES = {
    **dict.fromkeys(("bwlimit", "timeout"), "7"),
    **dict.fromkeys(
        (
            "backup_dir",
            "chmod",
            "chown",
            "groupmap",
            "password_file",
            "rsh",
            "rsync_path",
            "suffix",
            "temp_dir",
            "usermap",
        ),
        "'v w'",
    ),
}
option("no-options", "")
option(
    "all-flags",
    ", ".join(f"{flag}=true" for flag in FLAGS),
    why="while running, too, CVS's rules hold, and a link that is followed brings or takes all below it",
    ours={
        "calls": lambda text: text.replace("[-r] [--delete]", "[-r] [--filter=:C] [--filter=-C] [--delete]").replace(
            "[/f<NUL>", "[/f/***<NUL>/f<NUL>"
        ),
        "out": lambda text: text.replace("\n/f\n", "\n/f/***\n/f\n"),
    },
)
DIES = "the original dies of it: string expected, got table"
option(
    "no-flags",
    ", ".join(f"{flag}=false" for flag in FLAGS),
    only_ours=True,
    why=DIES,
    ours={"calls": re.compile(r"rsync \[--delete\] \[--ignore-errors\] \[-r\] .*\nrsync \[-r\] .*\n")},
)


def alone(flag: str) -> str:
    """One flag set, those that are on by default switched off."""
    others = [f"{other}=false" for other in ("links", "times", "protect_args") if other != flag]
    return ", ".join((f"{flag}=true", *others))


def each(name: str, options: Sequence[str]) -> None:
    """Many options in one run: a sync for each, told apart by its target."""
    syncs = [rsync(one).replace("@TRG@", f"@TRG@/{number}") for number, one in enumerate(options)]
    live(f"rsync-{name}-each", "\n".join(syncs), logged("Startup of", len(syncs)), sort=["calls", "out"])


each("flag", [alone(flag) for flag in FLAGS])
each("long", [f"{word}=true" for word in LONG])
each("value", [f"{word}={value}" for word, value in VALUES.items()])
option("archive", "archive=true")
option(
    "archive-but",
    "archive=true, owner=false, devices=false, times=false",
    bare=False,
    only_ours=True,
    why="2.3.1: devices and specials",
    ours={"calls": re.compile(r"rsync (\[--delete\] \[--ignore-errors\] )?.*\[-glps[^\]]*\].*\[--specials\].*\n[^$]*")},
)
option("archive-and", "archive=true, compress=true, verbose=true, _extra={ '--one', '--two=x y' }")
option("binary", "binary='@BIN@/tool'")
option(
    "backup-inside",
    "backup=true, backup_dir='old'",
    why="a backup directory inside of the target is protected: a full run would move it into itself",
    ours={"calls": lambda text: text.replace("rsync [", "rsync [--filter=P /old/] [")},
)
option("bwlimit-string", "bwlimit='5000'")
option(
    "extra-only",
    "_extra={ '-a' }, links=false, times=false, protect_args=false",
    only_ours=True,
    why=DIES,
    ours={"calls": re.compile(r"rsync \[--delete\] \[--ignore-errors\] \[-a\] \[-r\] .*\nrsync \[-a\] \[-r\] .*\n")},
)
option(
    "copy_unsafe_links",
    "copy_unsafe_links=true",
    only_ours=True,
    why="2.3.1: not in 2.2.3",
    ours={"calls": re.compile(r"(rsync .*\[--copy-unsafe-links\].*\n){2}")},
)
option(
    "delete_excluded",
    "delete_excluded=true",
    only_ours=True,
    why="2.3.1: not in 2.2.3",
    ours={"calls": re.compile(r"rsync .*\[--delete-excluded\].*\nrsync (?!.*--delete-excluded).*\n")},
)

# ---- 4.2 rsync: startup and batches
for word in ("true", "false", "'startup'", "'running'"):
    name = word.strip("'")
    live(
        f"rsync-delete-{name}",
        rsync(extra=f"delete={word},"),
        logged("Startup of"),
        unlink("f"),
        logged("Finished a list"),
        tree=("f",),
    )
# the original gives several excludes in the order of a Lua table
ORDER = [(r"/y\n\*\.x", "*.x\n/y")]
live(
    "rsync-excludes",
    rsync(extra="exclude={ '*.x', '/y' },"),
    logged("Startup of"),
    node("f"),
    node("q.x"),
    logged("Finished a list"),
    cut=ORDER,
)
live("rsync-exclude-empty", rsync(extra="exclude='',"), logged("Startup of"), node("f"), logged("Finished a list"))
live("rsync-exclude-string", rsync(extra="exclude='*.x',"), logged("Startup of"), node("f"), logged("Finished a list"))
live(
    "rsync-filters",
    rsync(extra="filter={ '+ /keep', '- /drop**' },"),
    logged("Startup of"),
    node("f"),
    logged("Finished a list"),
)
live(
    "rsync-filters-and-excludes",
    rsync(extra="filter={ '+ /keep', '- /drop**' }, exclude='*.x',"),
    logged("Startup of"),
    node("f"),
    logged("Finished a list"),
)
live(
    "rsync-excludeFrom",
    rsync(extra="excludeFrom='@BOX@/list',"),
    logged("Startup of"),
    node("f"),
    logged("Finished a list"),
    files={"list": "# note\n\n*.x\n- /y\n+ /z\n"},
    cut=ORDER,
)
live(
    "rsync-filterFrom",
    rsync(extra="filterFrom='@BOX@/list',"),
    logged("Startup of"),
    node("f"),
    logged("Finished a list"),
    files={"list": "# note\n\n+ *.x\n- /y\n"},
)
for name, target in (
    ("slash", "@TRG@/"),
    ("no-slash", "@TRG@"),
    ("relative", "trg"),
    ("colon", "trg:"),
    ("remote", "trg::mod"),
    ("double", "@TRG@//"),
):
    live(
        f"rsync-target-{name}",
        rsync().replace("@TRG@", target),
        logged("Startup of"),
        node("f"),
        logged("Finished a list"),
    )
live("rsync-source-relative", rsync().replace("@SRC@", "src"), logged("Startup of"))
live("rsync-init-false", rsync(extra="init=false,"), started(), node("f"), logged("Finished a list"))
live(
    "rsync-onMove-refused",
    rsync(extra="onMove=true,"),
    ends(),
    why="page 1.2: the message points into the user's file",
    ours={"err": lambda text: text.replace("Parameter", "@/config.lua:1: Parameter")},
)


def batch(name: str, *ops: Callable[[Box], None], **more: Any) -> None:
    """Changes that pile up while the startup is held, and so travel in one batch."""
    extra = more.pop("extra", "")
    live(
        f"batch-{name}",
        rsync(extra=extra),
        called(1),
        *ops,
        release(1),
        logged("Finished a list"),
        plan={"1": "hold"},
        **more,
    )


TREE = ("a", "b", "d/e/f", "d/g", "h/i", "k/")
batch("files", node("n"), node("d/e/n"), node("h/n"), tree=TREE)
batch("modify", chmod("a"), chmod("d/g"), tree=TREE)
batch("delete", unlink("a"), unlink("d/g"), tree=TREE)
batch("delete-directory", unlink("h/i"), rmtree("h"), tree=TREE)
batch("delete-directory-only", rmtree("k"), tree=TREE)
SEEN = "a transfer that runs may have seen a new directory before it was watched: what is gone from it by then, goes"
batch(
    "new-directory",
    mkdir("n"),
    tree=TREE,
    why=SEEN,
    ours={
        "calls": lambda text: text.replace("/n/<NUL>", "/n/***<NUL>/n/<NUL>"),
        "out": lambda text: text.replace("\n/n/\n", "\n/n/***\n/n/\n"),
    },
)
batch(
    "moved-in-tree",
    rename("../tree", "n"),
    tree=TREE,
    files={"tree/a": "x", "tree/b/c": "x"},
    sort=["out"],
    cut=[(r"<NUL>", "\n")],
    ignore=["calls"],
    why=SEEN,
    ours={"out": lambda text: text.replace("\n/n/\n", "\n/n/\n/n/***\n").replace("\n/n/b/\n", "\n/n/b/\n/n/b/***\n")},
)
batch(
    "rename",
    rename("a", "z"),
    tree=TREE,
    why="a file may take the place of one of the same size and second, which rsync would pass over",
    ours={"calls": lambda text: text.replace("[-r] [--delete]", "[-r] [--checksum] [--delete]")},
)
batch("rename-directory", rename("k", "z"), tree=TREE)
batch("attrib-directory", chmod("d", 0o700), tree=TREE)
batch("spaces", node("with space"), node("d/ lead"), node("d/trail "), tree=TREE)
batch("not-utf8", node(b"\xff\xfe"), node(b"d/\xe9t\xe9"), tree=TREE)
batch("bracket", node("[x"), tree=TREE)
batch("star", node("s*r"), tree=TREE)
batch("question", node("w?o"), tree=TREE)
batch("backslash-plain", node("b\\s"), tree=TREE)
ESCAPES = "page 6 row 11"
batch(
    "bracket-closing",
    node("x]"),
    tree=TREE,
    why=ESCAPES,
    ours={"calls": lambda text: text.replace("/x\\]", "/x]"), "out": lambda text: text.replace("/x\\]", "/x]")},
)
batch(
    "bracket-pair",
    node("[x]"),
    tree=TREE,
    why=ESCAPES,
    ours={
        "calls": lambda text: text.replace("/\\[x\\]", "/\\[x]"),
        "out": lambda text: text.replace("/\\[x\\]", "/\\[x]"),
    },
)
batch(
    "backslash-and-star",
    node("b\\s*"),
    tree=TREE,
    why=ESCAPES,
    ours={
        "calls": lambda text: text.replace("/b\\s\\*", "/b\\\\s\\*"),
        "out": lambda text: text.replace("/b\\s\\*", "/b\\\\s\\*"),
    },
)
batch("hash-and-semicolon", node("#x"), node(";y"), node("+ z"), node("- w"), tree=TREE)
batch("newline", node("a\nb"), tree=TREE)
batch("excluded", node("q.x"), node("f"), extra="exclude='*.x',", tree=TREE)
batch("many", at_once(*(node(f"d/e/n{n:03}") for n in range(40))), tree=TREE)
live(
    "batch-after-batch",
    rsync(),
    logged("Startup of"),
    node("f"),
    called(2),
    node("g"),
    node("d/h"),
    release(2),
    logged("Finished a list", 2),
    tree=("d/",),
    plan={"2": "hold"},
)
live(
    "batch-again-with-new",
    rsync(),
    logged("Startup of"),
    node("f"),
    called(2),
    node("g"),
    release(2),
    logged("Finished a list"),
    tree=("d/",),
    plan={"2": "hold; exit 3"},
)
live(
    "rsync-two-targets",
    "for _, t in ipairs{ 'one', 'two' } do\n"
    + rsync(extra="name=nil,").replace('target="@TRG@"', 'target="@TRG@/" .. t')
    + "\nend",
    logged("Startup of", 2),
    node("f"),
    logged("Finished a list", 2),
    sort=["out", "calls"],
)
live(
    "batchSizeLimit",
    rsync(extra="batchSizeLimit=100, maxProcesses=3,"),
    called(1),
    write("big", "x" * 500),
    node("f"),
    release(1),
    logged("Finished", 2),
    plan={"1": "hold"},
    only_ours=True,
    why="2.3.1: not in 2.2.3",
    ours={"calls": re.compile(r"rsync .*\n(rsync .*< \[/f<NUL>/\]\n|rsync .*/big.*\n){2,3}")},
)

# ---- 4.3 rsyncssh
SSH = 'sync{{ default.rsyncssh, source="@SRC@", host="h", targetdir="@TRG@", delay=0, {} }}'
SSH_FULL = 'ssh={ port=2222, identityFile="/i", options={ A="b" }, _extra={ "-q", "-v" } },'


def ssh(name: str, *steps: Callable[[Box], None], extra: str = "", **more: Any) -> None:
    live(f"ssh-{name}", SSH.format(extra), logged("Startup of"), *steps, **more)


STOPPED = "page 6 row 17"
MOVES = "4.3: what mv is like over there is found out once; a script on stdin, which no login shell misreads"
SHELL = 'if grep -q help "$dir/calls/$n.stdin"; then exit 81; fi'
"""What the other side's sh says of its mv."""


def moves(*pairs: tuple[str, str], arguments: str = "") -> str:
    """The calls of ssh, as a pattern: the first looks who is there, the other does these moves."""
    login = rf"ssh {arguments}\[h\] \[sh\] < "
    lines = "".join(rf"m {re.escape(one)} {re.escape(other)} \|\| f=1\n" for one, other in pairs)
    return rf"{login}\[case [^\n]*\n\]\n{login}\[{{\n(?:(?!m ')[^\n]*\n)*{lines}(?:(?!m ')[^\n]*\n)*}} </dev/null\n\]\n"


ssh("plain", node("f"), logged("Finished"))
ssh(
    "options",
    node("f"),
    logged("Finished"),
    extra=SSH_FULL,
    why="page 4.3: extras go to rsync's ssh too",
    ours={"calls": lambda text: text.replace("-p 2222]", "-p 2222 -q -v]")},
)
ssh("binary", node("f"), logged("Finished"), extra='ssh={ binary="@BIN@/tool" },')
ssh("user-host", node("f"), logged("Finished"), extra="rsync={ archive=true, _extra={ '--x' } },")
ssh("rsh", node("f"), logged("Finished"), extra="rsync={ rsh='ssh -p 99' },")
ssh("excludes", node("f"), logged("Finished"), extra="exclude={ '*.x' },")
ssh("filters", node("f"), logged("Finished"), extra="filter={ '- *.x' },")
for word in ("false", "'startup'", "'running'"):
    ssh(f"delete-{word.strip(chr(39))}", unlink("f"), logged("Finished"), extra=f"delete={word},", tree=("f",))
ssh("delete-directory", rmtree("d"), logged("Finished"), tree=("d/",))
ssh(
    "move",
    rename("a", "b"),
    logged("Finished Move"),
    tree=("a",),
    extra=SSH_FULL,
    plan={"ssh": SHELL},
    why=MOVES,
    ours={
        "calls": re.compile(
            r"rsync .*\n"
            + moves(("'' 'a'", "'' 'b'"), arguments=r"\[-i\] \[/i\] \[-o\] \[A=b\] \[-p\] \[2222\] \[-q\] \[-v\] ")
        )
    },
)
ssh(
    "move-quoted",
    rename("it's", "b $c"),
    logged("Finished Move"),
    tree=("it's",),
    plan={"ssh": SHELL},
    why=MOVES,
    ours={"calls": re.compile(r"rsync .*\n" + moves(("""'' 'it'"'"'s'""", "'' 'b $c'")))},
)
ssh(
    "move-directory",
    rename("d", "e"),
    logged("Finished Move"),
    tree=("d/x",),
    plan={"ssh": SHELL},
    why=MOVES,
    ours={
        "calls": re.compile(r"rsync .*\n" + moves(("'' 'd'", "'' 'e'"))),
        "out": re.compile(r"[^$]*Normal: Moving d/ -> e/\nNormal: Finished Move @/src//d/: 0\n[^$]*"),
    },
)
for word, insist in (("3", "true"), ("3", "false"), ("255", "true"), ("1", "true")):
    good = insist == "true" and word in ("3", "255")
    live(
        f"ssh-exit-startup-{word}-insist-{insist}",
        f"settings{{ insist={insist} }}\n" + SSH.format(""),
        logged("Startup of .* finished") if good else ends(),
        plan={"1": f"exit {word}"},
        **(
            {
                "why": STOPPED,
                "ours": {
                    "err": lambda text: text.replace(
                        "Error: Critical exitcode.", "Error: Sync1 is stopped: exit code 1"
                    )
                },
            }
            if word == "1"
            else {}
        ),
    )
live(
    "ssh-exit-startup-unknown",
    "settings{ insist=true }\n" + SSH.format(""),
    logged("Startup of .* finished"),
    plan={"1": "exit 77"},
    only_ours=True,
    why="page 6 row 17: what no table lists is tried again",
    ours={"exit": "143", "calls": re.compile("(rsync .*\n){2}"), "err": re.compile("Error: Unknown exitcode.*\n")},
)
ssh("exit-list-again", node("f"), logged("Finished"), plan={"2": "exit 12"})
ssh(
    "exit-list-die",
    node("f"),
    ends(),
    plan={"2": "exit 1"},
    why=STOPPED,
    ours={"err": lambda text: text.replace("Error: Critical exitcode.", "Error: Sync1 is stopped: exit code 1")},
)
ssh(
    "exit-move-again",
    rename("a", "b"),
    logged("Finished"),
    tree=("a",),
    plan={"ssh": f'test -s "$dir/calls/$n.stdin"; case $n$? in 21|30) exit 255 ;; esac; {SHELL}'},
    ignore=["calls"],
)
ssh(
    "exit-codes-own",
    node("f"),
    logged("Finished"),
    extra="rsyncExitCodes={ _verbatim=true, [0]='ok', [5]='ok' },",
    plan={"2": "exit 5"},
)
live(
    "ssh-exit-codes-not-verbatim",
    SSH.format("rsyncExitCodes={ [0]='ok', [5]='ok' },"),
    logged("Startup of"),
    only_ours=True,
    why="the original takes the codes for parents and dies",
    ours={"exit": "143", "err": ""},
)
live(
    "ssh-move-between-batches",
    SSH.format(""),
    logged("Startup of"),
    node("e"),
    called(2),
    node("f"),
    rename("a", "b"),
    node("g"),
    release(2),
    logged("Finished", 4),
    tree=("a",),
    plan={"2": "hold", "ssh": SHELL},
    why=MOVES,
    ours={
        "calls": re.compile(
            r"(rsync .*\n){2}rsync .*< \[/f<NUL>/\]\n" + moves(("'' 'a'", "'' 'b'")) + r"rsync .*< \[/g<NUL>/\]\n"
        )
    },
)
live(
    "ssh-move-during-startup",
    SSH.format(""),
    called(1),
    rename("a", "b"),
    release(1),
    logged("Finished"),
    tree=("a",),
    plan={"1": "hold"},
    why="the startup may have brought over what is called a by now: renaming that would put it into b's place",
    ours={
        "calls": re.compile(r"rsync .*\nrsync .*< \[/a<NUL>/<NUL>/b\]\n"),
        "out": lambda text: text.replace(
            "Moving a -> b", "Calling rsync with filter-list of new/modified files/dirs\n/a\n/\n/b"
        ).replace("Finished Move @/src//a", "Finished (list)"),
    },
)
live(
    "ssh-command-line",
    None,
    logged("Startup of"),
    args=("-nodaemon", "-rsyncssh", "@SRC@", "h", "@TRG@"),
    only_ours=True,
    why="the original would start the real ssh",
    ours={"calls": re.compile(r"rsync \[--delete\] \[--ignore-errors\] .*\[h:@/trg/\]\n")},
)
live(
    "ssh-sshopts",
    None,
    logged("Startup of"),
    args=("-nodaemon", "-rsyncssh", "@SRC@", "h", "@TRG@", "-sshopts", "-p 22 -o 'A b'"),
    only_ours=True,
    why="2.3.1: not in 2.2.3",
    ours={"calls": re.compile(r"rsync .*-p 22.*\n")},
)

# ---- 4.4 direct: the real cp, mkdir, mv and rm, confined to the sandbox
DIRECT = 'sync{{ default.direct, source="@SRC@", target="@TRG@", delay=0, {} }}'
# the original names the programs' full paths, 2.3.1 and ours look them up
# whether the last child has been collected when TERM comes is a race
SHORT = [(r"/bin/(cp|mkdir|mv|rm|sh)\b", r"\1"), (r"^Normal: waiting for 1 more child processes\.\n", "")]


def direct(name: str, *steps: Callable[[Box], None], extra: str = "", **more: Any) -> None:
    more.setdefault("cut", SHORT)
    live(f"direct-{name}", DIRECT.format(extra), logged("Startup of"), *steps, args=logs("Exec"), **more)


def there(*names: str) -> Callable[[Box], None]:
    return lambda box: box.wait(f"{names} in the target", lambda: all((box.trg / name).exists() for name in names))


def gone(*names: str) -> Callable[[Box], None]:
    return lambda box: box.wait(
        f"{names} gone from the target", lambda: not any((box.trg / name).exists() for name in names)
    )


def settled(times: int) -> Callable[[Box], None]:
    """So many programs were started and have been collected."""
    return logged("Exec: ", times)


direct("create", write("f"), there("f"), settled(3))
direct("create-directory", mkdir("d"), there("d"))
direct("create-below", write("d/f"), there("d/f"), settled(3), files={"trg/d/x": "x"}, tree=("d/",))
direct(
    "modify",
    write("f", "new"),
    lambda box: box.wait("the copy", lambda: (box.trg / "f").read_text() == "new"),
    tree=("f",),
    files={"trg/f": "old"},
)
direct("delete", unlink("f"), gone("f"), tree=("f",), files={"trg/f": "x"})
direct("delete-directory", rmtree("d"), gone("d"), tree=("d/",), files={"trg/d/x": "x"})
for word in ("false", "'startup'"):
    direct(
        f"no-delete-{word.strip(chr(39))}",
        unlink("f"),
        write("g"),
        there("g"),
        settled(3),
        tree=("f",),
        files={"trg/f": "x"},
        extra=f"delete={word},",
    )
direct("delete-running", unlink("f"), gone("f"), tree=("f",), files={"trg/f": "x"}, extra="delete='running',")


def moved(a: str, b: str, deletes: bool = True) -> dict[str, Any]:
    rest = r' \|\| .*rm -rf -- "\$1".*' if deletes else ""
    command = rf'Exec: sh \[-c\] \[mv -T -- "\$1" "\$2"{rest}\] \[sh\] \[@/trg//{a}/?\] \[@/trg//{b}/?\]\n'
    return {"why": "page 6 row 24", "ours": {"out": re.compile(rf"[^$]*finished: 0\n{command}Normal: --- TERM.*\n")}}


direct("move", rename("a", "b c"), there("b c"), gone("a"), tree=("a",), files={"trg/a": "x"}, **moved("a", "b c"))
direct(
    "move-directory",
    rename("d", "e"),
    there("e/x"),
    gone("d"),
    tree=("d/x",),
    files={"trg/d/x": "x"},
    **moved("d", "e"),
)
direct(
    "move-no-delete",
    rename("a", "b"),
    there("b"),
    gone("a"),
    tree=("a",),
    files={"trg/a": "x"},
    extra="delete=false,",
    **moved("a", "b", False),
)
direct("attrib", chmod("f"), logged("ttrib"), tree=("f",))
direct("odd-name", write("-rf *"), there("-rf *"), settled(3))
direct(
    "failing-copy",
    write("d/f"),
    mkdir("g"),
    there("g"),
    tree=("d/",),
    why="page 6 row 24",
    ours={
        "calls": re.compile("(rsync .*\n)+"),
        "err": "",  # what cp said there
        "out": re.compile(
            r"[^$]*(Exec: cp \[-p\] \[--\] \[@/src//d/f\] \[@/trg//d/\]\n)+[^$]*Exec: mkdir \[--\] \[@/trg//g/\]\n[^$]*"
        ),
    },
)
for word in ("3", "1"):
    live(
        f"direct-exit-startup-{word}",
        "settings{ insist=true }\n" + DIRECT.format(""),
        ends() if word == "1" else logged("finished"),
        plan={"1": f"exit {word}"},
        **(
            {
                "why": STOPPED,
                "ours": {
                    "err": lambda text: text.replace(
                        "Error: Critical exitcode.", "Error: Sync1 is stopped: exit code 1"
                    )
                },
            }
            if word == "1"
            else {}
        ),
    )
live(
    "direct-excludes",
    DIRECT.format("exclude='*.x',"),
    logged("Startup of"),
    node("q.x"),
    mkdir("d"),
    there("d"),
    args=logs("Exec"),
    cut=SHORT,
)
for target in ("/", ""):
    CASES.append(
        Case(
            f"direct-refuses-{'root' if target else 'empty'}",
            f'\nsync{{ default.direct, source="@SRC@", target="{target}" }}',
            only_ours=True,
            unsafe=True,
            why="4.4: the original does it",
            ours={
                "exit": "255",
                "calls": "",
                "err": re.compile(r"Error: (error preparing @/config\.lua: )?@/config\.lua:2: .*target.*\n"),
            },
        )
    )

# ---- the config of everyday: several syncs of one source, all actions at once
EVERYDAY = """
settings { logfile = "@BOX@/log", statusFile = "@BOX@/status", statusInterval = 1, nodaemon = true, insist = true, maxProcesses = 4 }
for _, server in ipairs({ "@TRG@/one", "@TRG@/two" }) do
  sync { default.rsync, source = "@SRC@", target = server, delay = 1, delete = "running",
         exclude = { "*.tmp" }, rsync = { archive = true, compress = true, _extra = { "--bwlimit=5000" } } }
end
sync { default.rsyncssh, source = "@SRC@", host = "localhost", targetdir = "@TRG@/three", delay = 1,
       ssh = { port = 2222, identityFile = "@BOX@/key", options = { StrictHostKeyChecking = "no" } } }
bash = { delay = 1, maxProcesses = 3, onCreate = "cp -r ^sourcePathname ^targetPathname", onModify = "cp -r ^sourcePathname ^targetPathname",
         onDelete = "rm -rf ^targetPathname", onMove = "mv ^o.targetPathname ^d.targetPathname",
         onStartup = [[ if [ "$(ls -A ^source)" ]; then cp -r ^source* ^target; fi ]] }
sync { bash, source = "@SRC@", target = "@TRG@/four" }
sync { source = "@SRC@", target = "@TRG@/five", delay = 1, maxProcesses = 1, onMove = true,
       action = function(inlet)
         local elist = inlet.getEvents(function(e) return e.etype ~= "Init" and e.etype ~= "Blanket" end)
         local paths = elist.getPaths(function(etype, path, path2) return "\\t" .. etype .. path, path2 end)
         log("Normal", "Processing list:\\n", table.concat(paths, "\\n"))
         spawn(elist, "/bin/cat", "<", table.concat(paths, "\\n") .. "\\n")
       end }
"""
# 2.2.3 lets the total of settings override each sync's own maxProcesses, which rsyncssh then refuses
live(
    "everyday",
    EVERYDAY.replace("maxProcesses = 4", ""),
    logged("[Ss]tartup of .* finished", 4),
    mkdir("new"),
    logged("Finished a list", 3),
    logged(r"Finished \(list\)"),
    logged("Finished Create on .*/new/ ="),
    node("new/x.tmp"),
    node("new/f"),
    logged("Finished a list", 6),
    logged(r"Finished \(list\)", 2),
    logged("Finished Create on .*/new/f ="),
    logged("Finished Create on .*/new/x.tmp ="),
    tree=("a", "d/b"),
    files={"trg/four/keep": "x"},
    sort=["out", "calls", "log"],
)
live(
    "everyday-with-a-total",
    EVERYDAY,
    logged("[Ss]tartup of .* finished", 4),
    mkdir("new"),
    logged("Finished", 5),
    tree=("a", "d/b"),
    files={"trg/four/keep": "x"},
    only_ours=True,
    why="the original refuses rsyncssh where settings has maxProcesses",
    ours={"exit": "143", "err": "", "calls": re.compile("(rsync .*\n){6}")},
)
