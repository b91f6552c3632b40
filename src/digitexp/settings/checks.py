"""What the classes of this room check their settings with."""

import re
from collections.abc import Mapping
from typing import Any

from digitexp.errors import ConfigError, nearest


def require(condition: bool, path: str, found: object, allowed: str) -> None:
    """Refuse a value that is out of range."""
    if not condition:
        shown = "null" if found is None else found
        raise ConfigError(f"{path}={shown}: must be {allowed}.")


def choose(path: str, name: str, known: Mapping[str, Any]) -> None:
    """Refuse a name that is not among the known ones."""
    if name not in known:
        raise ConfigError(f"{path}={name}: no such choice; allowed are {', '.join(known)}.{nearest(str(name), known)}")


def seconds(time: str) -> float:
    """A time such as 2h, 90min, 1h30min or 45s in seconds; 0 for what is none."""
    found = re.fullmatch(r"(?:(\d+\.?\d*) ?h)? ?(?:(\d+\.?\d*) ?m(?:in)?)? ?(?:(\d+\.?\d*) ?s)?", time.strip())
    parts = found.groups(default="0") if found else ()
    return sum(float(part) * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))
