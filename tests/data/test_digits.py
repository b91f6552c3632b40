"""The checks of Digits, its parts and its identity."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from digitexp.data.digits import Digits, concatenate
from digitexp.errors import DataError


def make(n: int = 6, **changes: Any) -> Digits:
    arrays: dict[str, Any] = {
        "images": np.arange(n, dtype=np.uint8)[:, None, None] + np.zeros((n, 28, 28), np.uint8),
        "labels": np.arange(n) % 3,
        "classes": ("a", "b", "c"),
        "origin": np.full(n, "here"),
    }
    return Digits(**(arrays | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": np.zeros((6, 28, 28))}, r"images: found float64 .* allowed is uint8 of shape \(n, 28, 28\)"),
        ({"images": np.zeros((6, 784), np.uint8)}, r"images: found uint8 of shape \(6, 784\)"),
        ({"images": np.zeros((), np.uint8)}, r"images: found uint8 of shape \(\)"),
        ({"labels": np.zeros(6, np.uint8)}, r"labels: found uint8 of shape \(6,\), allowed is int64"),
        ({"labels": np.zeros(5, np.int64)}, r"found int64 of shape \(5,\), allowed is int64 of shape \(6,\)"),
        ({"labels": np.array([0, 1, 2, 3, 0, 1])}, "labels: found 3, allowed is an index into 3 classes, 0 to 2"),
        ({"labels": np.array([0, 1, 2, -1, 0, 1])}, "labels: found -1"),
        ({"classes": ("a", "b", "b")}, "classes: found a, b, b, allowed is a list of different names"),
        ({"classes": ()}, "classes: found none"),
        ({"origin": np.full(5, "here")}, r"origin: found <U4 of shape \(5,\)"),
        ({"origin": np.zeros(6)}, "origin: found float64"),
    ],
)
def test_refuses_what_is_not_digits(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        make(**changes)


def test_takes_rows_by_index_and_by_mask() -> None:
    digits = make()
    some = digits.take(np.array([4, 1]))
    assert len(some) == 2
    assert some.images[:, 0, 0].tolist() == [4, 1]
    assert some.labels.tolist() == [1, 1]
    assert digits.take(digits.labels == 1).digest() == digits.take(np.array([1, 4])).digest()
    assert len(digits.take(np.array([], np.int64))) == 0


def test_takes_a_copy() -> None:
    digits = make()
    digits.take(np.arange(6)).images[:] = 9
    assert digits.images[0, 0, 0] == 0


def test_digest_is_of_images_labels_and_classes_in_their_order() -> None:
    digits = make()
    other_pixel = digits.images.copy()
    other_pixel[3, 14, 14] ^= 1
    different = [
        digits,
        digits.take(np.arange(6)[::-1]),
        digits.take(np.arange(5)),
        digits.take(np.arange(0)),
        replace(digits, images=other_pixel),
        replace(digits, labels=digits.labels[::-1]),
        replace(digits, classes=("a", "b", "d")),
    ]
    assert len({part.digest() for part in different}) == len(different)
    assert replace(digits, origin=np.full(6, "elsewhere")).digest() == make().digest()
    assert len(digits.digest()) == 64


def test_concatenates_sources() -> None:
    digits = make()
    both = concatenate([digits, replace(digits, origin=np.full(6, "drawn by hand"))])
    assert both.images[:, 0, 0].tolist() == [*range(6), *range(6)]
    assert both.origin[[0, -1]].tolist() == ["here", "drawn by hand"]
    assert concatenate([digits]).digest() == digits.digest()


def test_refuses_to_concatenate_other_classes() -> None:
    with pytest.raises(DataError, match="found 2 lists of classes in 2 parts"):
        concatenate([make(), make(classes=("a", "b", "d"))])
    with pytest.raises(DataError, match="found 0 lists"):
        concatenate([])
