"""From a config to rsync's argument lists (spec 4.2). Pure: starts nothing, asks nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from orchestrator.api import Config, ConfigError, Target, endpoint_of, to_bytes
from orchestrator_rsync import listing
from orchestrator_rsync.filterlist import deleting_nothing_but
from orchestrator_rsync.options import ARCHIVE, LONG_OPTIONS, SHORT_FLAGS
from orchestrator_rsync.shell import Login, login_of
from orchestrator_rsync.words import options_of

if TYPE_CHECKING:
    from collections.abc import Sequence

Argument = str | bytes

_OWN_COMPARISON = frozenset({"checksum", "ignore-times", "size-only", "ignore-existing"})
"""Options that say how files are to be compared, or that they are not."""

_FOLLOWS_LINKS = frozenset({"copy-links", "copy-dirlinks", "copy-unsafe-links"})

CVS_RULES = ("--filter=:C", "--filter=-C")
"""What -C itself puts behind all other rules (rsync(1)): in a batch it must stand before the list of what changed."""

DELETE = ("--delete", "--ignore-errors")

_ANNOUNCEMENT = b"Calling rsync with filter-list of new/modified files/dirs\n"

_LIST = b"--include-from=-"
"""How a batch is given its list."""


class RsyncOptions(NamedTuple):
    """The config as far as it concerns each run. `words`: what `prepare` computed of `config.rsync`."""

    binary: str
    words: tuple[str, ...]
    names: frozenset[str]
    """Of the options among the words."""
    batch: tuple[Argument, ...]
    """How the command of a batch begins."""
    batch_rules: tuple[bytes, ...]
    """How it goes on, behind what is of this batch alone."""
    listed_batch: tuple[Argument, ...]
    """How the command of a listed batch begins."""
    listed: bool | None
    """Whether changes travel by their names alone; None: in large directories."""
    unfit: list[str]
    """Those of the options that do not go with a list of names."""
    deletes: bool
    """Whether batches delete on the target."""
    does_quick_check: bool
    """Whether rsync takes a file for unchanged where size and time are equal, and nobody wants it that way."""
    follows_links: bool
    """Whether a link to a directory is, or may be, a directory on the target."""
    has_backups: bool
    target: bytes
    login: Login | None
    """The ssh that rsync runs, if its connection can be shared."""
    batch_size_limit: float | None
    """Bytes; a larger file gets a run of its own."""


class Invocation(NamedTuple):
    """One rsync to start: its arguments, its input, and the log message that announces it."""

    argv: list[Argument]
    stdin: bytes | None
    message: bytes
    entries: Sequence[bytes] = ()
    """The list that ends the message, a line each."""


def computed(rsync: Config | None) -> list[str]:
    """`config.rsync._computed`: short flags joined, extras, long options. Raises ConfigError."""
    if rsync is None:
        return []
    archive = is_on(rsync.get("archive"))

    def wanted(key: str) -> bool:
        value = rsync.get(key)
        return archive if value is None and key in ARCHIVE else is_on(value)

    flags = "".join(letter for key, letter, _ in SHORT_FLAGS if wanted(key))
    long: list[str] = []
    if wanted("devices") and wanted("specials"):
        flags += "D"
    else:
        long += [f"--{key}" for key in ("devices", "specials") if wanted(key)]
    for key, valued, _ in LONG_OPTIONS:
        value = rsync.get(key)
        if not is_on(value):
            continue
        name = "--" + key.replace("_", "-")
        if not valued:
            long.append(name)
        elif isinstance(value, (str, int, float)) and value is not True:
            long.append(f"{name}={value}")
        else:
            raise ConfigError(f'Parameter "rsync.{key}" must be a string or a number.')
    extra = rsync.get("_extra")
    return [*([f"-{flags}"] if flags else []), *(strings(extra) if isinstance(extra, Config) else []), *long]


def full_run(
    config: Config, source: bytes, target: bytes, excludes: Sequence[bytes], filters: Sequence[bytes]
) -> Invocation:
    """Everything, recursively. `filters`, if any, are all rules as `+ p` / `- p` lines; else `excludes` is the list."""
    lead: list[Argument] = []
    stdin: bytes | None = None
    rules = b""
    if filters:
        lead = ["--filter=. -"]
        stdin = b"\n".join(filters)
        rules = b" filtering\n" + stdin
    elif excludes:
        lead = ["--exclude-from=-"]
        stdin = b"\n".join(excludes)
        rules = b" excluding\n" + stdin
    if _deletes(config, "startup"):
        lead += DELETE
    table = rsync_table(config)
    if _deletes_excluded(table):
        lead.append("--delete-excluded")
    argv = [binary(table), *lead, *computed_of(table), "-r", source, target]
    return Invocation(argv, stdin, source + b" -> " + target + rules)


def batch_run(
    options: RsyncOptions, source: bytes, entries: Sequence[bytes], *, by_checksum: bool = False
) -> Invocation:
    """Just the entries of a filter list (see filterlist.py). `by_checksum`: whatever size and time say."""
    argv: list[Argument] = [*options.batch]
    if by_checksum:
        argv.append(b"--checksum")
    argv += (*options.batch_rules, source, options.target)
    return Invocation(argv, b"\0".join(entries), _ANNOUNCEMENT, entries)


def listed_run(
    options: RsyncOptions, source: bytes, names: Sequence[bytes], *, by_checksum: bool = False, deletes: bool = False
) -> Invocation:
    """Just these names (see listing.py). `deletes`: those that the source has not go from the target."""
    argv: list[Argument] = [*options.listed_batch]
    if by_checksum:
        argv.append(b"--checksum")
    argv += (*(listing.DELETING if deletes else listing.ARGUMENTS), source, options.target)
    return Invocation(argv, b"".join(name + b"\0" for name in names), b"")


def asking_run(options: RsyncOptions, source: bytes, name: bytes) -> Invocation:
    """The dry run that shows whether listed names can be deleted (see missing.py)."""
    run = listed_run(options, source, [name], deletes=True)
    return run._replace(argv=[*run.argv[:-2], b"--dry-run", *run.argv[-2:]])


def announced(run: Invocation, entries: Sequence[bytes]) -> Invocation:
    """With the line for this filter list, as lsyncd has it."""
    return run._replace(message=_ANNOUNCEMENT, entries=entries)


def deleting_leftovers(run: Invocation, patterns: Sequence[bytes]) -> Invocation:
    """A batch that deletes nothing, made to delete what the patterns match, and nothing else."""
    at = run.argv.index(_LIST)
    argv = [*run.argv[:at], *map(to_bytes, DELETE), b"--filter=. -", *run.argv[at + 1 :]]
    entries = run.stdin.split(b"\0") if run.stdin else []
    return run._replace(argv=argv, stdin=b"\0".join(deleting_nothing_but(patterns, entries)))


def rsync_options(config: Config) -> RsyncOptions:
    """Read anew only when the config has changed: see Config.derived."""
    return config.derived(_read_options, "rsync", "delete", "target", "batchSizeLimit")


def _read_options(config: Config, *keys: str) -> RsyncOptions:
    table = rsync_table(config)
    program, words = binary(table), computed_of(table)
    names = frozenset(word.name for word in options_of(words))
    rules = [
        *(CVS_RULES if "cvs-exclude" in names else ()),
        *(DELETE if deletes_running(config) else ()),
        *("--force", "--from0", _LIST.decode(), "--exclude=*"),
    ]
    limit = config.get("batchSizeLimit")
    has_backups = any("backup" in word or "suffix" in word for word in words)
    leads = [(program, *words, *below) for below in (("-r",), listing.NOT_BELOW)]
    lead, listed_lead = leads if has_backups else [tuple(map(to_bytes, lead)) for lead in leads]
    return RsyncOptions(
        program,
        tuple(words),
        names,
        lead,  # text where dates are still to go in
        tuple(map(to_bytes, rules)),
        listed_lead,
        listing.listed_of(table),
        listing.unfit(names),
        deletes_running(config),
        does_quick_check=names.isdisjoint(_OWN_COMPARISON),
        follows_links=not names.isdisjoint(_FOLLOWS_LINKS),
        has_backups=has_backups,
        target=to_bytes(str(config.get("target", ""))),
        login=login_of(str(config.get("target", "")), words),
        batch_size_limit=limit if isinstance(limit, (int, float)) and not isinstance(limit, bool) else None,
    )


def deletes_at_startup(config: Config) -> bool:
    """Whether full runs delete anything on the target."""
    return _deletes(config, "startup") or _deletes_excluded(rsync_table(config))


def _deletes_excluded(table: Config | None) -> bool:
    return table is not None and is_on(table.get("delete_excluded"))


def deletes_running(config: Config) -> bool:
    """Whether what is deleted on the source is to be deleted on the target (`delete`)."""
    return _deletes(config, "running")


def _deletes(config: Config, when: str) -> bool:
    value = config.get("delete")
    return value is True or value == when


def with_slash(target: str) -> str:
    """A trailing slash, unless there is one or the target ends in a `:` (a home directory)."""
    return target if target.endswith(("/", ":")) else target + "/"


def binary(table: Config | None) -> str:
    return str(table.get("binary") or "rsync") if table is not None else "rsync"


def rsync_table(config: Config) -> Config | None:
    """`config.rsync`."""
    table = config.get("rsync")
    return table if isinstance(table, Config) else None


def computed_of(table: Config | None) -> list[str]:
    """What `prepare` computed of `config.rsync`, with whatever the user's code has made of it since."""
    value = table.get("_computed") if table is not None else None
    return strings(value) if isinstance(value, Config) else computed(table)


def strings(table: Config) -> list[str]:
    """The list part as arguments, tables in it spread."""
    found: list[str] = []
    for value in table.list():
        if isinstance(value, Config):
            found += strings(value)
        else:
            found.append(str(value))
    return found


def is_on(value: Any) -> bool:
    """Lua's truth: all but nil and false (`bwlimit = 0` is a bandwidth limit of 0)."""
    return value is not None and value is not False


def target_of(config: Config) -> Target:
    """Where the transfers go (Action.target), once all is computed."""
    target = str(config.get("target"))
    shown = to_bytes(target)
    deletes = deletes_at_startup(config) or deletes_running(config)
    excluded = _deletes_excluded(rsync_table(config))
    if endpoint_of(target) is None:
        return Target(shown, shown, deletes, excluded)
    host, _, path = target.rpartition("@")[2].partition(":")
    if path.startswith(":") or "//" in target.partition(":")[2][:2]:
        host = path = ""  # a module of a daemon: nobody here knows where that is
    return Target(shown, None, deletes, excluded, host, to_bytes(path), lambda name: _ask(config, name))


_WAY = frozenset(
    {"rsh", "rsync-path", "password-file", "port", "address", "sockopts", "ipv4", "ipv6", "timeout", "contimeout"}
    | {"protocol", "blocking-io", "remote-option"}
)
"""Options that say how the other side is reached."""


def _ask(config: Config, name: bytes) -> list[Argument]:
    """A run that lists one file of the target, and does nothing."""
    table = rsync_table(config)
    way = [word for word in options_of(computed_of(table)) if word.name in _WAY]
    options = [f"--{word.name}" if word.value is None else f"--{word.name}={word.value}" for word in way]
    target = to_bytes(str(config.get("target")))
    return [binary(table), *options, "--list-only", "-d", target + name]
