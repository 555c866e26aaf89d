"""The live view's screen. Draws what Picture knows, and takes keys; everything else is elsewhere."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from typing import TYPE_CHECKING, Any, ClassVar, Final

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import DataTable, Footer, Input, Static

from orchestrator.control.answer import NotOurs, time_of
from orchestrator.control.output import clean
from orchestrator.control.top.feed import Answer, Came, Feed, Gone, Heard, Said
from orchestrator.control.top.picture import BARS, IS_ASKED_FOR, IS_STATUS_OLD, PLAIN_BARS, Picture
from orchestrator.control.top.shown import PATHS, Widths, detail, head, heads, matches, outcome, row
from orchestrator.control.trouble import BAD, POOR, severity
from orchestrator.logic.words import cut, width

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestrator.control.answer import SyncAnswer
    from orchestrator.control.client import Connection

REDRAW: Final = 0.5
"""Seconds between two redraws after events, and between two requests that follow from them."""

TICK: Final = 1.0
"""Seconds after which ages are drawn anew."""

SCROLLBAR: Final = 2

LOOKS: Final = {"title": "bold underline", "good": "", "poor": "yellow", "bad": "bold red"}
"""Never by colour alone: the words say it, too."""

HELP: Final = """\
up, down      choose a sync
tab           into its details, and back; arrow and page keys scroll
p             pause it: nothing is started, changes wait; again: go on
r             a full run of it now
f             what waits goes now, without delay
v             compare target and source; changes nothing
/             show only syncs with these words in name, state or target
escape        show all again
q             quit; the daemon goes on

The last minutes are bytes moved, ten seconds in each column.

any key closes this"""


class Help(ModalScreen[None]):
    """The keys."""

    DEFAULT_CSS = """
    Help { align: center middle; }
    Help Static { width: 76; height: auto; border: solid $foreground; padding: 0 1; background: $surface; }
    """

    def compose(self) -> ComposeResult:
        yield Static(HELP, markup=False)

    def on_key(self) -> None:
        self.dismiss()


class Top(App[None]):
    """`reach()` connects to the daemon, or raises Refused; `syncs`: those to be shown (none: all)."""

    TITLE = "lsyncd"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #head { height: 1; background: $panel; text-style: bold; }
    #head.gone { text-style: bold reverse; }
    #syncs { height: auto; max-height: 50%; }
    #name { height: 1; text-style: bold; background: $panel; }
    #detail { height: 1fr; }
    #said { height: 1; }
    #filter { display: none; height: 1; border: none; padding: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "pause", "Pause"),
        Binding("r", "steer('run')", "Run"),
        Binding("f", "steer('flush')", "Flush"),
        Binding("v", "steer('verify')", "Verify"),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("q", "quit", "Quit"),
        Binding("escape", "show_all", "All", show=False),
        Binding("ctrl+c", "quit", "Quit", show=False, priority=True),
    ]

    class Arrived(Message):
        """Something has come from the daemon."""

        def __init__(self, heard: Heard) -> None:
            super().__init__()
            self.heard = heard

    def __init__(self, reach: Callable[[], Connection], syncs: Sequence[str] = ()) -> None:
        super().__init__()
        self.picture = Picture()
        self._feed = Feed(reach, syncs, lambda heard: self.post_message(Top.Arrived(heard)))
        self._may_steer = False
        self._gone: str | None = ""  # None: a daemon answers; else why none does
        self._gone_at = ""  # the time of day
        self._gone_since: float | None = None
        self._words = ""
        self._details: dict[str, dict[str, Any]] = {}
        self._ahead = 0.0  # the daemon's clock, in seconds before our monotonic one
        self._old: set[str] = set()  # syncs of which the status says more than the events
        self._is_all_old = False
        self._asked_for = list(syncs) or None
        self._is_detail_old = False
        self._is_due = False
        self._widths = Widths(80, 0)
        self._bars = BARS if (getattr(sys.__stderr__, "encoding", None) or "").lower().startswith("utf") else PLAIN_BARS

    def compose(self) -> ComposeResult:
        yield Static(id="head", markup=False)
        yield DataTable[Text](id="syncs", cursor_type="row", cell_padding=0)
        yield Static(id="name", markup=False)
        with VerticalScroll(id="detail"):
            yield Static(id="lines", markup=False)
        yield Static(id="said", markup=False)
        yield Input(id="filter", placeholder="words in name, state or target; enter keeps them, escape shows all")
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        # else the terminal stayed as the view has it
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.exit)
        self.set_interval(TICK, self._draw)
        self._feed.start()
        self._table.focus()

    def on_unmount(self) -> None:
        self._feed.close()

    # ---- from the daemon ----------------------------------------------------------------------

    def on_top_arrived(self, message: Top.Arrived) -> None:
        heard = message.heard
        if self._is_over:
            return
        try:
            if isinstance(heard, Came):
                self._came(heard)
            elif isinstance(heard, Gone):
                self._gone = heard.reason
                if self._gone_since is None:
                    self._gone_since, self._gone_at = time.monotonic(), time.strftime("%H:%M:%S")
                self._draw()
            elif isinstance(heard, Said):
                self._event(heard.event)
            else:
                self._answered(heard)
        except (NotOurs, ArithmeticError, LookupError, TypeError, ValueError):
            self._say("the daemon's answer is not understood")

    def _came(self, came: Came) -> None:
        self.picture.take_status(came.status)
        self._set_clock(came.status["daemon"]["time"])
        if self._gone_since is not None:
            self._say(f"a daemon is back, with process id {came.greeting.get('pid')}")
        self._gone = self._gone_since = None
        self._may_steer = came.greeting.get("may") == "steer"
        self._details.clear()
        self._is_detail_old = True
        self._draw()
        self._soon()

    def _event(self, event: dict[str, Any]) -> None:
        kind, name = event.get("event"), str(event.get("sync"))
        self.picture.take_event(event)
        if "time" in event:
            self._set_clock(time_of(event["time"]))
        if kind == "ending":
            self._say(f"the daemon ends: {clean(event.get('reason') or 'asked to')}")
        if kind in IS_STATUS_OLD and "sync" in event:
            self._old.add(name)
        elif kind in IS_STATUS_OLD:
            self._is_all_old = self._is_detail_old = True
        if kind in IS_ASKED_FOR and name == self._chosen():
            self._is_detail_old = True
        self._soon()

    def _answered(self, answer: Answer) -> None:
        if answer.result is None:
            if answer.command not in ("status", "detail"):
                self._say(f"{clean(answer.command)}: {clean(answer.error)}")
        elif answer.command == "status":
            self.picture.take_status(answer.result, is_part=bool(answer.syncs))
            self._draw()
        elif answer.command == "detail":
            self._details[answer.syncs[0]] = answer.result
            self._draw_detail()
        else:
            self._say(outcome(answer.command, answer.syncs, answer.result))

    def _set_clock(self, theirs: float) -> None:
        self._ahead = theirs - time.monotonic()

    def _soon(self) -> None:
        """Draw, and ask for what events do not say: soon, for all events until then."""
        if not self._is_due:
            self._is_due = True
            self.set_timer(REDRAW, self._catch_up)

    def _catch_up(self) -> None:
        self._is_due = False
        if self._is_over:
            return
        if self._gone is None:
            if self._is_all_old:
                self._is_all_old = not self._feed.ask("status", [], syncs=self._asked_for)
            elif self._old and self._feed.ask("status", sorted(self._old), syncs=sorted(self._old)):
                self._old.clear()
            chosen = self._chosen()
            if chosen is not None and (self._is_detail_old or chosen not in self._details):
                self._is_detail_old = not self._feed.ask("detail", [chosen], sync=chosen, limit=PATHS)
            if self._old or self._is_all_old or self._is_detail_old:
                self._soon()
        self._draw()

    # ---- drawing ------------------------------------------------------------------------------

    @property
    def _is_over(self) -> bool:
        """The screen is being taken down: what still comes finds no widgets."""
        return not self.query("#head, #lines, #said, #syncs")

    @property
    def _table(self) -> DataTable[Text]:
        return self.query_one("#syncs", DataTable)

    def _now(self) -> float:
        """Of the daemon's clock; it stands still while there is none."""
        return (self._gone_since or time.monotonic()) + self._ahead

    def _shown(self) -> list[SyncAnswer]:
        status = self.picture.status
        return [] if status is None else [sync for sync in status.syncs if matches(sync, self._words)]

    def _chosen(self) -> str | None:
        """The name of the sync under the cursor."""
        table = self._table
        if not table.is_valid_row_index(table.cursor_row):
            return None
        return table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value

    def _draw(self) -> None:
        if self._is_over:
            return
        status = self.picture.status
        columns = self.size.width
        top = self.query_one("#head", Static)
        top.set_class(self._gone_since is not None, "gone")
        if self._gone_since is not None and self._gone is not None:
            top.update(cut(f"the daemon has gone at {self._gone_at}, waiting for it: {clean(self._gone)}", columns))
        elif status is not None:
            top.update(head(status, columns))
        if status is not None:
            self._draw_table()
        self._draw_detail()

    def _draw_table(self) -> None:
        table, shown, now = self._table, self._shown(), self._now()
        longest = max((width(clean(sync.name)) for sync in shown), default=0)
        self._widths = Widths(self.size.width - SCROLLBAR, longest)
        titles = heads(self._widths)
        names = [sync.name for sync in shown]
        is_other = [(str(column.label), column.width) for column in table.columns.values()] != list(titles)
        if is_other or [key.value for key in table.rows] != names:
            chosen = self._chosen()
            table.clear(columns=True)
            for title, columns in titles:
                table.add_column(Text(title), width=columns, key=title)
            for sync in shown:
                table.add_row(*self._cells(sync, now), key=sync.name)
            if chosen in names:
                table.move_cursor(row=names.index(chosen))
            return
        for sync in shown:
            for (title, _), cell in zip(titles, self._cells(sync, now), strict=True):
                if table.get_cell(sync.name, title) != cell:
                    table.update_cell(sync.name, title, cell)

    def _cells(self, sync: SyncAnswer, now: float) -> list[Text]:
        cells = row(sync, self.picture.activity[sync.name], now, self._widths, self._bars)
        look = {POOR: LOOKS["poor"], BAD: LOOKS["bad"]}.get(severity(sync), "")
        return [Text(cell, style=look if place == 1 else "", no_wrap=True) for place, cell in enumerate(cells)]

    def _draw_detail(self) -> None:
        chosen, columns = self._chosen(), self.size.width - SCROLLBAR
        sync = next((sync for sync in self._shown() if sync.name == chosen), None)
        title, lines = "", Text(no_wrap=True)
        if sync is not None:
            title = cut(clean(sync.name), columns)
            for words, look in detail(sync, self._details.get(sync.name), self._now(), columns):
                lines.append(f"{words}\n", style=LOOKS.get(look, ""))
        self.query_one("#name", Static).update(title)
        self.query_one("#lines", Static).update(lines)

    def _say(self, text: str) -> None:
        self.query_one("#said", Static).update(cut(text, self.size.width))

    def on_resize(self) -> None:
        self._draw()

    def on_data_table_row_highlighted(self) -> None:
        if self._gone is None:
            self._is_detail_old = True
            self._catch_up()

    # ---- keys ---------------------------------------------------------------------------------

    def action_pause(self) -> None:
        """Pause the chosen sync, or let it go on."""
        sync = next((sync for sync in self._shown() if sync.name == self._chosen()), None)
        if sync is not None:
            self.action_steer("resume" if sync.state == "paused" else "pause")

    def action_steer(self, command: str) -> None:
        """Have the daemon do that with the chosen sync."""
        chosen = self._chosen()
        if chosen is None:
            return
        if self._gone is not None:
            self._say(f"{command}: there is no daemon")
        elif not self._may_steer:
            self._say(f"{command}: denied: this user may only look")
        elif self._feed.ask(command, [chosen], syncs=[chosen]):
            self._say(f"{clean(chosen)}: {command} …")
        else:
            self._say(f"{clean(chosen)}: {command} is under way")

    def action_filter(self) -> None:
        """Ask for words."""
        words = self.query_one("#filter", Input)
        words.display = True
        words.focus()

    def action_show_all(self) -> None:
        """End the filter."""
        self.query_one("#filter", Input).value = ""
        self.on_input_submitted()

    def on_input_changed(self, event: Input.Changed) -> None:
        self._words = event.value
        self._draw()

    def on_input_submitted(self) -> None:
        words = self.query_one("#filter", Input)
        words.display = bool(words.value)
        self._table.focus()

    def action_help(self) -> None:
        """Show the keys."""
        self.push_screen(Help())
