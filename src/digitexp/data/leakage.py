"""Law of honest scores: no image that is scored has been trained on, and none that is chosen by is scored afterwards."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from digitexp.data.digits import SIDE, Digits
from digitexp.errors import DataError


def leaked(scored: Digits, seen: Digits) -> NDArray[np.bool_]:
    """Which images of `scored` are also in `seen`, pixel by pixel, whatever their labels: bool `(n,)`."""
    known = set(_pixels(seen))  # Python hashes the bytes, and compares those of equal hash
    return np.fromiter((image in known for image in _pixels(scored)), bool, len(scored))


def refuse(sets: Mapping[str, Digits]) -> None:
    """Raise DataError where an image of one set is in a set that is used before it: "train", then "val", then the rest."""
    for before in ("train", "val"):
        for name, scored in sets.items():
            if before not in sets or name in ("train", before):
                continue
            if count := int(leaked(scored, sets[before]).sum()):
                raise DataError(
                    f"data: found {count:,} of the {len(scored):,} images of {name} in {before} too; allowed is none, "
                    f"since their score would flatter. Take them out of one, or type data.allow_leakage=true."
                )


def _pixels(digits: Digits) -> list[bytes]:
    flat = np.ascontiguousarray(digits.images).reshape(len(digits), SIDE * SIDE)
    return flat.view(f"V{SIDE * SIDE}").ravel().tolist()
