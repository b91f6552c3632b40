"""Where all that a person sees in the terminal goes out, and the words and tables that it has in common."""

import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

PIPED_WIDTH = 120  # characters, where the output is no terminal
console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)
errors = Console(stderr=True, highlight=False, soft_wrap=True)
COMMAND = "python -m digitexp"


def say(line: str) -> None:
    """A line of its own, in rich's markup, never broken."""
    console.print(line, soft_wrap=True)


def facts() -> Table:
    """A table of what is said about something: a word in grey, and what holds."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def definitions(title: str, entries: Mapping[str, str]) -> Table:
    """Names and what each is, under a title."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column()
    table.add_row(f"[bold]{title}[/]", "")
    for name, text in entries.items():
        table.add_row(f"  {escape(name)}", escape(text))
    return table


def duration(seconds: float) -> str:
    """Seconds in words: "4.2 s", "3 min", "1 h 20 min"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def count(number: int, noun: str) -> str:
    """So many of them: "1 run", "2,000 runs"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def as_text(value: Any) -> str:
    """A setting's value, numbers in four digits."""
    return f"{value:.4g}" if isinstance(value, float) else "null" if value is None else str(value)
