"""The page of `orchestrator serve` in a real browser, with a real daemon at work.

`SCREENSHOT=contrib/page.png make tests ARGS="tests/e2e/test_page.py --basetemp=/tmp/demo -n 0"` makes the picture of
the documents anew.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.kit.daemon import ROOT, Daemon, wait_until
from tests.kit.need import program
from tests.kit.web import TOKEN, Server, serving, token_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

HOSTILE = "<img src=x onerror=document.title='owned'>"

# a sync whose transfers last until there is a file of its name beside it, and then succeed or fail
SYNC = """
sync{{ name = "{name}", source = "{box}/{name}", target = "{box}/copies/{name}", delay = 0, maxProcesses = 1,
  onStartup = "true", onCreate = "{box}/work {name} ^pathname", onModify = "{box}/work {name} ^pathname" }}
"""
WORK = """#!/bin/sh
while [ ! -e "{box}/$1.go" ] && [ ! -e "{box}/$1.fail" ]; do sleep 0.02; done
[ -e "{box}/$1.go" ]
"""

pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """One browser for all tests: it takes seconds to start."""
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service

    profile = tmp_path_factory.mktemp("chromium")
    options = webdriver.ChromeOptions()
    options.binary_location = program("chromium")
    for word in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "window-size=1200,900"):
        options.add_argument(f"--{word}")
    options.add_argument(f"--user-data-dir={profile}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = Service(
        program("chromedriver"), env={**os.environ, "HOME": str(profile), "XDG_CONFIG_HOME": str(profile)}
    )
    browser = webdriver.Chrome(options, service)
    yield browser
    browser.quit()


class Page:
    """What a user sees, and can do."""

    def __init__(self, browser: Chrome, server: Server) -> None:
        self._browser = browser
        self.complaints()  # of the pages before
        browser.get(server.url)

    def one(self, selector: str) -> WebElement:
        return self._browser.find_element("css selector", selector)

    def text(self, selector: str) -> str:
        """The text that is on the screen; none where there is no such element."""
        # asked of the browser in one go: the page may change between two questions
        script = "const found = document.querySelector(arguments[0]); return found ? found.innerText : ''"
        return str(self._browser.execute_script(script, selector))

    def states(self) -> dict[str, str]:
        """Sync → state, as the table has them."""
        script = """return [...document.querySelectorAll('.syncs tbody tr')].filter((row) => row.checkVisibility()).map(
            (row) => [row.querySelector('th').innerText, row.querySelector('.state').innerText])"""
        return dict(self._browser.execute_script(script))

    def wait_for(self, **states: str) -> None:
        """Until these syncs are in these states."""
        wait_until(lambda: states.items() <= self.states().items(), f"{states}, not {self.states()}")

    def waiting(self) -> int:
        """Changes that wait, as the summary has them."""
        found = re.search(r"(\d+) changes? waiting", self.text("#summary"))
        return int(found[1]) if found else -1

    def press(self, sync: str, command: str) -> None:
        self.one(f"[aria-label='Steer {sync}'] [data-command='{command}']").click()

    def sign_in(self, token: str = TOKEN) -> None:
        wait_until(lambda: self.one("#sign").is_displayed(), "the button to sign in")
        self.one("#sign").click()
        self.one("#token").send_keys(token + "\n")

    def open(self, sync: str) -> None:
        for button in self._browser.find_elements("css selector", ".syncs tbody th button"):
            if button.text == sync:
                button.click()
                return
        raise AssertionError(f"there is no sync {sync}")

    def complaints(self) -> list[str]:
        """Errors of the browser: scripts that fail, things that the page may not load."""
        entries = self._browser.get_log("browser")  # type: ignore[no-untyped-call]
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]


class World(NamedTuple):
    box: Path
    page: Page
    server: Server

    def change(self, sync: str, name: str = "file") -> None:
        (self.box / sync / name).write_text("content")

    def let(self, sync: str, end: str = "go") -> None:
        """Its transfers end well (`go`), or fail (`fail`)."""
        (self.box / f"{sync}.{end}").touch()


def config(box: Path, *syncs: str) -> str:
    for name in syncs:
        (box / name).mkdir(exist_ok=True)
    (box / "work").write_text(WORK.format(box=box))
    (box / "work").chmod(0o755)
    settings = f'settings{{ controlSocket = "{box}/control.sock" }}\n'
    return settings + "".join(SYNC.format(name=name, box=box) for name in syncs)


@contextmanager
def world(box: Path, browser: Chrome, *syncs: str) -> Iterator[World]:
    """A daemon with these syncs, a server with a token, and a page that shows them all in sync."""
    with (
        Daemon(box, lua=config(box, *syncs)),
        serving(box, "--socket", box / "control.sock", "--token-file", token_file(box)) as server,
    ):
        page = Page(browser, server)
        page.wait_for(**dict.fromkeys(syncs, "in sync"))
        yield World(box, page, server)
        assert page.complaints() == []
        # what it says when the server goes belongs to another test
        browser.get("about:blank")


def test_states_change_on_the_screen(tmp_path: Path, chrome: Chrome) -> None:
    with world(tmp_path, chrome, "web", "mail") as here:
        here.change("web")
        here.page.wait_for(web="syncing", mail="in sync")
        assert here.page.waiting() > 0
        assert "1 running" in here.page.text(".syncs tbody tr")
        here.let("web")
        here.page.wait_for(web="in sync", mail="in sync")
        wait_until(lambda: here.page.waiting() == 0, "nothing to wait any more")


def test_a_hostile_name_is_a_name(tmp_path: Path, chrome: Chrome) -> None:
    with world(tmp_path, chrome, "web") as here:
        here.change("web", HOSTILE)
        here.change("web", "a\nb")
        here.page.wait_for(web="syncing")
        here.page.open("web")
        wait_until(lambda: HOSTILE in here.page.text("#detail"), "the name on the screen")
        wait_until(lambda: "a\\x0ab" in here.page.text("#detail"), "the name with a line end, in one line")
        assert chrome.execute_script("return document.querySelectorAll('img').length") == 0
        assert chrome.title == "lsyncd"
        # the dialog lives on: what ends is listed there
        here.let("web")
        ends = "#detail table[aria-label='Recent ends']"
        wait_until(lambda: HOSTILE in here.page.text(ends), "the end of the transfer")
        assert chrome.execute_script("return document.querySelectorAll('img').length") == 0
        chrome.switch_to.active_element.send_keys("\ue00c")  # Escape
        wait_until(lambda: not here.page.one("#detail").is_displayed(), "the dialog to close")


def test_pause_and_resume(tmp_path: Path, chrome: Chrome) -> None:
    with world(tmp_path, chrome, "web", "mail") as here:
        here.let("web")
        assert not here.page.one("[data-command='pause']").is_displayed()
        here.page.sign_in("not-the-token-at-all")
        wait_until(lambda: "not the token" in here.page.text("#login-trouble"), "the refusal")
        assert "401" in "".join(here.page.complaints())
        here.page.one("#token").clear()
        here.page.one("#token").send_keys(TOKEN + "\n")
        wait_until(lambda: here.page.one("[data-command='pause']").is_displayed(), "the buttons")
        here.page.press("web", "pause")
        here.page.wait_for(web="paused", mail="in sync")
        here.change("web")
        wait_until(lambda: here.page.waiting() > 0, "the change to wait")
        here.page.press("web", "resume")
        here.page.wait_for(web="in sync")
        here.page.one("#sign").click()
        wait_until(lambda: not here.page.one("[data-command='pause']").is_displayed(), "the buttons to go")


def test_the_page_recovers_when_the_daemon_and_the_server_start_again(tmp_path: Path, chrome: Chrome) -> None:
    arguments = ("--socket", tmp_path / "control.sock")
    lua = config(tmp_path, "web")
    with serving(tmp_path, *arguments) as server:
        page = Page(chrome, server)
        with Daemon(tmp_path, lua=lua):
            page.wait_for(web="in sync")
        wait_until(lambda: "no answer" in page.text("#daemons"), "the page to say that the daemon is gone")
        assert page.states() == {}
        with Daemon(tmp_path, lua=lua):
            page.wait_for(web="in sync")
    wait_until(lambda: "connection" in page.text("#trouble"), "the page to say that the server is gone")
    with Daemon(tmp_path, lua=lua), serving(tmp_path, *arguments, listen=f"127.0.0.1:{server.port}"):
        page.wait_for(web="in sync")
        wait_until(lambda: not page.one("#trouble").is_displayed(), "the trouble to be over")


def test_a_narrow_screen_and_the_keyboard(tmp_path: Path, chrome: Chrome) -> None:
    with world(tmp_path, chrome, "web", "mail") as here:
        here.let("web")
        metrics = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
        chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        try:
            assert chrome.execute_script("return document.documentElement.scrollWidth") <= 360
            here.page.one("#filter").send_keys("mai")
            wait_until(lambda: [*here.page.states()] == ["mail"], "one sync to be left")
            here.page.one("#filter").send_keys("\t\t\n")  # the next but one: the button of the only sync
            wait_until(lambda: here.page.text("#detail-heading") == "mail", "its detail")
            assert chrome.execute_script("return document.documentElement.scrollWidth") <= 360
        finally:
            chrome.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_picture(tmp_path: Path, chrome: Chrome) -> None:
    """What the picture in the documents shows is what the page shows."""
    with world(tmp_path, chrome, "docs", "mail", "shop", "web") as here:
        here.page.sign_in()
        wait_until(lambda: here.page.one("[data-command='pause']").is_displayed(), "the buttons")
        here.page.press("docs", "pause")
        here.page.wait_for(docs="paused")
        here.change("docs")
        here.change("mail")
        here.let("shop", "fail")
        here.change("shop")
        here.page.wait_for(docs="paused", mail="syncing", shop="retrying", web="in sync")
        wait_until(lambda: re.search("waiting, at most [1-9]", here.page.text("#total-picture")), "the last hour")
        picture = chrome.get_screenshot_as_png()
        # a daemon that is to end waits for what runs
        here.let("mail")
        here.let("shop")
    assert picture.startswith(b"\x89PNG")
    stored = ROOT / "contrib" / "page.png"
    assert stored.stat().st_size < 150_000
    if os.environ.get("SCREENSHOT"):
        Path(os.environ["SCREENSHOT"]).write_bytes(picture)
