"""Files that are not what they should be: one sentence that names file, row and column, and nothing is half-loaded."""

import gzip
import io
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import write_kaggle

from digitexp.compose import compose
from digitexp.data.digits import Digits
from digitexp.data.mnist import CLASSES, IDX_FILES
from digitexp.data.sets import load
from digitexp.errors import DataError
from digitexp.settings import Data


def made(count: int, first: int) -> Digits:
    """Images that are all different."""
    images = np.zeros((count, 28, 28), np.uint8)
    images[:, 13, 13], images[:, 14, 14] = np.divmod(first + np.arange(count), 256)
    return Digits(images + np.uint8(1), np.arange(count) % 10, CLASSES, np.full(count, "made"))


TRAIN, TEST = made(200, 0), made(20, 1000)


def kaggle(folder: Path) -> list[str]:
    write_kaggle(folder, TRAIN, TEST)
    return ["data=kaggle", f"data.path={folder}", f"data.test_labels={folder}/test_labels.csv"]


def arrays() -> dict[str, np.ndarray]:
    return {"x_train": TRAIN.images, "y_train": TRAIN.labels, "x_test": TEST.images, "y_test": TEST.labels}


def npz(folder: Path) -> list[str]:
    np.savez(folder / "mnist.npz", **arrays())
    np.savez(folder / "writers.npz", writer_train=np.arange(200) // 4)
    return ["data=mnist", f"data.path={folder}/mnist.npz", "data.split=writer", "data.validation=0.5", f"data.writers={folder}/writers.npz"]  # fmt: skip


def idx(folder: Path) -> list[str]:
    for name, array in arrays().items():
        array = array.astype(np.uint8)
        raw = bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes() + array.tobytes()
        (folder / f"{IDX_FILES[name]}.gz").write_bytes(gzip.compress(raw))
    return ["data=mnist", f"data.path={folder}"]


def drawn(folder: Path) -> list[str]:
    flat = made(30, 2000).images.reshape(30, -1)
    np.savetxt(folder / "images.csv", flat, fmt="%d", delimiter=",")
    np.savetxt(folder / "labels.csv", np.arange(30) % 10, fmt="%d")
    return ["data=digits", "data.limit=200", "data.drawn.source=csv", f"data.drawn.images={folder}/images.csv",
            f"data.drawn.labels={folder}/labels.csv", "data.drawn.holdout=10"]  # fmt: skip


def pngs(folder: Path) -> list[str]:
    import cv2

    for number, image in enumerate(made(20, 3000).images):
        (folder / str(number % 10)).mkdir(exist_ok=True)
        cv2.imwrite(str(folder / str(number % 10) / f"{number}.png"), image)
    return ["data=digits", "data.limit=200", "data.drawn.source=folder", f"data.drawn.images={folder}"]


def cell(row: int, column: int, text: str) -> Callable[[bytes], bytes]:
    """Put a text into one cell; both counted from 1."""

    def change(raw: bytes) -> bytes:
        lines = [line.split(b",") for line in raw.split(b"\n")]
        lines[row - 1][column - 1] = text.encode()
        return b"\n".join(b",".join(line) for line in lines)

    return change


def line(row: int, change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    def whole(raw: bytes) -> bytes:
        lines = raw.split(b"\n")
        lines[row - 1] = change(lines[row - 1])
        return b"\n".join(lines)

    return whole


def cut(raw: bytes) -> bytes:
    return raw[: len(raw) // 2]


def writers(*values: int) -> Callable[[bytes], bytes]:
    def change(_: bytes) -> bytes:
        file = io.BytesIO()
        np.savez(file, writer_train=np.array(values))
        return file.getvalue()

    return change


def member(name: str, content: bytes) -> Callable[[bytes], bytes]:
    """The archive with another content of the member of that name."""

    def change(raw: bytes) -> bytes:
        changed = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(raw)) as old, zipfile.ZipFile(changed, "w") as new:
            for each in old.namelist():
                new.writestr(each, content if each == name else old.read(each))
        return changed.getvalue()

    return change


def huge(raw: bytes) -> bytes:
    """The PNG with a header that claims 98,304 x 98,304 pixels, and says so rightly."""
    claim = raw[12:16] + (98_304).to_bytes(4, "big") * 2 + raw[24:29]
    return raw[:12] + claim + zlib.crc32(claim).to_bytes(4, "big") + raw[33:]


def header(shape: tuple[int, ...]) -> bytes:
    """The beginning of an .npy file that claims that shape."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<i8", "fortran_order": False, "shape": shape})
    return file.getvalue()


PIXEL = "allowed are whole numbers from 0 to 255"
# What is written whole, which file of it is changed and how, and what the sentence says.
MALFORMED: dict[str, tuple[Callable[[Path], list[str]], str, Callable[[bytes], bytes], str]] = {
    "a value above 255": (kaggle, "train.csv", cell(4, 7, "256"), rf"row 4, column 7 \(pixel5\): found '256', {PIXEL}"),
    "a negative value": (kaggle, "train.csv", cell(2, 2, "-1"), rf"row 2, column 2 \(pixel0\): found '-1', {PIXEL}"),
    "NaN": (kaggle, "train.csv", cell(9, 785, "NaN"), r"row 9, column 785 \(pixel783\): found 'NaN'"),
    "an empty cell": (kaggle, "test.csv", cell(3, 784, ""), r"row 3, column 784 \(pixel783\): found ''"),
    "a fraction": (kaggle, "test.csv", cell(2, 1, "0.5"), r"row 2, column 1 \(pixel0\): found '0.5'"),
    "a word": (kaggle, "train.csv", cell(5, 3, "ink"), r"row 5, column 3 \(pixel1\): found 'ink'"),
    "digits that are not ours": (kaggle, "train.csv", cell(5, 3, "٣"), r"row 5, column 3 \(pixel1\): found '٣'"),
    "a number of four digits": (kaggle, "train.csv", cell(5, 3, "0007"), r"row 5, column 3 \(pixel1\): found '0007'"),
    "a label that is no class": (kaggle, "train.csv", cell(6, 1, "10"), r"row 6, column 1 \(label\): found '10', .* 0 to 9"),
    "too few values": (kaggle, "train.csv", line(8, lambda row: row[:-2]), "row 8: found 784 values, allowed are 785"),
    "too many values": (kaggle, "test.csv", line(8, lambda row: row + b",0"), "row 8: found 785 values, allowed are 784"),
    "a blank line": (kaggle, "train.csv", line(8, lambda row: b"\n" + row), "row 8: found 0 values, allowed are 785"),
    "two rows in one": (kaggle, "test.csv", line(3, lambda row: row + b"," + row), "row 3: found 1568 values"),
    "no header": (kaggle, "train.csv", line(1, lambda row: row.replace(b"label", b"5")), "row 1: column 1: found '5', allowed is label"),
    "the header of the other file": (kaggle, "test.csv", line(1, lambda row: b"label," + row), "row 1: found 785 names, allowed are 784"),
    "columns in another order": (kaggle, "test.csv", cell(1, 2, "pixel2"), "row 1: column 2: found 'pixel2', allowed is pixel1"),
    "a header alone": (kaggle, "train.csv", lambda raw: raw.split(b"\n")[0] + b"\n", "found no row below the header"),
    "an empty file": (kaggle, "test.csv", lambda raw: b"", "row 1: found 1 names, allowed are 784"),
    "a file cut short": (kaggle, "train.csv", lambda raw: raw[:-500], r"row 201: found \d+ values, allowed are 785"),
    "an archive for a table": (kaggle, "train.csv", gzip.compress, "row 1: found .* names, allowed are 785"),
    "fewer labels than images": (kaggle, "test_labels.csv", lambda raw: raw[:-2], r"found 19 labels, but 20 images in .*test\.csv"),
    "a known label that is no class": (kaggle, "test_labels.csv", cell(7, 1, "11"), "row 7, column 1: found '11', .* 0 to 9"),
    "a truncated npz": (npz, "mnist.npz", cut, "found no .npz archive, or one cut short"),
    "too few writers": (npz, "writers.npz", writers(1, 2), r"writer_train: found int64 of shape \(2,\), .* \(200,\)"),
    "an array that claims 800 terabytes": (npz, "mnist.npz", member("y_train.npy", header((10**14,))), "cannot be read as .npz: .*10"),
    "an array that claims more than a number holds": (npz, "mnist.npz", member("y_train.npy", header((10**30,))), "cannot be read as .npz: "),
    "an array whose header is cut short": (npz, "mnist.npz", member("y_train.npy", header((1,)).replace(b")", b" ")), "cannot be read as .npz: "),
    "an array whose header has a list for a name": (npz, "mnist.npz",
        member("y_train.npy", header((1,)).replace(b"'descr'", b"[  1  ]")), "cannot be read as .npz: "),
    "a text for the writers": (npz, "writers.npz", member("writer_train.npy", b"ann"), "writer_train: found no array"),
    "writers cut short": (npz, "writers.npz", cut, "found no .npz archive, or one cut short"),
    "a truncated gz": (idx, "train-images-idx3-ubyte.gz", cut, "cannot be read: Compressed file ended"),
    "an image list longer than its labels": (idx, "train-labels-idx1-ubyte.gz",
        lambda raw: gzip.compress(bytes((0, 0, 8, 1, 0, 0, 0, 199)) + bytes(199)), r"found int64 of shape \(199,\), .* one label for each image"),
    "an IDX that is shorter than it says": (idx, "t10k-labels-idx1-ubyte.gz",
        lambda raw: gzip.compress(gzip.decompress(raw)[:-1]), "found 27 bytes, its header allows 28"),
    "a drawn value above 255": (drawn, "images.csv", cell(3, 4, "300"), rf"row 3, column 4, counted from 1: found '300', {PIXEL}"),
    "a drawn NaN": (drawn, "images.csv", cell(1, 784, "nan"), "row 1, column 784, counted from 1: found 'nan'"),
    "a drawn row too short": (drawn, "images.csv", line(5, lambda row: row[:-2]), "row 5, counted from 1: found 783 values, allowed are 784"),
    "a drawn label that is no class": (drawn, "labels.csv", cell(4, 1, "10"), "row 4, column 1, counted from 1: found '10', .* 0 to 9"),
    "more drawings than labels": (drawn, "labels.csv", lambda raw: raw[:-2], r"found 30 images, but 29 labels in .*labels\.csv"),
    "a PNG cut short": (pngs, "3/13.png", cut, "found no PNG image, or one cut short"),
    "a PNG that claims too many pixels": (pngs, "3/13.png", huge, "found no PNG image, or one cut short"),
    "a text for a PNG": (pngs, "0/0.png", lambda raw: b"not an image", "found no PNG image, or one cut short"),
}  # fmt: skip


def data_of(overrides: list[str]) -> Data:
    return compose(overrides).data


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_file_is_refused_in_one_sentence_and_nothing_of_it_is_loaded(case: str, tmp_path: Path) -> None:
    write, name, change, sentence = MALFORMED[case]
    data = data_of(write(tmp_path))
    file = tmp_path / name
    whole = file.read_bytes()
    file.write_bytes(change(whole))
    for _ in range(2):  # nor is half of it remembered
        with pytest.raises(DataError, match=sentence) as refused:
            load(data)
    message = str(refused.value)
    assert "\n" not in message
    assert message.endswith(".")
    if "labels-idx1" not in name:  # there, the sentence names the folder: two files disagree
        assert str(file) in message
    file.write_bytes(whole)
    sets = load(data)
    assert set(sets) == {"train", *data.evaluation_sets}
    assert all(len(digits.images) == len(digits.labels) for digits in sets.values())


@pytest.mark.parametrize("name", ["train.csv", "test.csv", "test_labels.csv"])
def test_a_missing_file_is_refused(name: str, tmp_path: Path) -> None:
    data = data_of(kaggle(tmp_path))
    (tmp_path / name).unlink()
    with pytest.raises(DataError, match=rf"{name}: no such file; data=kaggle reads train\.csv and test\.csv"):
        load(data)


def test_without_known_labels_the_competitions_own_images_are_not_scored(tmp_path: Path) -> None:
    data = replace(data_of(kaggle(tmp_path)), test_labels=None)
    (tmp_path / "test.csv").unlink()
    assert tuple(load(data)) == ("train", "val", "test") == ("train", *data.evaluation_sets)
