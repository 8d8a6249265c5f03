"""HTML that the pages of a run and of a sweep are both made of: one file that loads nothing, and its small parts."""

from __future__ import annotations

import html
import importlib.util
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec


def document(*, title: str, description: str, body: str, drawn: object, styles: Sequence[str], script: str) -> str:
    """A whole page: `styles` and `script` are assets, `drawn` what the script draws, `body` is HTML already.

    Raises FileNotFoundError when the plotly package lacks its script.
    """
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="description" content="{text_of(description)}">
<meta name="generator" content="hlhft">
<link rel="icon" href="data:,">
<title>{text_of(title)}</title>
<style>
{"".join(asset(name) for name in styles)}</style>
</head>
<body>
{body}
<script type="application/json" id="figures">{inline_json(drawn)}</script>
<script>{inline_script()}</script>
<script>
{asset(script)}</script>
</body>
</html>
"""


def inline_script() -> str:
    """plotly.js as shipped with the installed plotly package. Raises FileNotFoundError when it is not there."""
    found = importlib.util.find_spec("plotly")
    for folder in (found.submodule_search_locations or ()) if found is not None else ():
        script = Path(folder, "package_data", "plotly.min.js")
        if script.is_file():
            return script.read_text(encoding="utf-8")
    raise FileNotFoundError("plotly.min.js was not found in the plotly package, install plotly again")


def inline_json(value: Any) -> str:
    """JSON that can stand inside a script element, whatever its strings hold."""
    return msgspec.json.encode(value).decode().replace("<", "\\u003c")


def asset(name: str) -> str:
    """A file of this package's assets as text."""
    return resources.files("hlhft.report").joinpath("assets", name).read_text(encoding="utf-8")


def text_of(value: object) -> str:
    """The value as text that is never taken for markup, between tags and in attributes."""
    return html.escape(str(value), quote=True)


def button(kind: str, index: int, label: str) -> str:
    """One of the buttons that choose a `kind`; the first, 0, is pressed."""
    pressed = "true" if index == 0 else "false"
    return (
        f'<button type="button" data-choose="{kind}" data-value="{index}" aria-pressed="{pressed}">'
        f"{text_of(label)}</button>"
    )


def terms(values: Mapping[str, Any]) -> str:
    """Nested values as one list of names and texts."""
    lines = "".join(
        f"<dt>{text_of(name)}</dt><dd><code>{text_of(value)}</code></dd>" for name, value in _flattened(values, "")
    )
    return f"<dl>{lines}</dl>"


def _flattened(values: Mapping[str, Any], prefix: str) -> list[tuple[str, str]]:
    """Leaves of nested mappings as (name, text)."""
    found: list[tuple[str, str]] = []
    for name, value in values.items():
        label = f"{prefix}{name}".replace("_", " ")
        if isinstance(value, Mapping):
            found += _flattened(value, f"{label}: ")
        elif isinstance(value, list | tuple):
            found.append((label, ", ".join(map(str, value)) or "none"))
        else:
            found.append((label, f"{value:g}" if isinstance(value, float) else str(value)))
    return found
