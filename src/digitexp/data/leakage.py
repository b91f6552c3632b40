"""Law of honest scores: no image that is scored has been trained on, and none that is chosen by is scored afterwards."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from digitexp.data.digits import SIDE, Digits
from digitexp.errors import DataError
from digitexp.settings import CLEAN


def leaked(scored: Digits, seen: Digits, near: bool = False) -> NDArray[np.bool_]:
    """Which images of `scored` are also in `seen`, pixel by pixel, whatever their labels: bool `(n,)`.

    `near`: or would be if one of the two were moved by one pixel, to a side or to a corner. Which of them: at the edge of
    the field ink is lost, so the one may be the other moved, and not the other way round.
    """
    known, found = set(_pixels(seen.images)), np.zeros(len(scored), bool)
    for down, right in [(down, right) for down in (0, -1, 1) for right in (0, -1, 1)] if near else [(0, 0)]:
        found |= _among(_move(scored.images, down, right), known)
        if down or right:
            found |= _among(scored.images, set(_pixels(_move(seen.images, down, right))))
    return found


def _among(images: NDArray[np.uint8], known: set[bytes]) -> NDArray[np.bool_]:
    """Which images are known: Python hashes their bytes, and compares those of equal hash."""
    return np.fromiter((image in known for image in _pixels(images)), bool, len(images))


def refuse(sets: Mapping[str, Digits], near: bool = False) -> None:
    """Raise DataError where an image of one set is in a set that is used before it: "train", then "val", then the rest."""
    for name, before in _pairs(sets):
        scored = sets[name]
        if count := int(leaked(scored, sets[before], near).sum()):
            alike = ", or moved by one pixel" if near else ""
            raise DataError(
                f"data: found {count:,} of the {len(scored):,} images of {name} in {before} too{alike}; allowed is none, "
                f"since their score would flatter. To take them out of {before}, type data.remove_leakage=true; to score "
                "them all the same, type data.allow_leakage=true."
            )


def remove(sets: Mapping[str, Digits], near: bool = False) -> dict[str, Digits]:
    """The sets without the images of "train" and "val" that are scored later: `refuse` finds nothing in them.

    Raises DataError where nothing is left of one of the two.
    """
    kept = dict(sets)
    for name, before in _pairs(sets):
        kept[before] = kept[before].take(~leaked(kept[before], kept[name], near))
        if not len(kept[before]):
            raise DataError(f"data.remove_leakage=true: found all {len(sets[before]):,} images of {before} among those that "
                            "are scored later; allowed is a source, or a division of it, that leaves some.")  # fmt: skip
    return kept


def clean(sets: Mapping[str, Digits], near: bool = False) -> dict[str, Digits]:
    """By "{name}_clean", what `refuse` would let pass of each set that it would refuse, unless that is nothing."""
    fresh: dict[str, NDArray[np.bool_]] = {}
    for name, before in _pairs(sets):
        fresh[name] = fresh.get(name, True) & ~leaked(sets[name], sets[before], near)
    return {f"{name}{CLEAN}": sets[name].take(mask) for name, mask in fresh.items() if mask.any() and not mask.all()}


def _pairs(sets: Mapping[str, Digits]) -> list[tuple[str, str]]:
    """Every set, with each set that is used before it."""
    first = [name for name in ("train", "val") if name in sets]
    return [(name, before) for before in first for name in sets if name not in ("train", before)]


def _move(images: NDArray[np.uint8], down: int, right: int) -> NDArray[np.uint8]:
    """Images `(n, 28, 28)` moved by at most one pixel; what leaves the field is lost."""
    framed = np.pad(images, ((0, 0), (1, 1), (1, 1))) if down or right else images
    return framed[:, 1 - down :, 1 - right :][:, :SIDE, :SIDE] if down or right else images


def _pixels(images: NDArray[np.uint8]) -> list[bytes]:
    flat = np.ascontiguousarray(images).reshape(len(images), SIDE * SIDE)
    return flat.view(f"V{SIDE * SIDE}").ravel().tolist()
