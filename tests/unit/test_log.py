"""Where messages go and what the lines look like (spec 5.1)."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import signal
import subprocess
import sys
import syslog
import threading
import time
from typing import TYPE_CHECKING

import pytest
from loguru import logger

from orchestrator.errors import OrchestratorError, UsageError
from orchestrator.log import Log
from orchestrator.log.plugins import PluginMessages
from orchestrator.logic.message import escape
from tests.kit.clock import FakeClock
from tests.kit.need import missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import FrameType

    import loguru

WALL = 1_470_062_304.0  # Mon Aug  1 14:38:24 2016 in UTC


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def log() -> Iterator[Log]:
    log = Log(FakeClock(wall=WALL))
    yield log
    log.close()


# -- categories


def test_three_categories_are_always_shown(log: Log) -> None:
    assert [log.shows(name) for name in ("Normal", "Warn", "Error", "Exec", "Mine")] == [True, True, True, False, False]


def test_a_named_category_is_shown_others_are_not(log: Log) -> None:
    log.enable("Exec")
    log.enable("Mine")
    assert [log.shows(name) for name in ("Exec", "Mine", "Delay", "Normal")] == [True, True, False, True]


def test_all(log: Log) -> None:
    log.enable("all")
    assert log.shows("Anything")


def test_scarce_is_error_and_warn_only(log: Log) -> None:
    log.enable("Exec")
    log.enable("scarce")
    assert [log.shows(name) for name in ("Error", "Warn", "Normal", "Exec")] == [True, True, False, False]


def test_of_all_and_scarce_the_later_one_counts(log: Log) -> None:
    log.enable("all")
    log.enable("scarce")
    assert not log.shows("Normal")
    log.enable("all")
    assert log.shows("Exec")


def test_a_category_that_was_shown_is_not_shown_after_scarce(log: Log, capfd: pytest.CaptureFixture[str]) -> None:
    log("Normal", "one")
    log.enable("scarce")
    log("Normal", "two")
    assert capfd.readouterr().err == "Normal: one\n"


@pytest.mark.parametrize("name", ["bad", "", "1", "-x", " Exec"])
def test_category_must_begin_with_a_capital(log: Log, name: str) -> None:
    with pytest.raises(UsageError, match=f"^'{name}' is not a valid logging category$"):
        log.enable(name)


def test_what_is_not_shown_is_not_formatted(log: Log) -> None:
    class Costly:
        def __str__(self) -> str:
            raise AssertionError("formatted")

    log("Exec", Costly())


# -- places


def journal(monkeypatch: pytest.MonkeyPatch, fd: int) -> None:
    """As systemd says that a descriptor is the journal's."""
    stream = os.fstat(fd)
    monkeypatch.setenv("JOURNAL_STREAM", f"{stream.st_dev}:{stream.st_ino}")


def test_the_journal_is_told_priorities_line_by_line(
    log: Log, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else all were of one priority there, and `journalctl -p err` showed nothing."""
    journal(monkeypatch, 2)
    log("Warn", "before startup")
    log.configure(nodaemon=True)
    log("Error", "one\n<0>two")
    journal(monkeypatch, 1)
    log.enable("Exec")
    for category in ("Normal", "Warn", "Exec"):
        log(category, "text")
    out, err = capfd.readouterr()
    assert err == "<4>Warn: before startup\n<3>14:38:24 Error: one\n<3><0>two\n"
    assert out == "<5>14:38:24 Normal: text\n<4>14:38:24 Warn: text\n<5>14:38:24 Exec: text\n"


@pytest.mark.parametrize("named", ["", "1:2", "nonsense"])
def test_who_is_not_the_journal_sees_no_priorities(
    log: Log, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    """A shell that a service starts inherits the variable, though its terminal is another."""
    monkeypatch.setenv("JOURNAL_STREAM", named)
    log("Error", "text")
    assert capfd.readouterr().err == "Error: text\n"


def test_what_is_held_comes_in_its_order_and_holds_up_no_other_thread(log: Log, tmp_path: Path) -> None:
    log.configure(nodaemon=True, logfile=str(tmp_path / "log"))
    log("Normal", "first")
    log.hold()
    log("Normal", "second")
    log("Debug", "not shown")
    log.hold()
    log("Error", "third")
    other = threading.Thread(target=log, args=("Normal", "of a thread"))
    other.start()
    other.join()
    assert texts(tmp_path / "log") == ["Normal: first", "Normal: of a thread"]
    log.release()
    log("Normal", "last")
    log.release()
    expected = ["Normal: first", "Normal: of a thread", "Normal: second", "Error: third", "Normal: last"]
    assert texts(tmp_path / "log") == expected


def texts(path: Path) -> list[str]:
    """The lines of a log file without their times."""
    return [line[25:] for line in path.read_text().splitlines()]


def test_before_startup_everything_goes_to_stderr_without_a_time(log: Log, capfd: pytest.CaptureFixture[str]) -> None:
    log.enable("Exec")
    log("Normal", "one")
    log("Error", "two")
    log("Exec", "three")
    assert capfd.readouterr() == ("", "Normal: one\nError: two\nExec: three\n")


def test_console_error_to_stderr_all_else_to_stdout(log: Log, capfd: pytest.CaptureFixture[str]) -> None:
    log.configure(nodaemon=True)
    log("Normal", "one")
    log("Warn", "two")
    log("Error", "three")
    assert capfd.readouterr() == ("14:38:24 Normal: one\n14:38:24 Warn: two\n", "14:38:24 Error: three\n")


def test_foreground_with_a_log_file_writes_both(log: Log, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log.configure(nodaemon=True, logfile=str(tmp_path / "log"))
    log("Normal", "one")
    assert capfd.readouterr().out == "14:38:24 Normal: one\n"
    assert (tmp_path / "log").read_text() == "Mon Aug  1 14:38:24 2016 Normal: one\n"


def test_log_file_appends(log: Log, tmp_path: Path) -> None:
    (tmp_path / "log").write_text("old\n")
    log.configure(nodaemon=True, logfile=str(tmp_path / "log"))
    log("Error", "one")
    assert (tmp_path / "log").read_text() == "old\nMon Aug  1 14:38:24 2016 Error: one\n"


def test_detached_nothing_goes_to_the_console(log: Log, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log.configure(logfile=str(tmp_path / "log"))
    log("Normal", "--- Startup, daemonizing ---")
    log.detach()
    log("Normal", "one")
    log("Error", "two")
    assert capfd.readouterr() == ("14:38:24 Normal: --- Startup, daemonizing ---\n", "")
    assert (tmp_path / "log").read_text().count("\n") == 3


def test_a_detached_process_stays_off_the_console_after_a_reset(
    log: Log, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log.configure(logfile=str(tmp_path / "log"))
    log.detach()
    log.configure(logfile=str(tmp_path / "new"))
    log("Error", "one")
    assert capfd.readouterr() == ("", "")
    assert (tmp_path / "new").read_text() == "Mon Aug  1 14:38:24 2016 Error: one\n"
    assert (tmp_path / "log").read_text() == ""


def test_log_file_that_cannot_be_opened(log: Log, tmp_path: Path) -> None:
    path = tmp_path / "none" / "log"
    with pytest.raises(OrchestratorError) as caught:
        log.configure(nodaemon=True, logfile=str(path))
    assert str(caught.value) == f"Cannot open logfile [{path}]!"
    assert caught.value.exit_code == 255


@pytest.mark.timeout(20)
def test_a_fifo_is_waited_for_neither_without_nor_with_a_reader(log: Log, tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    with pytest.raises(OrchestratorError, match="Cannot open logfile"):
        log.configure(nodaemon=True, logfile=str(path))
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        log.configure(nodaemon=True, logfile=str(path))
        log("Normal", "one")
        assert os.read(reader, 1000) == b"Mon Aug  1 14:38:24 2016 Normal: one\n"
    finally:
        os.close(reader)


def test_a_fifo_that_nobody_empties_stops_nobody(log: Log, tmp_path: Path) -> None:
    """What could not be written is counted, and told when there is room again."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        log.configure(nodaemon=True, logfile=str(path))
        log("Normal", "one")
        size = fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ)
        os.write(fd, b"." * (size - 8192))
        log("Normal", "torn ", "x" * 20_000)
        begun = time.monotonic()
        for _ in range(200):
            log("Normal", "lost")
        assert time.monotonic() - begun < 10  # 200 times a tenth of a second is more
        said = os.read(fd, size)
        log("Normal", "again")
        said += os.read(fd, size)
    finally:
        os.close(fd)
    stamp = b"Mon Aug  1 14:38:24 2016"
    told = b"%s Warn: 201 messages could not be written to this file: Resource temporarily unavailable" % stamp
    assert said.startswith(b"%s Normal: one\n" % stamp)
    assert said.endswith(b"x\n%s\n%s Normal: again\n" % (told, stamp))


def test_a_link_of_somebody_else_s_is_not_followed(log: Log, tmp_path: Path) -> None:
    """Neither at the start nor when it takes the log file's place later."""
    if os.geteuid() != 0:
        missing("only root can make links of others")
    (tmp_path / "precious").write_text("precious")
    path = tmp_path / "log"

    def plant() -> None:
        path.symlink_to("precious")
        os.lchown(path, 65534, 65534)

    plant()
    with pytest.raises(OrchestratorError, match="Cannot open logfile"):
        log.configure(nodaemon=True, logfile=str(path))
    path.unlink()
    log.configure(nodaemon=True, logfile=str(path))
    path.unlink()
    plant()
    log("Normal", "one")
    path.unlink()
    log("Normal", "two")
    assert (tmp_path / "precious").read_text() == "precious"
    assert "Warn: 1 message could not be written to this file: " in path.read_text()


def test_a_new_log_file_is_not_everybody_s_to_write(log: Log, tmp_path: Path) -> None:
    umask = os.umask(0)
    log.configure(nodaemon=True, logfile=str(tmp_path / "log"))
    os.umask(umask)
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o664


def test_a_reset_that_fails_leaves_the_old_places(log: Log, tmp_path: Path) -> None:
    log.configure(nodaemon=True, logfile=str(tmp_path / "log"))
    with pytest.raises(OrchestratorError):
        log.configure(nodaemon=True, logfile=str(tmp_path / "none" / "log"))
    log("Normal", "one")
    assert (tmp_path / "log").read_text() == "Mon Aug  1 14:38:24 2016 Normal: one\n"


def test_a_relative_log_file_stays_the_same_after_chdir(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    log.configure(nodaemon=True, logfile="log")
    (tmp_path / "log").unlink()
    monkeypatch.chdir("/")
    log("Normal", "one")
    assert (tmp_path / "log").exists()


def test_logrotate_by_rename(log: Log, tmp_path: Path) -> None:
    path = tmp_path / "log"
    log.configure(nodaemon=True, logfile=str(path))
    log("Normal", "one")
    path.rename(tmp_path / "log.1")
    log("Normal", "two")
    assert (tmp_path / "log.1").read_text().endswith("Normal: one\n")
    assert path.read_text() == "Mon Aug  1 14:38:24 2016 Normal: two\n"


def test_logrotate_that_makes_the_new_file_itself(log: Log, tmp_path: Path) -> None:
    path = tmp_path / "log"
    log.configure(nodaemon=True, logfile=str(path))
    path.rename(tmp_path / "log.1")
    path.touch()
    log("Normal", "two")
    assert path.read_text() == "Mon Aug  1 14:38:24 2016 Normal: two\n"


def test_logrotate_copytruncate(log: Log, tmp_path: Path) -> None:
    path = tmp_path / "log"
    log.configure(nodaemon=True, logfile=str(path))
    log("Normal", "one")
    os.truncate(path, 0)
    log("Normal", "two")
    assert path.read_text() == "Mon Aug  1 14:38:24 2016 Normal: two\n"


def test_a_directory_that_is_gone_for_a_while(log: Log, tmp_path: Path) -> None:
    """The daemon goes on, and says so when it can again."""
    path = tmp_path / "dir" / "log"
    path.parent.mkdir()
    log.configure(nodaemon=True, logfile=str(path))
    path.unlink()
    path.parent.rmdir()
    log("Normal", "lost")
    log("Normal", "lost too")
    path.parent.mkdir()
    log("Normal", "three")
    log("Normal", "four")
    reason = os.strerror(errno.ENOENT)
    stamp = "Mon Aug  1 14:38:24 2016"
    assert path.read_text() == (
        f"{stamp} Warn: 2 messages could not be written to this file: {reason}\n"
        f"{stamp} Normal: three\n{stamp} Normal: four\n"
    )


def test_a_full_disk(tmp_path: Path) -> None:
    """A file size limit stands in for the disk: the write is cut in the middle of a line, then refused."""
    script = """
import resource, signal, sys
from orchestrator.log import Log
from tests.kit.clock import FakeClock
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
log = Log(FakeClock(wall=1_470_062_304.0))
log.configure(logfile=sys.argv[1])
log.detach()
resource.setrlimit(resource.RLIMIT_FSIZE, (50, resource.RLIM_INFINITY))
log("Normal", "one")
log("Normal", "two is cut")
log("Normal", "three")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log("Normal", "four")
"""
    subprocess.run([sys.executable, "-c", script, tmp_path / "log"], check=True)
    stamp = "Mon Aug  1 14:38:24 2016"
    assert (tmp_path / "log").read_text().splitlines() == [
        f"{stamp} Normal: one",
        "Mon Aug  1 14",
        f"{stamp} Warn: 2 messages could not be written to this file: {os.strerror(errno.EFBIG)}",
        f"{stamp} Normal: four",
    ]


def test_out_of_descriptors_the_log_file_is_still_written(log: Log, tmp_path: Path) -> None:
    log.configure(nodaemon=True, logfile=str(tmp_path / "log"))
    fds = []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, soft), hard))
    try:
        while True:
            try:
                fds.append(os.open("/dev/null", os.O_RDONLY))
            except OSError:
                break
        log("Normal", "one")
    finally:
        for fd in fds:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (tmp_path / "log").read_text() == "Mon Aug  1 14:38:24 2016 Normal: one\n"


def test_a_console_that_is_gone(log: Log, tmp_path: Path) -> None:
    log.configure(nodaemon=True, logfile=str(tmp_path / "log"))
    saved = os.dup(1)
    read, write = os.pipe()
    os.close(read)
    os.dup2(write, 1)
    os.close(write)
    try:
        log("Normal", "one")
        os.close(1)
        log("Normal", "two")
    finally:
        os.dup2(saved, 1)
        os.close(saved)
    assert (tmp_path / "log").read_text().count("\n") == 2


# -- syslog


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """What libc would be asked to send: there need not be a syslogd where tests run."""
    sent: list[tuple[object, ...]] = []
    monkeypatch.setattr(syslog, "openlog", lambda *arguments: sent.append(("open", *arguments)))
    monkeypatch.setattr(syslog, "syslog", lambda *arguments: sent.append(arguments))
    return sent


def test_syslog_where_neither_nodaemon_nor_logfile_is_set(log: Log, sent: list[tuple[object, ...]]) -> None:
    log.configure()
    log.detach()
    log.enable("Exec")
    for category in ("Normal", "Warn", "Error", "Exec"):
        log(category, "one")
    assert sent == [
        ("open", "lsyncd", 0, syslog.LOG_USER),
        (syslog.LOG_NOTICE, "Normal, one"),
        (syslog.LOG_WARNING, "Warn, one"),
        (syslog.LOG_ERR, "Error, one"),
        (syslog.LOG_NOTICE, "Exec, one"),
    ]


def test_before_it_detaches_a_daemon_speaks_to_both(
    log: Log, sent: list[tuple[object, ...]], capfd: pytest.CaptureFixture[str]
) -> None:
    log.configure()
    log("Normal", "--- Startup, daemonizing ---")
    assert sent[1:] == [(syslog.LOG_NOTICE, "Normal, --- Startup, daemonizing ---")]
    assert capfd.readouterr().out == "14:38:24 Normal: --- Startup, daemonizing ---\n"


@pytest.mark.parametrize(
    ("facility", "code"),
    [
        *(("daemon", syslog.LOG_DAEMON), ("LOCAL7", syslog.LOG_LOCAL7), (None, syslog.LOG_USER)),
        # by their own numbers, the smallest and the largest of them included, of which 8 and 16 are in syslog.h, too
        *((1, syslog.LOG_USER), (3, syslog.LOG_DAEMON), (8, syslog.LOG_UUCP), (16, syslog.LOG_LOCAL0)),
        *((0, syslog.LOG_KERN), (23, syslog.LOG_LOCAL7)),
        # as in syslog.h
        *((24, syslog.LOG_DAEMON), (184, syslog.LOG_LOCAL7)),
    ],
)
def test_facility_and_ident(log: Log, sent: list[tuple[object, ...]], facility: str | int | None, code: int) -> None:
    log.configure(facility=facility, ident="mirror")
    assert sent == [("open", "mirror", 0, code)]


@pytest.mark.parametrize("facility", ["bogus", "", -1, -8, 25, 192, 10**9])
def test_unknown_facility(log: Log, sent: list[tuple[object, ...]], facility: str | int) -> None:
    with pytest.raises(OrchestratorError, match=f"^Logging facility '{facility}' unknown.$"):
        log.configure(facility=facility)
    assert sent == []


def test_syslog_takes_any_bytes(log: Log, sent: list[tuple[object, ...]]) -> None:
    log.configure()
    log("Normal", b"/\xff\xfe")
    assert sent[1:] == [(syslog.LOG_NOTICE, "Normal, /\\xff\\xfe")]


@pytest.mark.parametrize("settings", [{"nodaemon": True}, {"logfile": "/dev/null"}])
def test_no_syslog_otherwise(
    log: Log, sent: list[tuple[object, ...]], settings: dict[str, object], capfd: pytest.CaptureFixture[str]
) -> None:
    log.configure(**settings)  # type: ignore[arg-type]
    log("Normal", "one")
    assert sent == []


# -- messages


def test_parts_are_put_together_without_spaces(log: Log, capfd: pytest.CaptureFixture[str]) -> None:
    log("Normal", "a", 1, b"b", None, True, False, 1.5)
    assert capfd.readouterr().err == "Normal: a1b(nil)(true)(false)1.5\n"


@pytest.mark.parametrize("text", ["{}", "{0} {x}", "<red>x</red>", "%s %d", "\\", "{", "}}"])
def test_nothing_in_a_message_is_a_format(log: Log, capfd: pytest.CaptureFixture[str], text: str) -> None:
    log("Normal", text)
    assert capfd.readouterr().err == f"Normal: {text}\n"


def test_newlines_are_written_as_they_are(log: Log, capfd: pytest.CaptureFixture[str]) -> None:
    log("Normal", "list:\n/a\n\t/b\n\n/c 10:10:10 x")
    assert capfd.readouterr().err == "Normal: list:\n/a\n\t/b\n\n/c 10:10:10 x\n"


def test_bytes_that_are_no_text_are_written_as_they_are(log: Log, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    log("Normal", b"/\xff\xfe\xa0", "\udcff", "ä")
    assert capfdbinary.readouterr().err == b"Normal: /\xff\xfe\xa0\xff\xc3\xa4\n"


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a\n10:10:10 Error: x", "a\\n10:10:10 Error: x"),
        ("a\nMon Aug  1 14:38:24 2016 Error: x", "a\\nMon Aug  1 14:38:24 2016 Error: x"),
        ("a\nMon Aug 12 14:38:24 2016 Error: x", "a\\nMon Aug 12 14:38:24 2016 Error: x"),
        ("a\n\n10:10:10 Error: x\n/b", "a\n\\n10:10:10 Error: x\n/b"),
        ("a\r10:10:10 Error: x", "a\\r10:10:10 Error: x"),
        ("\x1b[2K\x1b[1A", "\\x1b[2K\\x1b[1A"),
        ("\x00\x07\x08\x0b\x0c\x7f", "\\x00\\x07\\x08\\x0b\\x0c\\x7f"),
        ("\x85\x9b31m", "\\x85\\x9b31m"),
        ("a\u202810:10:10 x", "a\\u202810:10:10 x"),
        # a byte alone that a terminal may take for the beginning of a sequence
        ("\udc9b31m \udc80", "\\x9b31m \\x80"),
        ("/exe.\u202etxt \u2066\u200e\u061c", "/exe.\\u202etxt \\u2066\\u200e\\u061c"),
        ("a\nError: x", "a\\nError: x"),
        ("a\nWarn, x\n/b", "a\\nWarn, x\n/b"),
        ("a\nErrors, all of them\n/<3>", "a\nErrors, all of them\n/<3>"),
        ("ä é – € 日本 Ж", "ä é – € 日本 Ж"),
    ],
)
def test_no_line_can_be_forged(text: str, escaped: str) -> None:
    assert escape(text) == escaped


def test_a_stray_surrogate_does_no_harm(log: Log, capfd: pytest.CaptureFixture[str]) -> None:
    log("Normal", "\ud800x")
    assert capfd.readouterr().err == "Normal: \\ud800x\n"


def test_a_category_that_a_user_invents(log: Log, capfd: pytest.CaptureFixture[str]) -> None:
    log.enable("all")
    log("Mine {}\n10:10:10 Error", "x")
    assert capfd.readouterr().err == "Mine {}\\n10:10:10 Error: x\n"


def test_a_list_of_many_paths_arrives_whole(log: Log, tmp_path: Path) -> None:
    log.configure(logfile=str(tmp_path / "log"))
    log.detach()
    paths = "\n".join(f"/directory/{number}" for number in range(100_000))
    log("Normal", "list:\n", paths)
    assert (tmp_path / "log").read_text() == f"Mon Aug  1 14:38:24 2016 Normal: list:\n{paths}\n"


def test_from_several_threads_no_line_is_torn(log: Log, tmp_path: Path) -> None:
    log.configure(logfile=str(tmp_path / "log"))
    log.detach()

    def say(name: str) -> None:
        for _ in range(200):
            log("Normal", name * 50)

    threads = [threading.Thread(target=say, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = (tmp_path / "log").read_text().splitlines()
    assert sorted(lines) == sorted(f"Mon Aug  1 14:38:24 2016 Normal: {name * 50}" for name in "abcd" * 200)


def test_a_message_that_comes_while_another_is_written_is_written_after_it() -> None:
    """A signal handler may log, and so may a `__del__`: loguru itself refuses that."""
    lines: list[str] = []

    def sink(message: loguru.Message) -> None:
        if "first" in message:
            log("Warn", "from within")
            log("Warn", "and again")
        lines.append(message)

    log = Log(sink=sink)
    log("Normal", "first")
    log("Normal", "second")
    assert lines == ["Normal: first\n", "Warn: from within\n", "Warn: and again\n", "Normal: second\n"]


def test_what_a_signal_handler_raises_while_a_message_is_written_is_not_lost() -> None:
    lines: list[str] = []

    def handle(signum: int, frame: object) -> None:
        raise InterruptedError("by a signal")

    def sink(message: loguru.Message) -> None:
        lines.append(message)
        if "first" in message:
            signal.raise_signal(signal.SIGUSR1)

    log = Log(sink=sink)
    old = signal.signal(signal.SIGUSR1, handle)
    try:
        with pytest.raises(InterruptedError):
            log("Normal", "first")
    finally:
        signal.signal(signal.SIGUSR1, old)
    log("Normal", "second")
    assert lines == ["Normal: first\n", "Normal: second\n"]


def test_while_places_are_replaced_no_line_is_lost_nor_written_twice(log: Log, tmp_path: Path) -> None:
    log.configure(logfile=str(tmp_path / "0"))
    log.detach()
    is_over = threading.Event()
    count = 0

    def write() -> None:
        nonlocal count
        while not is_over.is_set():
            log("Normal", count)
            count += 1

    thread = threading.Thread(target=write)
    thread.start()
    for number in range(1, 50):
        log.configure(logfile=str(tmp_path / str(number)))
    is_over.set()
    thread.join()
    numbers = [
        int(line.rpartition(" ")[2])
        for number in range(50)
        for line in (tmp_path / str(number)).read_text().splitlines()
    ]
    assert numbers == list(range(count))


def test_a_forked_process_logs_though_a_thread_was_writing(tmp_path: Path) -> None:
    script = """
import os, sys, threading
from orchestrator.log import Log
log = Log()
log.configure(logfile=sys.argv[1])
log.detach()
is_over = threading.Event()
def write():
    while not is_over.is_set():
        log("Normal", "from the thread")
thread = threading.Thread(target=write)
thread.start()
for number in range(20):
    child = os.fork()
    if child == 0:
        log("Normal", "child ", number)
        os._exit(0)
    os.waitpid(child, 0)
is_over.set()
thread.join()
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", script, tmp_path / "log"], check=True, timeout=60)
    text = (tmp_path / "log").read_text()
    assert [number for number in range(20) if f"Normal: child {number}\n" not in text] == []


# -- what it costs


def python_calls(work: Callable[[], None]) -> int:
    """Calls of Python functions that the work makes, its own one left out."""
    count = -1

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def test_a_category_that_nobody_asked_for_stops_before_loguru(log: Log) -> None:
    assert python_calls(lambda: log("Exec", b"/usr/bin/rsync", 1)) == 2


def test_a_line_in_the_log_file_costs_little_beside_loguru(log: Log, tmp_path: Path) -> None:
    """loguru's own part is 8 calls, the clock of this test one."""
    log.configure(logfile=str(tmp_path / "log"))
    log.detach()
    log("Normal", "one")
    assert python_calls(lambda: log("Normal", "one")) <= 20


# -- plugins that use loguru


@pytest.fixture
def messages(log: Log) -> Iterator[PluginMessages]:
    """Connects loguru to `log`. All sinks that a test adds are removed afterwards."""
    logger.configure(patcher=lambda record: None, activation=[("", True)])
    log.configure(nodaemon=True)
    messages = PluginMessages(log)
    messages.connect()
    yield messages
    logger.remove()
    logger.configure(patcher=lambda record: None, activation=[("", True)])


@pytest.mark.usefixtures("messages")
def test_what_a_plugin_logs_through_loguru_has_our_form(log: Log, capfd: pytest.CaptureFixture[str]) -> None:
    logger.trace("nobody asked")
    logger.debug("nobody asked")
    logger.info("pushed {} files", 3)
    logger.success("done")
    logger.warning("slow")
    logger.error("<red>{}</red>\n14:38:24 Normal: forged")
    logger.critical("to curl -u name:secret")
    assert capfd.readouterr() == (
        "14:38:24 Normal: pushed 3 files\n14:38:24 Normal: done\n14:38:24 Warn: slow\n",
        "14:38:24 Error: <red>{}</red>\\n14:38:24 Normal: forged\n14:38:24 Error: to curl -u name:***\n",
    )


@pytest.mark.parametrize(
    ("named", "shown"),
    [
        ([], ["Normal: 20", "Error: 40"]),
        (["Debug"], ["Debug: 10", "Normal: 20", "Error: 40"]),
        (["Exec"], ["Exec: by name", "Normal: 20", "Error: 40"]),
        (["Mine"], ["Mine: by name", "Normal: 20", "Error: 40"]),
        (["scarce"], ["Error: 40"]),
        (["all"], ["Debug: 10", "Exec: by name", "Normal: 20", "Error: 40"]),
    ],
)
def test_a_level_of_loguru_is_a_category(
    log: Log, messages: PluginMessages, capfd: pytest.CaptureFixture[str], named: list[str], shown: list[str]
) -> None:
    for name in named:
        log.enable(name)
    messages.connect()
    logger.log(10, "10")
    logger.log("Exec", "by name")
    if "Mine" in named:
        logger.log("Mine", "by name")
    logger.log(20, "20")
    logger.log(40, "40")
    out, err = capfd.readouterr()
    assert [line.partition(" ")[2] for line in (out + err).splitlines()] == shown


def test_what_nobody_asked_for_costs_a_plugin_little(log: Log, messages: PluginMessages) -> None:
    assert python_calls(lambda: logger.debug("nobody asked")) == 2
    log.enable("scarce")
    messages.connect()
    assert python_calls(lambda: logger.info("nobody asked")) == 2


@pytest.mark.usefixtures("messages")
def test_an_exception_is_one_line_and_its_traceback_is_debug(log: Log, capfd: pytest.CaptureFixture[str]) -> None:
    def push(password: str) -> None:
        raise OSError("no route")

    password = "se" + "same"

    def log_it() -> None:
        try:
            push(password)
        except OSError:
            logger.exception("push failed")

    log_it()
    assert capfd.readouterr() == ("", "14:38:24 Error: push failed: OSError: no route\n")
    log.enable("Debug")
    log_it()
    out, err = capfd.readouterr()
    assert err == "14:38:24 Error: push failed: OSError: no route\n"
    assert out.startswith("14:38:24 Debug: Traceback (most recent call last):\n")
    assert f'  File "{__file__}", line {push.__code__.co_firstlineno + 1}, in push\n' in out
    assert out.endswith("\nOSError: no route\n")
    assert password not in out


@pytest.mark.usefixtures("messages")
def test_an_exception_that_cannot_be_shown_is_one_line_all_the_same(capfd: pytest.CaptureFixture[str]) -> None:
    class Wicked(Exception):
        def __str__(self) -> str:
            raise ValueError

    try:
        raise Wicked
    except Wicked:
        logger.exception("push failed")
    assert capfd.readouterr().err == "14:38:24 Error: push failed: Wicked\n"


@pytest.mark.parametrize(
    "does",
    [
        lambda: logger.remove(),
        lambda: logger.disable(""),
        lambda: logger.configure(handlers=[], patcher=lambda record: record.update(message="changed")),
        lambda: logger.configure(activation=[("", False)]),
        lambda: logger.level("Normal", color="<red>") and None,
    ],
    ids=["remove", "disable", "configure", "activation", "level"],
)
def test_nothing_that_a_plugin_does_to_loguru_changes_the_daemon_s_own_lines(
    log: Log, messages: PluginMessages, capfd: pytest.CaptureFixture[str], does: Callable[[], object]
) -> None:
    does()
    log("Normal", "ours")
    assert capfd.readouterr().out == "14:38:24 Normal: ours\n"


def test_a_plugin_may_have_sinks_of_its_own(
    log: Log, messages: PluginMessages, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its lines still come to the daemon's log, once each, also where it begins with `logger.remove()`, as many do."""
    own: list[str] = []
    logger.remove()
    logger.add(own.append, format="own {message}")
    messages.connect()
    messages.connect()
    logger.info("pushed")
    log("Normal", "ours")
    assert own == ["own pushed\n"]
    assert capfd.readouterr() == ("14:38:24 Normal: pushed\n14:38:24 Normal: ours\n", "")
    messages.disconnect()
    messages.disconnect()
    logger.info("pushed again")
    assert own == ["own pushed\n", "own pushed again\n"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("when", "has_default"), [("early", "1"), ("late", "1"), ("late", "0")])
def test_it_does_not_matter_when_a_plugin_imports_loguru(when: str, has_default: str) -> None:
    """Nor whether the environment keeps loguru from having its own sink, the first one, at once."""
    script = """
import sys
if sys.argv[1] == "early":
    from loguru import logger
from orchestrator.log import Log
from orchestrator.log.plugins import PluginMessages
PluginMessages(Log()).connect()
if sys.argv[1] == "late":
    from loguru import logger
logger.warning("pushed {}", 3)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, when],
        env=os.environ | {"LOGURU_AUTOINIT": has_default}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("", "Warn: pushed 3\n")


def test_what_print_has_put_into_the_buffer_comes_first() -> None:
    script = """
from orchestrator.log import Log
log = Log()
log.configure(nodaemon=True)
print("one")
log("Normal", "two")
print("three")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    first, second, third = done.stdout.splitlines()
    assert (first, second[9:], third) == ("one", "Normal: two", "three")


# -- changed while it runs


def test_categories_come_and_go(log: Log, capfd: pytest.CaptureFixture[str]) -> None:
    log.change(["Exec", "Delay"], [])
    log("Exec", "one")
    log.change([], ["Exec"])
    log("Exec", "two")
    log.change(["Exec"], ["Delay"])
    log("Exec", "three")
    log("Delay", "four")
    assert capfd.readouterr().err == "Exec: one\nExec: three\n"
    assert log.shown() == ["Error", "Exec", "Normal", "Warn"]


@pytest.mark.parametrize(
    ("on", "off", "shown"),
    [
        (["all"], [], [True, True, True]),
        (["all"], ["all"], [True, False, True]),
        (["scarce"], [], [False, False, True]),
        (["scarce"], ["scarce"], [True, False, True]),
        (["all", "scarce"], [], [False, False, True]),
        (["Exec"], ["scarce"], [True, True, True]),
        (["Normal", "Error"], [], [True, False, True]),
    ],
)
def test_all_and_scarce_are_as_on_the_command_line(log: Log, on: list[str], off: list[str], shown: list[bool]) -> None:
    log("Exec", "not shown")
    log("Normal", "shown")
    log.change(on, [])
    log("Normal", "perhaps")
    log.change([], off)
    assert [log.shows(name) for name in ("Normal", "Exec", "Error")] == shown


def test_what_was_shown_before_is_not_shown_with_scarce(log: Log, capfd: pytest.CaptureFixture[str]) -> None:
    log("Normal", "one")
    log.change(["scarce"], [])
    log("Normal", "two")
    log.change([], ["scarce"])
    log("Normal", "three")
    assert capfd.readouterr().err == "Normal: one\nNormal: three\n"


@pytest.mark.parametrize(
    ("on", "off", "message"),
    [
        (["Exec", "Exex"], [], r'^there is no category "Exex"; there are: all, scarce, Alarm, .*, Tunnel$'),
        (["exec"], [], "there is no category"),
        ([], ["Mine"], "there is no category"),
        (["Exec"], ["Normal"], '^Normal cannot be turned off; "scarce" shows Error and Warn only$'),
    ],
)
def test_a_wrong_category_changes_nothing(log: Log, on: list[str], off: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        log.change(on, off)
    assert not log.shows("Exec")


def test_a_category_of_the_users_own_is_known_once_it_was_named(log: Log) -> None:
    log.enable("Mine")
    log.change([], ["Mine"])
    assert not log.shows("Mine")


def test_messages_are_heard_as_they_are_shown(log: Log, capfd: pytest.CaptureFixture[str]) -> None:
    heard: list[tuple[str, str]] = []
    with log.heard(lambda category, text: heard.append((category, text))):
        log("Normal", "with ", b"\x1b", " in it")
        log("Exec", "not shown")
    log("Normal", "later")
    assert heard == [("Normal", "with \\x1b in it")]
    assert capfd.readouterr().err == "Normal: with \\x1b in it\nNormal: later\n"
