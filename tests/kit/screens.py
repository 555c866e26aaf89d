"""What is on the screen of an app of textual, as text, and recordings of it as pictures."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import App

_SPAN = re.compile(r'<text class="([^"]*)" x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)</text>')
_FONT = re.compile(r"@font-face \{.*?\}", re.S)


def lines_of(app: App[None]) -> list[str]:
    """What a user sees, line by line."""
    lines: dict[float, list[tuple[float, str]]] = {}
    for look, x, y, text in _SPAN.findall(app.export_screenshot()):
        if not look.endswith("-title"):
            lines.setdefault(float(y), []).append((float(x), html.unescape(text).replace("\xa0", " ")))
    return ["".join(text for _, text in sorted(spans)).strip("\n").rstrip() for _, spans in sorted(lines.items())]


def recording(frames: Sequence[str], seconds: float) -> str:
    """One SVG that shows screenshots (App.export_screenshot) one after the other, each for so long, again and again.

    It needs nothing from elsewhere: fonts that would be are left out.
    """
    count = len(frames)
    box = re.search(r'viewBox="([^"]*)"', frames[0])
    assert box is not None
    share = 100 / count
    style = "".join(f".frame{number} {{ animation-delay: {number * seconds:g}s; }}" for number in range(count))
    shown = "".join(f'<g class="frame frame{number}">{_FONT.sub("", frame)}</g>' for number, frame in enumerate(frames))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box[1]}"><style>'
        f".frame {{ visibility: hidden; animation: frame {count * seconds:g}s step-end infinite; }}"
        f"@keyframes frame {{ 0% {{ visibility: visible; }} {share:g}% {{ visibility: hidden; }} }}"
        f"{style}.frame0 {{ visibility: visible; }}"
        f"@media (prefers-reduced-motion: reduce) {{ .frame {{ animation: none; }} }}</style>{shown}</svg>\n"
    )
