"""Reading scikit-learn's scans and MNIST in all its forms; every file that is not MNIST is refused in one sentence."""

import gzip
import hashlib
import re
import subprocess
import sys
import types
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from digitexp.data.geometry import BOX, crop
from digitexp.data.mnist import CLASSES, IDX_FILES, KERAS_SHA256, read_mnist
from digitexp.data.sources import read_digits, source_digests, source_files
from digitexp.errors import DataError
from digitexp.settings import Also, Data, Drawn

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
Arrays = dict[str, NDArray[Any]]
TRAIN_IMAGES, TRAIN_LABELS = IDX_FILES["x_train"], IDX_FILES["y_train"]


def small_mnist(**changes: NDArray[Any]) -> Arrays:
    rng = np.random.default_rng(1)
    arrays: Arrays = {
        "x_train": rng.integers(0, 256, (30, 28, 28), np.uint8),
        "y_train": np.arange(30, dtype=np.uint8) % 10,
        "x_test": rng.integers(0, 256, (10, 28, 28), np.uint8),
        "y_test": np.arange(10, dtype=np.uint8),
    }
    return arrays | changes


def write_npz(folder: Path, arrays: Arrays) -> Path:
    np.savez_compressed(folder / "mnist.npz", **arrays)
    return folder / "mnist.npz"


def write_idx(folder: Path, arrays: Arrays, dots: bool = False, gz: bool = False) -> Path:
    for name, array in arrays.items():
        file = folder / (IDX_FILES[name].replace("-idx", ".idx" if dots else "-idx") + (".gz" if gz else ""))
        raw = bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes() + array.tobytes()
        file.write_bytes(gzip.compress(raw) if gz else raw)
    return folder


def settings(name: str, path: str | None = None) -> Data:
    return Data(
        name=name,
        path=path,
        test_labels=None,
        also=Also(name="none"),
        split="stratified",
        limit=None,
        validation=0.1,
        test=None,
        split_seed=1,
        classes=[str(n) for n in range(10)],
        drawn=Drawn(source="none"),
    )


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def assert_read(path: Path | None, arrays: Arrays) -> None:
    for part, digits in zip(("train", "test"), read_mnist(None if path is None else str(path)), strict=True):
        assert (digits.images == arrays[f"x_{part}"]).all()
        assert (digits.labels == arrays[f"y_{part}"]).all()
        assert digits.classes == CLASSES
        assert set(digits.origin) == {"mnist"}


def test_reads_npz_by_file_and_by_folder(tmp_path: Path) -> None:
    file = write_npz(tmp_path, small_mnist())
    assert_read(file, small_mnist())
    assert_read(tmp_path, small_mnist())
    assert source_digests(settings("mnist", str(tmp_path))) == {"mnist.npz": sha256(file)}


@pytest.mark.parametrize("dots", [False, True])
@pytest.mark.parametrize("gz", [False, True])
def test_reads_idx_in_each_spelling(tmp_path: Path, dots: bool, gz: bool) -> None:
    assert_read(write_idx(tmp_path, small_mnist(), dots, gz), small_mnist())
    found = source_digests(settings("mnist", str(tmp_path)))
    assert found == {file.name: sha256(file) for file in tmp_path.iterdir()}
    assert len(found) == 4


def test_reads_idx_that_was_unpacked_without_losing_its_gz(tmp_path: Path) -> None:
    for file in write_idx(tmp_path, small_mnist()).iterdir():
        file.rename(file.with_name(file.name + ".gz"))
    assert_read(tmp_path, small_mnist())


def test_reads_one_image_and_labels_of_any_integer_type(tmp_path: Path) -> None:
    one = {name: array[:1] for name, array in small_mnist().items()}
    one["y_train"] = one["y_train"].astype(np.int32)
    assert_read(write_npz(tmp_path, one), one)


def rewrite(name: str, change: Callable[[bytes], bytes], gz: bool = False) -> Callable[[Path], Path]:
    """Good IDX files, of which one is changed."""

    def write(folder: Path) -> Path:
        file = write_idx(folder, small_mnist(), gz=gz) / (name + (".gz" if gz else ""))
        file.write_bytes(change(file.read_bytes()))
        return folder

    return write


def rewrite_npz(change: Callable[[bytes], bytes]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        file = write_npz(folder, small_mnist())
        file.write_bytes(change(file.read_bytes()))
        return file

    return write


def npz(**changes: NDArray[Any]) -> Callable[[Path], Path]:
    return lambda folder: write_npz(folder, small_mnist(**changes))


def without(name: str) -> Callable[[Path], Path]:
    return lambda folder: write_npz(folder, {key: value for key, value in small_mnist().items() if key != name})


def some_idx(folder: Path) -> Path:
    arrays = small_mnist()
    return write_idx(folder, {name: arrays[name] for name in ("x_train", "y_train", "x_test")})


def flip(at: int) -> Callable[[bytes], bytes]:
    return lambda raw: raw[:at] + bytes((raw[at] ^ 255,)) + raw[at + 1 :]


# What is on the disk, and what the sentence says of it.
REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing path": (lambda folder: folder / "nothing.npz", r"data.path=.*nothing.npz: no such file or folder"),
    "empty folder": (lambda folder: folder, r"found neither mnist.npz nor train-images-idx3-ubyte, .* in this folder"),
    "some of the IDX files": (some_idx, r"found neither mnist.npz nor t10k-labels-idx1-ubyte \(or .gz\)"),
    "not a zip": (rewrite_npz(lambda raw: b"x_train,y_train\n1,2\n"), "found no .npz archive"),
    "empty file": (rewrite_npz(lambda raw: b""), "found no .npz archive"),
    "truncated zip": (rewrite_npz(lambda raw: raw[: len(raw) // 2]), "found no .npz archive, or one cut short"),
    "changed byte": (rewrite_npz(flip(5000)), "cannot be read as .npz"),
    "missing key": (without("y_test"), "found no y_test; allowed are the arrays x_train, y_train, x_test, y_test"),
    "flat images": (npz(x_train=np.zeros((30, 784), np.uint8)), r"x_train, .* found uint8 of shape \(30, 784\)"),
    "images of 32": (npz(x_test=np.zeros((10, 32, 32), np.uint8)), r"x_test, .* found uint8 of shape \(10, 32, 32\)"),
    "float images": (npz(x_train=np.zeros((30, 28, 28))), "images: found float64 .* allowed is uint8"),
    "no images": (npz(x_test=np.zeros((0, 28, 28), np.uint8)), "images: found none, allowed is 1 or more"),
    "a number for images": (npz(x_test=np.array(3, np.uint8)), r"images: found uint8 of shape \(\)"),
    "pickled images": (npz(x_train=np.array([{}] * 30)), "cannot be read as .npz: .*allow_pickle=False"),
    "fewer labels": (npz(y_train=np.zeros(29, np.uint8)), r"found int64 of shape \(29,\), .* one label for each image"),
    "label of 10": (npz(y_train=np.arange(30, dtype=np.uint8) % 11), "labels: found 10, allowed .* 0 to 9"),
    "label of -1": (npz(y_test=np.arange(10) - 1), "labels: found -1, allowed .* 0 to 9"),
    "huge label": (npz(y_test=np.full(10, 2**64 - 1, np.uint64)), "labels: found -1, allowed"),
    "float labels": (npz(y_test=np.zeros(10)), "labels: found float64, allowed are whole numbers"),
    "one-hot labels": (npz(y_test=np.eye(10, dtype=np.uint8)), r"labels: found int64 of shape \(10, 10\)"),
    "IDX magic": (rewrite(TRAIN_IMAGES, flip(3)), "train-images.*found the magic number 000008fc, allowed is 00000803"),
    "IDX labels for images": (
        lambda folder: write_idx(folder, small_mnist(x_train=np.zeros(30, np.uint8))),
        "found the magic number 00000801, allowed is 00000803",
    ),
    "IDX empty": (rewrite(TRAIN_LABELS, lambda raw: b""), "found the magic number none"),
    "IDX without its sizes": (rewrite(TRAIN_LABELS, lambda raw: raw[:6]), "found 6 bytes, its header"),
    "IDX short": (rewrite(TRAIN_LABELS, lambda raw: raw[:-1]), "found 37 bytes, its header allows 38"),
    "IDX long": (rewrite(TRAIN_LABELS, lambda raw: raw + b"1"), "found 39 bytes, its header allows 38"),
    "gz truncated": (rewrite(TRAIN_IMAGES, lambda raw: raw[:-20], gz=True), "cannot be read: Compressed file ended"),
    "gz changed": (rewrite(TRAIN_IMAGES, flip(200), gz=True), "train-images-idx3-ubyte.gz: cannot be read"),
    "gz with a tail": (rewrite(TRAIN_LABELS, lambda raw: raw + b"tail", gz=True), "cannot be read: Not a gzipped file"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_what_is_not_mnist(tmp_path: Path, case: str) -> None:
    write, message = REFUSED[case]
    path = write(tmp_path)
    with pytest.raises(DataError, match=message) as refusal:
        read_mnist(str(path))
    assert str(tmp_path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_no_changed_byte_goes_unnoticed(tmp_path: Path) -> None:
    good = write_npz(tmp_path, small_mnist()).read_bytes()
    for at in np.random.default_rng(1).integers(0, len(good), 200):
        (tmp_path / "mnist.npz").write_bytes(flip(int(at))(good))
        with suppress(DataError):
            assert_read(tmp_path, small_mnist())  # where the byte has no meaning: a date, say


@pytest.mark.parametrize("path", ["missing.npz", "missing/folder"])
def test_digests_refuse_a_missing_path(tmp_path: Path, path: str) -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        source_digests(settings("mnist", str(tmp_path / path)))


def test_drawings_are_digested_beside_the_source(tmp_path: Path) -> None:
    files = {name: tmp_path / f"{name}.csv" for name in ("images", "labels")}
    for name, file in files.items():
        file.write_text(name)
    drawn = Drawn(source="csv", images=str(files["images"]), labels=str(files["labels"]))
    data = replace(settings("mnist", str(write_npz(tmp_path, small_mnist()))), drawn=drawn)
    assert source_digests(data) == {
        "mnist.npz": sha256(tmp_path / "mnist.npz"),
        "drawn images": sha256(files["images"]),
        "drawn labels": sha256(files["labels"]),
    }
    assert set(source_files(data)) == {tmp_path / "mnist.npz", *files.values()}
    synthetic = replace(data, drawn=Drawn(source="synthetic", count=10))
    assert source_digests(synthetic) == source_digests(replace(data, drawn=Drawn(source="none")))


def test_digests_refuse_an_unknown_source() -> None:
    with pytest.raises(
        DataError, match=r"data\.name=letters: no such source; allowed are digits, mnist, kaggle, kaggle_stand_in"
    ):
        source_digests(settings("letters"))


def fake_keras(monkeypatch: pytest.MonkeyPatch, load_data: Callable[[], Any]) -> None:
    """Importing the real one takes seconds, and its download a network."""
    datasets = types.ModuleType("keras.datasets")
    datasets.mnist = types.SimpleNamespace(load_data=load_data)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keras", types.ModuleType("keras"))
    monkeypatch.setitem(sys.modules, "keras.datasets", datasets)


def unreachable() -> None:
    raise Exception("URL fetch failure on https://example.org: None -- no route")


def test_without_a_path_reads_keras_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_keras(monkeypatch, unreachable)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "datasets").mkdir()
    file = write_npz(tmp_path / "datasets", small_mnist())
    assert_read(None, small_mnist())
    assert source_digests(settings("mnist")) == {"mnist.npz": sha256(file)}
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home" / ".keras" / "datasets").mkdir(parents=True)
    file.rename(tmp_path / "home" / ".keras" / "datasets" / "mnist.npz")
    assert_read(None, small_mnist())


def test_without_a_cache_keras_downloads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load_data() -> Any:
        print("100 %")
        arrays = small_mnist()
        return (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    fake_keras(monkeypatch, load_data)
    assert_read(None, small_mnist())
    assert capsys.readouterr().out == ""
    assert source_digests(settings("mnist")) == {"mnist.npz": KERAS_SHA256}


def test_a_failed_download_names_the_other_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    fake_keras(monkeypatch, unreachable)
    cache = re.escape(str(tmp_path / "datasets" / "mnist.npz"))
    with pytest.raises(DataError, match=rf"{cache}.*download failed .*no route.*data.path=FILE.*data=digits") as refusal:
        read_mnist()
    assert "\n" not in str(refusal.value)


def test_the_digest_of_keras_download_is_still_the_one_that_keras_checks() -> None:
    import importlib.util

    spec = importlib.util.find_spec("keras")
    assert spec is not None
    assert spec.submodule_search_locations
    loader = Path(spec.submodule_search_locations[0], "src", "datasets", "mnist.py")
    assert KERAS_SHA256 in loader.read_text()


def test_digests_need_no_library() -> None:
    code = (
        "import sys; from digitexp.data.sources import source_digests; from digitexp.settings import Also, Data, Drawn;"
        "print(*source_digests(Data(name='digits', also=Also(name='none'), split='stratified', drawn=Drawn(source='synthetic'))).items());"
        "print({'sklearn', 'pandas', 'cv2', 'keras', 'tensorflow', 'scipy'} & set(sys.modules))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert re.fullmatch(r"\('scikit-learn digits', '[0-9a-f]{64}'\)\nset\(\)\n", printed)


def test_the_scans_look_like_mnist() -> None:
    digits = read_digits()
    assert np.bincount(digits.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert digits.labels[:10].tolist() == list(range(10))
    assert digits.classes == CLASSES
    assert {max(crop(image).shape) for image in digits.images} == {BOX}
    assert np.median(digits.images) == 0
    assert digits.images.max(axis=(1, 2)).min() > 200
    assert 33 < digits.images.mean() < 38  # found: 36.5 grey levels; MNIST has 33.3
    assert 0.12 < np.mean(digits.images > 127) < 0.15  # found: 0.141; MNIST has 0.132


def test_reads_the_real_mnist() -> None:
    if not (SHARED / "mnist.npz").is_file():
        pytest.skip(f"needs MNIST in {SHARED}")
    train, test = read_mnist(str(SHARED))
    assert (len(train), len(test)) == (60_000, 10_000)
    assert train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    # The file of LeCun, Cortes and Burges: its images, its order.
    raw = bytes((0, 0, 8, 3)) + np.array(train.images.shape, ">u4").tobytes() + train.images.tobytes()
    assert hashlib.sha256(raw).hexdigest() == "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
