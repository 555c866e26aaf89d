"""maxDelete: a full run that would delete too much is refused, by every action that makes full runs (spec 6 row 22)."""

from __future__ import annotations

import json
import os
import shutil
import signal
from typing import TYPE_CHECKING

import pytest

from orchestrator.control import main
from tests.kit.daemon import Daemon, wait_until
from tests.kit.need import program
from tests.kit.sshd import Sshd
from tests.kit.trees import snapshot, text_of

if TYPE_CHECKING:
    from pathlib import Path

ACTIONS = ("rsync", "rsyncssh", "direct", "native")
THERE = 20
LEFT = 2


def fill(box: Path, name: str, count: int = THERE) -> None:
    """A target with so many files, of which the source has a few left."""
    for side, files in (("trg", count), ("src", LEFT)):
        (box / side / name / "d").mkdir(parents=True)
        for number in range(files):
            path = box / side / name / ("d/" if number % 2 else ".") / f"{number}\n*deleting"
            path.write_text(str(number))
            os.utime(path, (1e9, 1e9))


def equal(box: Path, name: str) -> bool:
    return snapshot(os.fsencode(box / "src" / name)) == snapshot(os.fsencode(box / "trg" / name))


def sync(box: Path, name: str, more: str = "", action: str | None = None) -> str:
    target = "" if action == "rsyncssh" or name == "rsyncssh" else f'target = "{box}/trg/{name}",'
    source = f'source = "{box}/src/{name}"'
    return f'sync{{default.{action or name}, name = "{name}", {source}, {target} delay = 0, {more}}}\n'


def over_ssh(sshd: Sshd) -> str:
    return f"""host = "{sshd.user}@127.0.0.1", targetdir = "{sshd.box}/trg/rsyncssh",
        ssh = {{port = {sshd.port}, identityFile = "{sshd.key}",
               options = {{UserKnownHostsFile = "{sshd.known_hosts}", BatchMode = "yes"}}}}"""


def ask(box: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, object]]:
    capsys.readouterr()
    main(["status", "--json", "--socket", str(box / "socket")])
    return {sync["name"]: sync for sync in json.loads(capsys.readouterr().out)["syncs"]}


@pytest.mark.row(22)
def test_a_source_that_lost_nearly_all_is_not_mirrored_until_it_is_right_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    box = tmp_path
    program("rsync")
    for name in (*ACTIONS, "free", "few"):
        fill(box, name, LEFT + 3 if name == "few" else THERE)
    with Sshd(box) as sshd:
        lua = f'settings{{insist = false, maxDelete = "25%", controlSocket = "{box}/socket"}}\n'
        lua += "".join(sync(box, name, over_ssh(sshd) if name == "rsyncssh" else "") for name in ACTIONS)
        lua += sync(box, "free", "maxDelete = false", action="rsync") + sync(box, "few", "maxDelete = 3", "native")
        with Daemon(box, lua=lua) as daemon:
            for name in ACTIONS:
                daemon.wait_for(f"Error: a full run of {name} would delete 18 of 21 files on ")
            assert daemon.said().count("maxDelete allows 5 (25%). Nothing is deleted.") == 4
            wait_until(lambda: equal(box, "free") and equal(box, "few"), "those that may")
            for name in ACTIONS:
                assert len(snapshot(os.fsencode(box / "trg" / name))) == THERE + 1
                (box / "src" / name / "new").write_text("waits")
            wait_until(lambda: ask(box, capsys)["native"]["waiting"] in (2, 3), "the changes to wait")
            states = ask(box, capsys)
            for name in ACTIONS:
                assert states[name]["state"] == "retrying"
                cause = states[name]["last_error"]["cause"]  # type: ignore[index]
                assert cause.startswith(f"a full run of {name} would delete 18 of 21 files on ")
            for name in ACTIONS:
                shutil.copytree(box / "trg" / name, box / "src" / name, dirs_exist_ok=True)
            wait_until(lambda: all(equal(box, name) for name in ACTIONS), f"equal trees; it said:\n{daemon.said()}", 20)
            wait_until(lambda: {one["state"] for one in ask(box, capsys).values()} == {"in sync"}, "all in sync")
            assert all((box / "trg" / name / "new").exists() for name in ACTIONS)
            assert daemon.said().count("Error: ") == 4, "told once, however often it was counted"


@pytest.mark.parametrize("action", ["rsync", "native"])
def test_a_full_run_later_on_holds_the_sync_and_nothing_else(tmp_path: Path, action: str) -> None:
    box = tmp_path
    fill(box, "one", LEFT)
    fill(box, "other", LEFT)
    lua = f"""
    local one = {sync(box, "one", "maxDelete = 3, maxProcesses = 4", action)}
    {sync(box, "other", "", action)}
    local function look()
        local file = io.open("{box}/go")
        if file then file:close() one.createFullEvent() else alarm(now() + 0.1, look) end
    end
    alarm(now(), look)
    """
    with Daemon(box, lua=lua) as daemon:
        daemon.wait_for("Startup of", 2)
        for number in range(4):
            (box / f"trg/one/extra{number}").write_text("")
        (box / "go").write_text("")
        daemon.wait_for("would delete 4 of 7 files on")
        for name in ("one", "other"):
            (box / f"src/{name}/new").write_text("new")
        wait_until(lambda: equal(box, "other"), "the other sync")
        assert not (box / "trg/one/new").exists()
        (box / "trg/one/extra0").unlink()
        wait_until(lambda: equal(box, "one"), f"the first sync; it said:\n{daemon.said()}")


def test_what_stands_around_a_batch_is_told_and_a_reset_looks_again_at_once(tmp_path: Path) -> None:
    box = tmp_path
    fill(box, "native")
    toml = f"""
    [settings]
    maxDelete = LIMIT
    [[sync]]
    action = "native"
    name = "native"
    source = "{box}/src/native"
    target = "{box}/trg/native"
    delay = 100
    onBatchStart = "echo start >>{box}/told"
    onBatchEnd = "echo ^exitcode ^verdict >>{box}/told"
    """
    with Daemon(box, toml=toml.replace("LIMIT", '"80%"')) as daemon:
        daemon.wait_for("would delete 18 of 21 files on")
        wait_until(lambda: text_of(box / "told") == "start\n25 again\n", "both commands")
        (box / "config.toml").write_text(toml.replace("LIMIT", '"90%"'))
        daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: equal(box, "native"), f"the full run; it said:\n{daemon.said()}")
        wait_until(lambda: text_of(box / "told") == "start\n25 again\nstart\n0 ok\n", "both commands")


def test_with_onepass_nobody_waits(tmp_path: Path) -> None:
    fill(tmp_path, "native")
    with Daemon(tmp_path, "-onepass", lua="settings{maxDelete = 1}\n" + sync(tmp_path, "native")) as daemon:
        assert daemon.wait() == 255
        assert "would delete 18 of 21 files" in daemon.said()
        assert "native is stopped: with onepass nobody would wait for that" in daemon.said()
    assert len(snapshot(os.fsencode(tmp_path / "trg/native"))) == THERE + 1


def test_a_dry_run_that_cannot_be_made_is_a_transfer_that_failed(tmp_path: Path) -> None:
    fill(tmp_path, "rsync")
    more = 'maxDelete = 1, rsync = {binary = "/no/such/rsync"}'
    with Daemon(tmp_path, lua=sync(tmp_path, "rsync", more)) as daemon:
        assert daemon.wait() == 255
        assert "Error: Failed executing [ /no/such/rsync ]!" in daemon.said()
        assert 'Terminating since "insist" is not set.' in daemon.said()


def test_who_has_no_full_runs_of_ours_is_named(tmp_path: Path) -> None:
    fill(tmp_path, "native")
    layer3 = f'sync{{name = "shell", source = "{tmp_path}/src", onCreate = "true"}}\n'
    with Daemon(tmp_path, lua='settings{maxDelete = "99%"}\n' + sync(tmp_path, "native") + layer3) as daemon:
        daemon.wait_for("Warn: the setting maxDelete has no say over shell: what they run deletes as it likes.")
        daemon.wait_for("Startup of")


@pytest.mark.parametrize(
    ("setting", "key", "words"),
    [
        ('maxDelete = "lots"', "", 'setting "maxDelete" must be a number >= 0 or a percentage like "10%", not "lots".'),
        ("maxDelete = -1", "", 'setting "maxDelete" must be a number >= 0'),
        ("", 'maxDelete = "110%"', 'Parameter "maxDelete" must be a number >= 0 or a percentage like "10%".'),
    ],
)
def test_what_is_no_number_is_refused_at_the_start(tmp_path: Path, setting: str, key: str, words: str) -> None:
    fill(tmp_path, "native")
    with Daemon(tmp_path, lua=f"settings{{{setting}}}\n" + sync(tmp_path, "native", key)) as daemon:
        assert daemon.wait() == 255
        assert words in daemon.said()
