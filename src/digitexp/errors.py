"""Everything that digitexp refuses, as one tree.

    DigitexpError              one sentence: what, where, found, allowed, what to type
    ├── ConfigError            a setting: unknown, of the wrong type, out of range, at odds with another
    │   └── SpaceError         search.space: a setting, a list or a range that cannot be searched
    ├── DataError              a data file or an array that is not what it claims to be
    ├── TrainingError          a run that cannot go on: a network that cannot be built, a loss that is NaN
    │   └── OutOfMemoryError   fewer networks at once may fit
    └── TrackingError          the MLflow store: missing, locked, of another version

The library raises them and never prints or exits; the command line turns each into its sentence and exit code 2.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class DigitexpError(Exception):
    """What digitexp refuses or cannot do, in one sentence for the person who typed the command."""


class ConfigError(DigitexpError):
    """A setting is unknown, of the wrong type, out of range, or at odds with another."""


class SpaceError(ConfigError):
    """`search.space` names a setting, a list or a range that cannot be searched."""


class DataError(DigitexpError):
    """A data file or an array is not what it claims to be."""


class TrainingError(DigitexpError):
    """A run cannot go on."""


class OutOfMemoryError(TrainingError):
    """There is not enough memory for what is trained at once."""


class TrackingError(DigitexpError):
    """The MLflow store cannot be used."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: " Did you mean 'x' or 'y'?", or nothing when none is near."""
    names = get_close_matches(name, list(known), n=2, cutoff=0.6)
    return f" Did you mean {' or '.join(repr(found) for found in names)}?" if names else ""
