"""What `digitexp predict` writes and says, and its exit code, with a network that knows our pen and with a real one."""

import csv
import json

import cv2
import numpy as np
import pytest
from pages import CLASSES, on_paper, overlap, page_of, reader

from digitexp import cli
from digitexp.command import paths as paths_of
from digitexp.recognise.network import Network
from digitexp.recognise.predictions import Read, Refused, predict

LINES = ["314", "15"]


class Knows:
    """A model that knows the digits of `LINES`."""

    def predict_on_batch(self, images):
        return reader(LINES)(images.astype(np.uint8))


NETWORK = Network("models:/pen/1", "0123456789ab", CLASSES, model=Knows())


@pytest.fixture
def page(tmp_path):
    """A page of `LINES`, larger than what is worked on, and the boxes of its digits."""
    cover, boxes = page_of(LINES, side=(400, 600))
    large = cv2.resize(on_paper(cover), None, fx=5, fy=5, interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(tmp_path / "page.jpg"), large)
    return tmp_path / "page.jpg", [tuple(5 * side for side in box) for box in boxes]


def test_picture_json_and_csv_agree(tmp_path, page):
    file, boxes = page
    (read,) = predict([str(file)], NETWORK, tmp_path / "read", 0.5, False)
    assert isinstance(read, Read)
    assert read.lines == LINES
    told = json.loads((tmp_path / "read" / "page.jpg.marks.json").read_text())
    assert (told["image"], told["width"], told["height"], told["lines"]) == (str(file), 3000, 2000, LINES)
    assert (told["model"], told["model_digest"], told["confidence"]) == ("models:/pen/1", "0123456789ab", 0.5)
    with (tmp_path / "read" / "page.jpg.marks.csv").open() as text:
        rows = list(csv.DictReader(text))
    assert [{name: str(value) for name, value in mark.items()} for mark in told["marks"]] == rows
    assert [(row["line"], row["place"], row["digit"]) for row in rows] == [
        ("1", "1", "3"), ("1", "2", "1"), ("1", "3", "4"), ("2", "1", "1"), ("2", "2", "5"),
    ]  # fmt: skip
    for mark, box in zip(told["marks"], boxes, strict=True):
        assert overlap([mark[name] for name in ("x", "y", "width", "height")], box) > 0.7
        assert mark["runner_up"] in CLASSES
        assert mark["probability"] >= mark["runner_up_probability"]
    picture = cv2.imread(str(read.picture))
    green = (picture[..., 1].astype(int) - picture[..., 2] > 60).sum()
    assert picture.shape == (1333, 2000, 3)
    assert green > 2000
    assert sorted(path.name for path in (tmp_path / "read").iterdir()) == [f"page.jpg.marks.{end}" for end in ("csv", "json", "png")]


def test_below_the_limit_it_says_so_everywhere(tmp_path, page):
    (read,) = predict([str(page[0])], NETWORK, tmp_path / "read", 0.999, False)
    told = json.loads((tmp_path / "read" / "page.jpg.marks.json").read_text())
    assert [mark["digit"] for mark in told["marks"]] == ["?" if mark["probability"] < 0.999 else mark["guess"] for mark in told["marks"]]
    assert "".join(told["lines"]).count("?") == sum(mark.digit == "?" for mark in read.marks) > 0


def test_debug_writes_every_step(tmp_path, page):
    list(predict([str(page[0])], NETWORK, tmp_path / "read", 0.5, True))
    steps = sorted(path.name for path in (tmp_path / "read" / "page.jpg.marks").iterdir())
    assert steps == ["1_strength.png", "2_ruled.png", "3_written.png", "4_candidates.png", "5_digits.png"]


def test_two_images_of_one_name_do_not_overwrite_each_other(tmp_path, page):
    (tmp_path / "other").mkdir()
    cv2.imwrite(str(tmp_path / "other" / "page.jpg"), np.full((300, 300, 3), 230, np.uint8))
    paths = [str(page[0]), str(tmp_path / "other" / "page.jpg")]
    first, second = predict(paths, NETWORK, tmp_path / "read", 0.5, False)
    assert (first.picture.name, second.picture.name) == ("page.jpg.marks.png", "page.jpg-2.marks.png")
    assert (len(first.marks), len(second.marks)) == (5, 0)


def test_a_folder_that_cannot_be_written_is_said(tmp_path, page):
    (tmp_path / "read").write_text("a file")
    (outcome,) = predict([str(page[0])], NETWORK, tmp_path / "read", 0.5, False)
    assert isinstance(outcome, Refused)
    assert "cannot be written" in str(outcome.error)


@pytest.fixture
def command(network_file, tmp_path, monkeypatch, capfd):
    """`digitexp predict WORDS` with a real network, in a folder of images: exit code, output, errors."""
    monkeypatch.chdir(tmp_path)
    cover, _ = page_of(LINES, side=(400, 600))
    for name in ("a=b.png", "page.png", "folder/in.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(name, on_paper(cover))
    (tmp_path / "broken.png").write_bytes((tmp_path / "page.png").read_bytes()[:-500])
    (tmp_path / "empty.png").touch()

    def run(*words):
        code = cli.main(["predict", *words, f"predict.model={network_file}"])
        shown = capfd.readouterr()  # `quiet` writes to the descriptor
        return code, shown.out, shown.err

    return run


def test_what_can_be_read_is_read_and_the_exit_code_tells_of_the_rest(command, tmp_path):
    code, output, errors = command("page.png", "broken.png", "a=b.png", "empty.png", "folder", "missing.png", "predict.confidence=0.2")
    assert code == 1
    assert [line.split(":")[1].strip() for line in errors.splitlines()] == ["broken.png", "empty.png", "missing.png"]
    written = sorted(path.name for path in (tmp_path / "predictions").glob("*.png"))
    assert written == ["a=b.png.marks.png", "in.png.marks.png", "page.png.marks.png"]
    assert output.count("5 digits in 2 lines") == 3
    assert max(map(len, output.splitlines())) <= 120


def test_exit_codes(command):
    assert command("page.png", "a=b.png")[0] == 0
    assert command("broken.png", "empty.png")[0] == 2
    code, _, errors = command()
    assert (code, errors) == (2, "ConfigError: predict: found no image; type digitexp predict IMAGE..., a folder, or - for standard input.\n")
    code, _, errors = command("page.png", "predict.confidance=1")
    assert code == 2
    assert "Did you mean 'predict.confidence'" in errors
    code, _, errors = command("page.png", "predict.confidence=1")
    assert "predict.confidence=1.0: must be a probability from 0 to below 1" in errors


@pytest.mark.parametrize(
    ("words", "paths", "settings"),
    [
        (["a.png", "data=mnist"], ["a.png"], ["data=mnist"]),
        (["lr=0.1/x.png", "predict.debug=true"], ["lr=0.1/x.png"], ["predict.debug=true"]),
        (["./data=mnist.png"], ["./data=mnist.png"], []),
        (["-", "--cfg", "seed=2"], ["-"], ["--cfg", "seed=2"]),
        (["+sweep=x", "~data.path", "++hydra.x=1", "model"], ["model"], ["+sweep=x", "~data.path", "++hydra.x=1"]),
        (["scan of seed=1.png", "~/digits"], ["scan of seed=1.png", "~/digits"], []),
    ],
)
def test_paths_are_told_from_settings(words, paths, settings):
    assert paths_of(words) == paths
    assert words == settings
