"""`orchestrator completion SHELL`: the completion of this command's own line, made from its parsers.

So it cannot fall behind them. contrib has the files by which bash, zsh and fish load it when it is first wanted.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.control.exits import OK
from orchestrator.control.subcommands import make_parser

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.control.output import Output


class _Option(NamedTuple):
    names: Sequence[str]
    help: str
    takes_value: bool
    takes_file: bool
    choices: Sequence[str]


class _Command(NamedTuple):
    help: str
    options: Sequence[_Option]
    takes_file: bool
    """Its arguments are files; else names that no shell knows, or `choices`."""
    choices: Sequence[str]


def run(options: argparse.Namespace, output: Output) -> int:
    """Print the script. Returns the exit status."""
    commands = dict(_commands(make_parser()))
    output.raw("\n".join({"bash": _bash, "zsh": _zsh, "fish": _fish}[options.shell](commands)))
    return OK


def _commands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, _Command]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, inner in action.choices.items():
                yield name, _command(inner, helps[name])


def _command(parser: argparse.ArgumentParser, help_text: str) -> _Command:
    given = [action for action in parser._actions if not action.option_strings]
    choices = [str(choice) for action in given for choice in action.choices or ()]
    takes_file = any(action.dest == "config" for action in given)
    return _Command(help_text, [_option(one) for one in parser._actions if one.option_strings], takes_file, choices)


def _option(action: argparse.Action) -> _Option:
    takes_value = action.nargs != 0
    takes_file = takes_value and action.metavar == "FILE"
    choices = [str(choice) for choice in action.choices or ()]
    return _Option(action.option_strings, action.help or "", takes_value, takes_file, choices)


def _bash(commands: dict[str, _Command]) -> Iterator[str]:
    yield "# completion of orchestrator(1) for bash"
    yield "_orchestrator() {"
    yield "    local cur=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}"
    yield "    local words='' files=''"
    yield "    if [ $COMP_CWORD -eq 1 ]; then"
    yield f"        mapfile -t COMPREPLY < <(compgen -W '{' '.join([*commands, '--help', '--version'])}' -- \"$cur\")"
    yield "        return"
    yield "    fi"
    yield "    case $command:$previous in"
    for name, command in commands.items():
        for option in command.options:
            if option.takes_value:
                pattern = "|".join(f"{name}:{one}" for one in option.names)
                act = "files=1" if option.takes_file else f"words='{' '.join(option.choices)}'"
                yield f"        {pattern}) {act} ;;"
    yield "        *)"
    yield "            case $command in"
    for name, command in commands.items():
        names = " ".join(one for option in command.options for one in option.names if one.startswith("--"))
        others = f"; else words='{' '.join(command.choices)}'{' files=1' if command.takes_file else ''}"
        yield f"                {name}) if [[ $cur == -* ]]; then words='{names}'{others}; fi ;;"
    yield "            esac ;;"
    yield "    esac"
    yield '    mapfile -t COMPREPLY < <(compgen -W "$words" ${files:+-f} -- "$cur")'
    yield '    [ -z "$files" ] || compopt -o filenames 2>/dev/null'
    yield "}"
    yield "complete -F _orchestrator orchestrator"


def _zsh(commands: dict[str, _Command]) -> Iterator[str]:
    yield "#compdef orchestrator"
    yield "_orchestrator() {"
    yield "    local -a commands"
    yield "    commands=("
    for name, command in commands.items():
        yield f"        {_quoted(f'{name}:{command.help}')}"
    yield "    )"
    yield "    if (( CURRENT == 2 )); then"
    yield "        _describe command commands"
    yield "        return"
    yield "    fi"
    yield "    local command=$words[2]"
    yield "    shift words; (( CURRENT-- ))"
    yield "    case $command in"
    for name, command in commands.items():
        specs = [_zsh_option(option, one) for option in command.options for one in option.names]
        end = "*:file:_files" if command.takes_file else f"*:argument:({' '.join(command.choices)})"
        yield f"        {name}) _arguments {' '.join(map(_quoted, [*specs, end]))} ;;"
    yield "    esac"
    yield "}"
    yield "(( $+functions[compdef] )) && compdef _orchestrator orchestrator"


def _zsh_option(option: _Option, name: str) -> str:
    said = "".join(f"\\{character}" if character in "[]:\\" else character for character in option.help)
    value = ""
    if option.takes_value:
        value = ":file:_files" if option.takes_file else f":value:({' '.join(option.choices)})"
    return f"{name}[{said}]{value}"


def _fish(commands: dict[str, _Command]) -> Iterator[str]:
    yield "# completion of orchestrator(1) for fish"
    yield "complete -c orchestrator -f"
    for name, command in commands.items():
        yield f"complete -c orchestrator -n __fish_use_subcommand -a {name} -d {_quoted(command.help)}"
    for name, command in commands.items():
        seen = f"complete -c orchestrator -n '__fish_seen_subcommand_from {name}'"
        if command.takes_file:
            yield f"{seen} -F"
        if command.choices:
            yield f"{seen} -a {_quoted(' '.join(command.choices))}"
        for option in command.options:
            names = " ".join(f"-l {one[2:]}" if one.startswith("--") else f"-s {one[1:]}" for one in option.names)
            value = (" -r -F" if option.takes_file else " -x") if option.takes_value else ""
            choices = f" -a {_quoted(' '.join(option.choices))}" if option.choices else ""
            yield f"{seen} {names}{value}{choices} -d {_quoted(option.help)}"


def _quoted(text: str) -> str:
    """For all three shells; a help text has no apostrophe that could not be another character."""
    return "'" + text.replace("'", "’") + "'"
