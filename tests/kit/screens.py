"""What is on the screen of an app of textual, as text."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.app import App

_SPAN = re.compile(r'<text class="([^"]*)" x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)</text>')


def lines_of(app: App[None]) -> list[str]:
    """What a user sees, line by line."""
    lines: dict[float, list[tuple[float, str]]] = {}
    for look, x, y, text in _SPAN.findall(app.export_screenshot()):
        if not look.endswith("-title"):
            lines.setdefault(float(y), []).append((float(x), html.unescape(text).replace("\xa0", " ")))
    return ["".join(text for _, text in sorted(spans)).strip("\n").rstrip() for _, spans in sorted(lines.items())]
