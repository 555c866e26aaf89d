"""`include` in TOML: several files are one config, and errors name the file and line that are wrong."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from orchestrator.config.toml import TomlConfig, read
from orchestrator.control import main
from orchestrator.errors import ConfigError
from orchestrator.plugins import make_manager

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

OPTIONS = {name: action.options for name, action in make_manager().actions().items()}


def sync(name: str) -> str:
    return f'[[sync]]\naction = "native"\nname = "{name}"\nsource = "SRC"\ntarget = "TRG/{name}"\n'


def write(box: Path, files: Mapping[str, str]) -> str:
    """The files, with the directories they need. Gives the path of main.toml."""
    (box / "src").mkdir(exist_ok=True)
    for name, text in files.items():
        (box / name).parent.mkdir(parents=True, exist_ok=True)
        (box / name).write_text(text.replace("SRC", f"{box}/src").replace("TRG", str(box)).replace("BOX", str(box)))
    return f"{box}/main.toml"


def load(box: Path, files: Mapping[str, str], on_include: Callable[[str], None] = lambda path: None) -> TomlConfig:
    return read(write(box, files), OPTIONS, on_include=on_include)


def names(config: TomlConfig) -> list[str]:
    return [sync.values["name"] for sync in config.syncs]


def test_files_follow_in_the_order_of_their_names(tmp_path: Path) -> None:
    files = {
        "main.toml": 'include = ["conf.d/*.toml", "last.toml", "none.d/*.toml"]\n' + sync("main"),
        "conf.d/20-b.toml": sync("b"),
        "conf.d/10-a.toml": 'include = ["more/*.toml"]\n' + sync("a"),
        "conf.d/more/c.toml": sync("c"),
        "conf.d/9.toml.bak": "no TOML",
        "conf.d/.hidden.toml": "no TOML",
        "last.toml": sync("last"),
    }
    seen: list[str] = []
    config = load(tmp_path, files, seen.append)
    assert names(config) == ["main", "a", "c", "b", "last"]
    assert config.syncs[2].place == f"{tmp_path}/conf.d/more/c.toml:1"
    assert seen == [f"{tmp_path}/{name}" for name in
                    ("conf.d/10-a.toml", "conf.d/more/c.toml", "conf.d/20-b.toml", "last.toml")]  # fmt: skip


def test_a_pattern_may_be_absolute_and_a_directory_may_have_any_name(tmp_path: Path) -> None:
    box = tmp_path / "a [b]*"
    box.mkdir()
    assert names(load(box, {"main.toml": 'include = ["d/*"]', "d/x": sync("x")})) == ["x"]
    (tmp_path / "e").mkdir()
    files = {"main.toml": f'include = ["{tmp_path}/e/?.toml"]'}
    (tmp_path / "e/y.toml").write_text(sync("y"))
    assert names(load(box, files)) == ["y"]


ERRORS = {
    # what the files are, what is said (paths below BOX)
    "a key": (
        {"main.toml": 'include = ["a.toml"]', "a.toml": "\n\n[[sync]]\nsorce = 1"},
        'BOX/a.toml:4: sync[1].sorce: unknown key; did you mean "source"?',
    ),
    "syntax": (
        {"main.toml": 'include = ["a.toml"]', "a.toml": "\n= 3"},
        "error loading BOX/a.toml: BOX/a.toml: Invalid statement (at line 2, column 1)",
    ),
    "a circle": (
        {"main.toml": 'include = ["a.toml"]', "a.toml": '\ninclude = ["main.toml"]'},
        "BOX/a.toml:2: include: BOX/main.toml is read already; a file can be included only once",
    ),
    "a pattern that has the file itself": (
        {"main.toml": 'include = ["*.toml"]'},
        "BOX/main.toml:1: include: BOX/main.toml is read already; a file can be included only once",
    ),
    "the same file twice": (
        {"main.toml": 'include = ["d/a.toml", "d/../d/*.toml"]', "d/a.toml": ""},
        "BOX/main.toml:1: include: BOX/d/../d/a.toml is read already; a file can be included only once",
    ),
    "a setting in two files": (
        {"main.toml": 'include = ["a.toml"]\n[settings]\ndelay = 1', "a.toml": "[settings]\n\ndelay = 3"},
        "BOX/a.toml:3: settings.delay: is set already, at BOX/main.toml:3",
    ),
    "no such file": (
        {"main.toml": 'include = [\n"no.toml"]'},
        "BOX/main.toml:1: include: there is no file BOX/no.toml",
    ),
    "a directory": (
        {"main.toml": 'include = ["d"]', "d/a.toml": ""},
        "error loading BOX/d: Is a directory",
    ),
    "a name alone": (
        {"main.toml": 'include = "a.toml"'},
        'BOX/main.toml:1: include: must be a list of names or patterns of files, as in ["conf.d/*.toml"]',
    ),
    "a number": (
        {"main.toml": "include = [3]"},
        'BOX/main.toml:1: include: must be a list of names or patterns of files, as in ["conf.d/*.toml"]',
    ),
    "a name with NUL": ({"main.toml": 'include = ["a\\u0000"]'}, "BOX/main.toml:1: include[1]: must be without NUL"),
    "in a sync": (
        {"main.toml": '[[sync]]\ninclude = ["a.toml"]'},
        "BOX/main.toml:2: sync[1].include: unknown key",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ERRORS)
def test_an_error_names_the_right_file_and_line(tmp_path: Path, case: str) -> None:
    files, message = ERRORS[case]
    with pytest.raises(ConfigError, match=f"^{re.escape(message.replace('BOX', str(tmp_path)))}"):
        load(tmp_path, files)


def test_a_file_that_is_refused_is_not_read(tmp_path: Path) -> None:
    def refuse(path: str) -> None:
        raise ConfigError(f"{path} belongs to somebody")

    with pytest.raises(ConfigError, match=r"a\.toml belongs to somebody"):
        load(tmp_path, {"main.toml": 'include = ["a.toml"]', "a.toml": "no TOML"}, refuse)


def test_a_long_chain_of_files(tmp_path: Path) -> None:
    count = 1500
    files = {f"{number}.toml": f'include = ["{number + 1}.toml"]\n' for number in range(count)}
    files |= {"main.toml": 'include = ["0.toml"]', f"{count}.toml": sync("end")}
    assert names(load(tmp_path, files)) == ["end"]


WHOLE = {
    "main.toml": 'include = ["conf.d/*.toml"]\n[settings]\ninsist = true\n',
    "conf.d/a.toml": '[[tunnel]]\nname = "t"\ncommand = "true"\n[settings]\nmaxProcesses = 3\n' + sync("a"),
    "conf.d/b.toml": '[[sync]]\naction = "rsync"\nname = "b"\nsource = "SRC"\ntunnel = "t"\n'
    'target = "rsync://localhost:^localport/m"\n',
}


def checked(path: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The report of `check` without places, and without what it says of a slow machine."""
    assert main(["check", "--elsewhere", path]) == 0
    lines = re.sub(r"\S+\.toml:\d+", "", capsys.readouterr().out).splitlines()
    return [line for line in lines if "nothing else went on" not in line]


def test_check_and_convert_take_all_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A tunnel of one file serves the syncs of another; what is converted is one file."""
    path = write(tmp_path, WHOLE)
    report = checked(path, capsys)
    assert main(["convert", "--elsewhere", path]) == 0
    converted = capsys.readouterr().out
    assert "include" not in converted
    (tmp_path / "one.toml").write_text(converted)
    config = read(f"{tmp_path}/one.toml", OPTIONS)
    assert names(config) == ["a", "b"]
    assert [values for values, _ in config.settings] == [{"insist": True, "maxProcesses": 3}]
    assert checked(f"{tmp_path}/one.toml", capsys) == report


def test_check_names_the_included_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, {**WHOLE, "conf.d/c.toml": "\n" + sync("c").replace('source = "SRC"\n', "")})
    assert main(["check", path]) == 1
    captured = capsys.readouterr()
    assert f"{tmp_path}/conf.d/c.toml:2: source missing from sync." in captured.out + captured.err
