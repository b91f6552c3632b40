"""The competition's files are read as pandas reads them, whatever the block; the stand-in has its shape and MNIST's images."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import write_kaggle
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from digitexp.compose import compose
from digitexp.data import kaggle
from digitexp.data.digits import Digits
from digitexp.data.kaggle import read_images, read_table, read_test, read_train, stand_in
from digitexp.data.leakage import leaked
from digitexp.data.mnist import CLASSES, read_mnist
from digitexp.data.sets import load

TABLES = hnp.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 9)))


def made(count: int, first: int = 0) -> Digits:
    rng = np.random.default_rng(first)
    images = rng.integers(0, 256, (count, 28, 28), np.uint8)
    return Digits(images, np.arange(count) % 10, CLASSES, np.full(count, "made"))


@settings(max_examples=60)
@given(TABLES, st.integers(1, 300), st.sampled_from(["\n", "\r\n"]), st.sampled_from(["", "\n", "\n\n\n"]))
def test_a_table_is_what_pandas_reads(tmp_path_factory, table, block, newline, end) -> None:
    file = tmp_path_factory.getbasetemp() / "table.csv"
    text = newline.join(",".join(map(str, row)) for row in table.tolist())
    file.write_bytes((text + end).encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kaggle, "BLOCK", block)
        found = read_table(file, None, [255] * table.shape[1])
    assert found.dtype == np.uint8
    assert np.array_equal(found, pd.read_csv(io.StringIO(text), header=None).to_numpy())


@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_both_files_are_read_with_their_headers(tmp_path: Path, start: str) -> None:
    train, test = made(25), made(15, first=1)
    write_kaggle(tmp_path, train, test)
    file = tmp_path / "train.csv"
    file.write_text(start + file.read_text(), encoding="utf-8")
    for found, given_ in ((read_train(tmp_path), train), (read_test(tmp_path, tmp_path / "test_labels.csv"), test)):
        assert np.array_equal(found.images, given_.images)
        assert np.array_equal(found.labels, given_.labels)
        assert set(found.origin) == {"kaggle"}
    assert np.array_equal(read_images(tmp_path), test.images)


def test_all_of_train_csv_can_be_trained_and_validated_on(tmp_path: Path) -> None:
    write_kaggle(tmp_path, made(200), made(15, first=1))
    config = compose(["data=kaggle", f"data.path={tmp_path}", "data.validation=0.2", "data.test=0"])
    assert config.data.evaluation_sets == ("val",)
    assert {name: len(part) for name, part in load(config.data).items()} == {"train": 160, "val": 40}


def test_the_stand_in_is_every_image_once_with_its_label() -> None:
    train, test = made(60), made(10, first=1)
    first, second = stand_in(train, test)
    assert (len(first), len(second)) == (42, 28)
    assert set(first.origin) == set(second.origin) == {"kaggle stand-in"}
    told = {image.tobytes(): label for part in (train, test) for image, label in zip(part.images, part.labels, strict=True)}
    again = {image.tobytes(): label for part in (first, second) for image, label in zip(part.images, part.labels, strict=True)}
    assert told == again
    assert stand_in(train, test)[0].digest() == first.digest()
    assert first.labels.tolist() != train.labels[:42].tolist()


def test_the_stand_in_of_the_real_mnist_overlaps_it_as_the_competition_does(mnist: Path) -> None:
    train, test = read_mnist(str(mnist))
    first, second = stand_in(train, test)
    assert (len(first), len(second)) == (42_000, 28_000)
    assert 23_800 < leaked(second, train).sum() < 24_200  # 28,000 x 60,000 / 70,000 = 24,000 are expected
    assert not leaked(second, first).any()


MEMORY = """
import sys
from digitexp.compose import compose
from digitexp.data.sets import load
config = compose(sys.argv[1:])
sets = load(config.data)
assert all(digits.images.dtype == "uint8" for digits in sets.values())
# Not getrusage: there a program begins with the peak of the process that started it.
(peak,) = (line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:"))
print(*(len(digits) for digits in sets.values()), int(peak) * 1024 / 1e9)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells the peak of one process")
def test_mnist_and_the_70_000_rows_fit_in_little_memory(mnist: Path, tmp_path: Path) -> None:
    write_kaggle(tmp_path, *stand_in(*read_mnist(str(mnist))))
    overrides = ["data=mnist", f"data.path={mnist}", "data.also.name=kaggle", f"data.also.path={tmp_path}",
                 f"data.test_labels={tmp_path}/test_labels.csv", "data.remove_leakage=true"]  # fmt: skip
    run = subprocess.run([sys.executable, "-c", MEMORY, *overrides], capture_output=True, text=True, check=True)
    *sizes, peak = run.stdout.split()
    print(f"peak {peak} GB")
    assert sizes[2:] == ["10000", "28000"]
    assert 60_000 < int(sizes[0]) + int(sizes[1]) < 102_000
    assert float(peak) < 1.5
