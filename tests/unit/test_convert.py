"""`orchestrator convert`: what is printed means the same, or nothing is printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from differential.table import CASES

from orchestrator.control import main
from orchestrator.control.dry import DryRun
from orchestrator.errors import OrchestratorError

CONFIGS = Path(__file__).resolve().parents[2] / "configs"

OTHERS = {
    "inherited tables": """local a = {default.rsync, delay = 3, rsync = {archive = true, _extra = {"--fuzzy"}}}
        sync{ {a, rsync = {bwlimit = 5}}, source = "SRC", target = "TRG", rsync = {_extra = {"--stats"}} }""",
    "numbers for true": """sync{default.rsync, source = "SRC", target = "TRG",
             rsync = {archive = 1, times = 0, perms = "x"}}""",
    "numbers as strings": """settings{statusInterval = "3", insist = 1, nodaemon = "false", "onepass"}
        sync{default.native, source = "SRC", target = "TRG", threads = 2.0, delay = "4"}
        sync{default.rsync, source = "SRC", target = "TRG", rsync = {bwlimit = "7", timeout = 3.5}}""",
    "no control socket": """settings{controlSocket = false}
        sync{default.native, source = "SRC", target = "TRG"}""",
    "a control socket": """settings{controlSocket = "BOX/socket", controlGroup = "root"}
        sync{default.native, source = "SRC", target = "TRG"}""",
    "a tunnel": """local t = tunnel{name = "t", mode = "pool", command = "ssh -NL ^localport:h:873 h",
                                checkExitCodes = {0, 3}}
        sync{default.rsync, source = "SRC", target = "rsync://localhost:^localport/m/", tunnel = t}
        tunnel{command = {"true", "\\"x\\""}}""",
    "no startup": 'sync{default.rsync, source = "SRC", target = "TRG", init = false, exclude = {}, rsync = {}}',
    "of its directory": 'print("hello") local where = "SRC" sync{default.direct, source = where, target = "TRG"}',
}
"""Configs that can be converted."""


def make_box(path: Path) -> Path:
    for name in ("src", "trg", "bin"):
        (path / name).mkdir(parents=True)
    return path


@pytest.fixture
def box(tmp_path: Path) -> Path:
    return make_box(tmp_path)


def fill(text: str, box: Path) -> str:
    for place in ("SRC", "TRG", "BIN", "BOX"):
        path = str(box if place == "BOX" else box / place.lower())
        text = re.sub(rf"@{place}@|\b{place}\b", path, text)
    return text


def checked(path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What `check` shows, without the places in the file and what only a Lua config does."""
    main(["check", "--elsewhere", str(path)])
    lines = capsys.readouterr().out.splitlines()
    return "\n".join(line for line in lines if not line.startswith("would "))


def convert(box: Path, text: str, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str, str]:
    (box / "config.lua").write_text(fill(text, box))
    status = main(["convert", "--elsewhere", *options, str(box / "config.lua")])
    return status, *capsys.readouterr()


def loads(box: Path) -> bool:
    with DryRun(str(box / "config.lua"), elsewhere=True) as run:
        try:
            run.load()
        except OrchestratorError:
            return False
        return True


ALL = {
    **{path.name: path.read_text() for path in CONFIGS.glob("*.lua")},
    **{case.name: case.config for case in CASES if case.config is not None},
    **OTHERS,
}

FILES = {case.name: case.files for case in CASES}


PARTS = 8


def converts(box: Path, name: str, capsys: pytest.CaptureFixture[str]) -> bool:
    """Whether a config has a counterpart, which does the same; else the errors have their places."""
    for file, content in FILES.get(name, {}).items():
        (box / file).parent.mkdir(parents=True, exist_ok=True)
        (box / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    status, out, err = convert(box, ALL[name], capsys)
    if status:
        assert out == "", name
        errors = [line for line in err.splitlines() if line.startswith("Error: ")]
        assert errors, name
        if loads(box):
            assert all(re.match(r"Error: /.*/config\.lua(:\d+)?: ", line) for line in errors), (name, err)
        return False
    (box / "config.toml").write_text(out)
    assert checked(box / "config.toml", capsys) == checked(box / "config.lua", capsys), name
    return True


@pytest.mark.parametrize("part", range(PARTS))
def test_what_is_converted_does_the_same_and_all_else_is_an_error_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], part: int
) -> None:
    names = list(ALL)[part::PARTS]
    converted = [name for name in names if converts(make_box(tmp_path / name.replace("/", "-")), name, capsys)]
    assert len(converted) > 4


@pytest.mark.parametrize("name", [*OTHERS, "inheritance.lua", "exitcodes.lua", "tunnel.lua", "settings.lua"])
def test_what_has_a_counterpart_is_converted(box: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert converts(box, name, capsys)


ERRORS = {
    "a function": ('sync{default.rsync, source = "SRC", target = "TRG", init = print}', 1, '"init" is a function'),
    "an alarm": ('sync{default.rsync, source = "SRC", target = "TRG"}\nalarm(now() + 5, function() end)', 2, "alarm()"),
    "a descriptor": ('sync{default.rsync, source = "SRC", target = "TRG"}\nobservefd(0, print)', 2, "observefd()"),
    "a program": ('\nos.execute("mkdir -p /x") sync{default.rsync, source = "SRC", target = "TRG"}', 2, "mkdir -p /x"),
    "a command's output": (
        'local p = io.popen("hostname") p:close()\nsync{default.rsync, source = "SRC", target = "TRG"}', 1, "hostname",
    ),
    "a changed default": ('default.delay = 7\nsync{source = "SRC", onCreate = "true"}', 2, '"delay" is not'),
    "a changed action": (
        'default.rsync.rsync.archive = true\nsync{default.rsync, source = "SRC", target = "TRG"}', 2, '"rsync" is not',
    ),
    "a changed function": (
        'default.collect = function() return "ok" end\nsync{source = "SRC", onCreate = "true"}', 2, '"collect" is not',
    ),
    "a text that is not UTF-8": ('sync{default.rsync, source = "SRC", target = "TRG\\xff"}', 1, "is not UTF-8"),
    "one of two": (
        'sync{source = "SRC", action = function(inlet) end}\nsync{default.rsync, source = "SRC", target = "TRG"}', 1,
        '"action" is a function',
    ),
}  # fmt: skip
"""What has no counterpart: the config, the line, and what is named."""


@pytest.mark.parametrize("case", ERRORS)
def test_what_cannot_be_converted_is_an_error_with_file_and_line(
    box: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    text, line, what = ERRORS[case]
    status, out, err = convert(box, text, capsys)
    assert (status, out) == (1, "")
    assert err.startswith(f"Error: {box}/config.lua:{line}: ")
    assert what in err
    assert err.count("\n") == 1


def test_what_is_written_down_as_it_was_is_said(
    box: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHERE", str(box / "src"))
    text = """local where = os.getenv("WHERE")
    local pipe = io.popen("echo 3") local delay = pipe:read("*l") pipe:close()
    sync{default.rsync, source = where, target = "TRG", delay = tonumber(delay)}"""
    assert convert(box, text, capsys)[0] == 1
    status, out, err = convert(box, text, capsys, "--for-real")
    assert status == 0
    assert "delay = 3\n" in out
    for line, told in ((1, 'os.getenv("WHERE")'), (2, 'io.popen("echo 3")')):
        said = f"{box}/config.lua:{line}: what {told} gave here and now is written down"
        assert f"# {said}\n" in out
        assert f"Warn: {said}.\n" in err
