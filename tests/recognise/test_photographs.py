"""Real files with real faults: each is refused in one sentence, before anything large is decoded."""

import io
import os
import resource
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from digitexp.errors import DataError
from digitexp.recognise.ink import find
from digitexp.recognise.photographs import LONGEST, listed, read


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def bomb(side):
    """A PNG of a few kilobytes whose header claims side x side pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * 1_000_000, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def encoded(kind="PNG", size=(40, 30), **options):
    buffer = io.BytesIO()
    Image.effect_noise(size, 60).convert("RGB").save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", r"found an empty file, allowed is an image"),
        (b"hello, I am a text", r"found no image that can be read; allowed are \.png"),
        (b"%PDF-1.7 and so on", r"found no image that can be read"),
        (encoded()[:-200], r"the image is broken: .*truncated"),
        (encoded("JPEG")[:300], r"(?i)the image is broken: .*truncated"),
        (encoded()[:60] + b"\0\0\0\0" + encoded()[64:], r"the image is broken: "),
        (encoded("EPS"), r"found no image that can be read"),  # whose reader starts Ghostscript
        (encoded("TIFF", save_all=True, append_images=2 * [Image.new("RGB", (40, 30))]),
         r"found a TIFF of 3 pages, allowed is 1; save each page as a file of its own"),
        (bomb(11_000), r"found 11,000 x 11,000 pixels, allowed are at most 100,000,000 pixels; make it smaller first"),
        (bomb(60_000), r"found 3,600,000,000 pixels, allowed are at most 100,000,000 pixels"),
    ],
)
def test_what_is_no_image_is_refused(tmp_path, content, sentence):
    file = tmp_path / "page.png"
    file.write_bytes(content)
    with pytest.raises(DataError, match=sentence) as refused:
        read(str(file))
    assert str(refused.value).startswith(f"{file}: ")
    assert "\n" not in str(refused.value)


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path):
    (tmp_path / "bomb.png").write_bytes(bomb(60_000))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match="found 3,600,000,000 pixels"):
        read(str(tmp_path / "bomb.png"))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB; decoded it has 10 GB


def test_what_is_missing_or_forbidden_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.png: cannot be read: No such file or directory"):
        read(str(tmp_path / "nowhere.png"))
    with pytest.raises(DataError, match=r"cannot be read: Is a directory"):
        read(str(tmp_path))
    if os.geteuid():  # root may read anything
        (tmp_path / "secret.png").touch(0o000)
        with pytest.raises(DataError, match="cannot be read: Permission denied"):
            read(str(tmp_path / "secret.png"))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF", "WEBP"])
def test_kinds_of_files(tmp_path, kind):
    file = tmp_path / "any.name"  # the content tells
    file.write_bytes(encoded(kind, **({"lossless": True} if kind == "WEBP" else {})))
    pixels, scale = read(str(file))
    assert (pixels.dtype, pixels.shape, scale) == (np.uint8, (30, 40, 3), 1.0)
    with Image.open(file) as image:
        np.testing.assert_array_equal(pixels, np.asarray(image.convert("RGB"))[..., ::-1])


@pytest.mark.parametrize(("tag", "turn"), [(1, lambda x: x), (3, lambda x: x[::-1, ::-1]), (6, lambda x: np.rot90(x, -1)), (8, np.rot90)])
def test_a_photograph_is_turned_as_the_camera_was(tmp_path, tag, turn):
    picture = np.zeros((60, 90, 3), np.uint8)
    picture[:20, :30] = 255
    exif = Image.Exif()
    exif[0x0112] = tag
    Image.fromarray(picture).save(tmp_path / "photo.jpg", quality=100, exif=exif.tobytes())
    pixels, _ = read(str(tmp_path / "photo.jpg"))
    assert np.abs(pixels.astype(int) - turn(picture)).mean() < 3


def test_a_sound_picture_with_broken_exif_is_read(tmp_path):
    turn = struct.pack("<HHII", 0x0112, 3, 1, 6)
    unit = struct.pack("<HHII", 0x0128, 4, 1, 70_000)  # allowed are two bytes
    exif = b"Exif\0\0II*\0\x08\0\0\0\x02\0" + turn + unit + bytes(4)
    Image.new("RGB", (90, 60)).save(tmp_path / "photo.jpg", exif=exif)
    pixels, _ = read(str(tmp_path / "photo.jpg"))
    assert pixels.shape == (90, 60, 3)


@pytest.mark.parametrize(("size", "kept"), [((5000, 1), (1, 2000, 3)), ((1, 5000), (2000, 1, 3)), ((1025, 1), (1, 1025, 3))])
def test_the_thinnest_picture_is_read(tmp_path, size, kept):
    Image.new("L", size, 200).save(tmp_path / "thin.png")
    pixels, _ = read(str(tmp_path / "thin.png"))
    assert pixels.shape == kept
    assert find(pixels).strength.shape == kept[:2]


@pytest.mark.parametrize("kind", ["jpg", "png"])
def test_a_large_photograph_is_made_smaller(tmp_path, kind):
    y, x = np.mgrid[0:3000, 0:4000]
    picture = ((x + y) // 28).astype(np.uint8)
    cv2.imwrite(str(tmp_path / f"photo.{kind}"), picture)
    pixels, scale = read(str(tmp_path / f"photo.{kind}"))
    assert pixels.shape == (LONGEST * 3 // 4, LONGEST, 3)
    assert scale == pytest.approx(4000 / LONGEST)
    small = cv2.resize(picture, (LONGEST, LONGEST * 3 // 4), interpolation=cv2.INTER_AREA)
    assert np.abs(pixels[..., 0].astype(int) - small).mean() < 1.5


@pytest.mark.parametrize(("ink", "ground"), [((0, 0, 0), 255), ((255, 255, 255), 0), ((250, 240, 120), 0)])
def test_transparent_ink_lies_on_a_ground_that_it_can_be_told_from(tmp_path, ink, ground):
    picture = np.zeros((50, 50, 4), np.uint8)
    picture[20:30, 10:40] = (*ink, 255)
    Image.fromarray(picture).save(tmp_path / "ink.png")
    pixels, _ = read(str(tmp_path / "ink.png"))
    assert (pixels[0, 0] == ground).all()
    assert (pixels[25, 25] == ink[::-1]).all()


def test_a_page_with_transparent_corners_keeps_its_colour_there(tmp_path):
    picture = np.full((60, 60, 4), (230, 230, 230, 255), np.uint8)
    picture[:10, :10] = 0
    Image.fromarray(picture).save(tmp_path / "page.png")
    assert (read(str(tmp_path / "page.png"))[0] == 230).all()


def test_sixteen_bits_are_brought_to_eight(tmp_path):
    deep = np.linspace(0, 65535, 256 * 4).astype(np.uint16).reshape(4, 256)
    cv2.imwrite(str(tmp_path / "deep.png"), deep)
    pixels, _ = read(str(tmp_path / "deep.png"))
    assert np.abs(pixels[..., 0].astype(int) - deep // 257).max() <= 1


def test_a_folder_gives_its_images_in_order_but_not_what_was_written_there(tmp_path):
    for name in ("b.png", "a.JPG", "a.JPG.marks.png", "notes.txt", "a=b.webp"):
        (tmp_path / name).touch()
    (tmp_path / "deeper").mkdir()
    found = list(listed([str(tmp_path), "x.png", "-", str(tmp_path / "deeper")]))
    assert [(os.path.basename(path), error) for path, error in found[:5]] == [
        ("a.JPG", None), ("a=b.webp", None), ("b.png", None), ("x.png", None), ("-", None),
    ]  # fmt: skip
    assert "found no image in this folder; allowed are files that end in .png" in str(found[5][1])


def test_a_name_that_no_file_can_have_is_refused():
    name = 300 * "x" + ".png"
    assert list(listed([name])) == [(name, None)]
    with pytest.raises(DataError, match=r"x\.png: cannot be read: File name too long"):
        read(name)


def test_standard_input(monkeypatch):
    class Stream:
        buffer = io.BytesIO(encoded())

    monkeypatch.setattr("sys.stdin", Stream)
    assert read("-")[0].shape == (30, 40, 3)
    with pytest.raises(DataError, match="standard input: found an empty file"):
        read("-")
