"""The command `orchestrator`: plugins, check, convert."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from orchestrator.config.toml import read
from orchestrator.control import main
from orchestrator.plugins import make_manager
from orchestrator.testing.plugins import declare

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def box(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "src/a file").write_text("")
    return tmp_path


def write(box: Path, text: str, name: str = "c.lua") -> str:
    path = box / name
    path.write_text(text.replace("SRC", f"{box}/src").replace("BOX", str(box)))
    return str(path)


def snapshot(box: Path) -> list[str]:
    return sorted(str(path) for path in box.rglob("*"))


def test_plugins_are_listed_with_their_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins"]) == 0
    out = capsys.readouterr().out
    assert "rsyncssh 0.1.0 (orchestrator_rsyncssh)" in out
    assert "rsync.bwlimit" in out


ALERTS = """
from orchestrator.api import Option, hookimpl
@hookimpl
def orchestrator_settings(): return {"url": Option((str,)), "tls": {"verify": Option((bool,), True)}}
"""


def test_settings_of_a_plugin(box: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    declare(box / "plugins", {"alerts": ALERTS})
    monkeypatch.syspath_prepend(str(box / "plugins"))
    assert main(["plugins"]) == 0
    assert "  settings.plugins.alerts: tls.verify, url\n" in capsys.readouterr().out
    text = 'settings{plugins = {alerts = {%s}}} sync{source = "SRC", onCreate = "true"}'
    path = write(box, text % 'url = "http://x", tls = {verify = false}')
    assert main(["check", path]) == 0
    capsys.readouterr()
    assert main(["convert", path]) == 0
    toml = capsys.readouterr().out
    assert '[settings.plugins.alerts]\nurl = "http://x"\n\n[settings.plugins.alerts.tls]\nverify = false\n' in toml
    assert main(["check", write(box, toml, "c.toml")]) == 0
    assert main(["check", write(box, text % "ulr = 1")]) == 1
    assert 'c.lua:1: settings.plugins.alerts.ulr: unknown key; did you mean "url"?' in capsys.readouterr().err


def test_check_tells_what_would_be_run_and_runs_nothing(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(
        box,
        """settings{statusFile = "BOX/status", pidfile = "BOX/pid", logfile = "BOX/log"}
        sync{default.rsync, source = "SRC", target = "BOX/trg", exclude = "*.tmp", rsync = {binary = "true"}}
        sync{source = "SRC", target = "BOX/two/", onCreate = "touch ^targetPathname", onStartup = "touch ^target/x"}""",
    )
    before = snapshot(box)
    assert main(["check", path]) == 0
    out = capsys.readouterr().out
    assert f"at startup: true --exclude-from=- --delete --ignore-errors -lst -r {box}/src/ {box}/trg/" in out
    assert "when a file changes: sh -c 'touch \"$1\"' sh" in out
    assert "/a file" in out
    assert snapshot(box) == before


def test_check_tells_what_stands_before_a_full_run(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    actions = ("rsync", "native")
    syncs = (f'sync{{default.{action}, source = "SRC", target = "BOX/trg", maxDelete = 5}}' for action in actions)
    assert main(["check", write(box, "\n".join(syncs))]) == 0
    out = capsys.readouterr().out
    assert out.count("at startup: count what would be deleted, and go on if maxDelete allows that\n") == 2
    assert "at startup: make the target equal, by itself\n" in out


def test_check_tells_what_stands_around_a_batch(
    box: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(box))
    path = write(
        box,
        """sync{default.command, source = "SRC", command = {"true", "^pathsFile"}, paths = "file",
        onBatchStart = "/bin/echo before ^count", onBatchEnd = "/bin/echo after ^verdict"}""",
    )
    before = snapshot(box)
    assert main(["check", path]) == 0
    lines = [line.strip().partition(": ")[2] for line in capsys.readouterr().out.splitlines() if "changes: " in line]
    assert lines[0] == "/bin/echo before 1"
    assert lines[1].startswith(f"true {box}/lsyncd-paths-")
    assert lines[2] == "/bin/echo after ok"
    assert snapshot(box) == before


WRONG = {
    "key": ('sync{default.rsync, source = "SRC", target = "BOX/t", targt = 1}', 'Did you mean "target"?'),
    "nested key": ('sync{default.rsync, source = "SRC", target = "x", rsync = {archiv = true}}', '"archive"?'),
    "setting": ("settings{inist = true}", 'Did you mean "insist"?'),
    "binary": (
        'sync{default.rsync, source = "SRC", target = "x", rsync = {binary = "/no/rsync"}}',
        "'/no/rsync' to run",
    ),
    "nothing": ("settings{}", "Nothing to watch!"),
    "syntax": ("sync{", "error loading"),
}


@pytest.mark.parametrize("case", WRONG)
def test_check_finds_what_is_wrong(box: Path, capsys: pytest.CaptureFixture[str], case: str) -> None:
    text, message = WRONG[case]
    assert main(["check", write(box, text)]) == 1
    captured = capsys.readouterr()
    assert message in captured.out + captured.err


def test_check_warns_of_a_target_inside_the_source(box: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text = 'sync{default.rsync, source = "SRC", target = "SRC/copy", rsync = {binary = "true"}}'
    assert main(["check", write(box, text)]) == 0
    out, err = capfd.readouterr()
    assert "lies inside" not in out
    assert f'Warn: Sync1: the target "{box}/src/copy/" lies inside the source, at "/copy/": it is left out.' in err
    # what a command does with its target nobody knows
    assert main(["check", write(box, 'sync{source = "SRC", target = "SRC/copy", onCreate = "true ^target"}')]) == 0
    assert "Warn: Sync1: the target lies inside the source: every transfer is a change of its own." in (
        capfd.readouterr().out
    )


def test_what_is_converted_means_the_same(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(
        box,
        """settings{insist = true, maxProcesses = 3}
        local mine = {default.rsync, delay = 3, rsync = {archive = true, _extra = {"--x=\\"y\\"", "ä"}}}
        sync{mine, source = "SRC", target = "BOX/t", delete = "running", exclude = {"a", "b"},
             exitcodes = {[23] = "again"}}
        sync{source = "SRC", target = "BOX/u/", onCreate = [[echo "^path" \\ 'x']]}""",
    )
    assert main(["convert", path]) == 0
    converted = capsys.readouterr().out
    options = {name: action.options for name, action in make_manager().actions().items()}
    document = read(write(box, converted, "c.toml"), options)
    assert [values for values, _ in document.settings] == [{"insist": True, "maxProcesses": 3}]
    first, second = document.syncs
    assert first.action == "rsync"
    assert first.values == {
        "source": f"{box}/src", "target": f"{box}/t", "delete": "running", "delay": 3, "exclude": ["a", "b"],
        "exitcodes": {23: "again"}, "rsync": {"archive": True, "_extra": ['--x="y"', "ä"]},
    }  # fmt: skip
    assert second.values["onCreate"] == "echo \"^path\" \\ 'x'"


def test_check_tells_what_a_reload_does(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = 'settings{reload = "changed"} sync{source = "SRC", NAME onStartup = "true"}'
    assert main(["check", write(box, text.replace("NAME", ""))]) == 0
    out = capsys.readouterr().out
    assert "on HUP: syncs that the config has changed begin anew, all others go on" in out
    assert "Warn: Sync1 is known by its number: with one more in front, a reload begins anew." in out
    assert main(["check", write(box, text.replace("NAME", 'name = "one",'))]) == 0
    assert "known by" not in capsys.readouterr().out
    assert main(["check", write(box, text.replace("changed", "some").replace("NAME", ""))]) == 1
    assert 'setting "reload" must be "all" or "changed", not "some".' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said", "status"),
    [
        (["--pid", "0"], "there is no process 0: ", 3),
        (["--pid", str(1 << 31)], f"there is no process {1 << 31}: ", 3),
        (["--pid", "OURS"], "process OURS is no daemon of this kind; it is left alone.", 3),
        (["NONE"], "NONE has no setting pidfile: name the process by --pid.", 2),
        (["OTHER"], "process OURS is no daemon of this kind; it is left alone.", 3),
        (["GONE"], "no daemon of GONE runs: BOX/gone: No such file or directory", 3),
        (["JUNK"], "BOX/junk holds no process id.", 3),
        (["--socket", "BOX/gone"], "no daemon answers at BOX/gone: No such file or directory", 3),
        (["--socket", "BOX/junk"], "BOX/junk is no socket; name the file that the setting controlSocket names.", 2),
    ],
)
def test_reload_asks_nobody_else(
    box: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str, status: int
) -> None:
    (box / "other").write_text(f"{os.getpid()}\n")
    (box / "junk").write_bytes(b"\xff\0")
    for name in ("none", "other", "gone", "junk"):
        pidfile = "" if name == "none" else f'settings{{pidfile = "{box}/{name}"}}'
        path = write(box, f'{pidfile} sync{{source = "SRC", onStartup = "true"}}', f"{name}.lua")
        arguments = [argument.replace(name.upper(), path).replace("BOX", str(box)) for argument in arguments]
        said = said.replace(name.upper(), path)
    pid = str(os.getpid())
    assert main(["reload", *(argument.replace("OURS", pid) for argument in arguments)]) == status
    assert f"Error: {said.replace('BOX', str(box)).replace('OURS', pid)}" in capsys.readouterr().err


def test_reload_of_a_config_that_does_not_load(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reload", write(box, "sync{")]) == 1
    assert "c.lua:1" in capsys.readouterr().err
