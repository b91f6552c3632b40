"""Templates of this room filled with facts: HTML in which nothing of them is markup, and Markdown likewise."""

import base64
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

PAGE, TEXT = "index.html", "README.md"  # of every report


def inline(file: Path) -> str:
    """A picture as an address that a page can hold."""
    return f"data:image/png;base64,{base64.b64encode(file.read_bytes()).decode()}"


def markdown(text: object) -> str:
    """Text in which nothing is markup, fit for a cell of a table."""
    marked = str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for letter in "\\`*_[]|#":
        marked = marked.replace(letter, f"\\{letter}")
    return " ".join(marked.splitlines())


def render(template: str, facts: Mapping[str, Any]) -> str:
    """A template of this room with these facts; in HTML nothing of them is markup."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=template.endswith(".html"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"md": markdown, "breakable": _breakable, "bound": _bound, "range": _range}
    return environment.get_template(template).render(facts)


def _breakable(text: object) -> Markup:
    """A dotted path that may be broken into lines at its dots and underscores."""
    return Markup(re.sub(r"(?<=[A-Za-z0-9])([._])(?=[A-Za-z])", r"\1<wbr>", str(escape(text))))


def _range(text: str) -> Markup:
    """An interval, which may be broken after its dash."""
    return Markup(str(escape(text)).replace(" to ", "\u2013<wbr>"))


def _bound(text: str) -> str:
    """Numbers and their percent signs stay on one line."""
    return text.replace(" %", "\u00a0%")
