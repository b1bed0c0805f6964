import hashlib
import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from attnlib.data import formats, image
from attnlib.errors import AttnlibError, ImageError

Pixel = tuple[int, ...]


def encode(picture: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def photo(width: int = 48, height: int = 32) -> Image.Image:
    """A smooth picture whose four corners differ."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, 255 - x], axis=2).astype(np.uint8))


def png(width: int, height: int, body: bytes, depth: int = 8, colour: int = 2) -> bytes:
    """A hand-made PNG with these dimensions in its header and any compressed body."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    magic = b"\x89PNG\r\n\x1a\n"
    return magic + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def tiff(tags: list[tuple[int, int, int, int]], data: bytes = b"") -> bytes:
    """A hand-made little-endian TIFF of (tag, type, count, value); ``data`` is at offset 200."""
    directory = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + directory + bytes(4)
    assert len(head) <= 200
    return head.ljust(200, b"\0") + data


def grey_tiff(bits: int, white_is_zero: bool, data: bytes) -> bytes:
    shape = [(256, 4, 1, 8), (257, 4, 1, 8), (258, 3, 1, bits), (259, 3, 1, 1)]
    meaning = [(262, 3, 1, 0 if white_is_zero else 1), (273, 4, 1, 200), (277, 3, 1, 1)]
    return tiff([*shape, *meaning, (278, 4, 1, 8), (279, 4, 1, len(data))], data)


def many_values() -> bytes:
    count = image.MAX_TIFF_VALUES + 1
    return tiff([(256, 4, 1, 64), (257, 4, 1, 64), (273, 4, count, 200)], bytes(4 * count))


def many_values_in_exif() -> bytes:
    count = image.MAX_TIFF_VALUES + 1
    exif = struct.pack("<HHHII", 1, 0x9201, 4, count, 300)
    return tiff([(256, 4, 1, 64), (257, 4, 1, 64), (34665, 4, 1, 200)], exif + bytes(4 * count))


def many_scans() -> bytes:
    data = encode(photo(), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * image.MAX_JPEG_SCANS + data[-2:]


PNG = encode(photo(), "PNG")
JPEG = encode(photo(), "JPEG")
GIF = encode(photo(), "GIF")
AVIF = encode(photo(), "AVIF")
BMP = encode(photo(), "BMP")

BAD: list[tuple[str, Callable[[], bytes], str]] = [
    ("empty", lambda: b"", "empty"),
    ("text", lambda: b"hello, this is no picture", "not an image format we read"),
    ("zeros", lambda: bytes(1000), "not an image format we read"),
    ("html", lambda: b"\n<!DOCTYPE html><html><body>404</body></html>", "HTML page"),
    ("svg", lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG drawing"),
    ("svg with prologue", lambda: b"\xef\xbb\xbf<?xml version='1.0'?>\n<svg/>", "SVG drawing"),
    ("heic", lambda: b"\0\0\0\x18ftypheic" + bytes(99), "HEIC"),
    ("pdf", lambda: b"%PDF-1.7", "PDF"),
    ("zip", lambda: b"PK\x03\x04" + bytes(99), "zip file"),
    ("postscript", lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n", "not an image format we read"),
    ("icon", lambda: encode(photo(), "ICO"), "not an image format we read"),
    ("truncated jpeg", lambda: JPEG[: len(JPEG) // 2], "JPEG file is damaged, truncated"),
    ("truncated png", lambda: PNG[: len(PNG) // 2], "PNG file is damaged, truncated"),
    ("truncated gif", lambda: GIF[:900], "GIF file is damaged, truncated"),
    ("truncated bmp", lambda: BMP[:-99], "BMP file is damaged, truncated"),
    ("truncated tiff", lambda: encode(photo(), "TIFF")[:-99], "TIFF file is damaged, truncated"),
    ("truncated webp", lambda: encode(photo(), "WebP")[:-40], "WebP file is damaged, truncated"),
    ("truncated avif", lambda: AVIF[:-99], "AVIF file is damaged, truncated"),
    ("video", lambda: b"\0\0\0\x18ftypisom\0\0\2\0isommp42", "a video file"),
    ("only a magic", lambda: PNG[:8], "damaged"),
    ("header bomb", lambda: png(60_000, 60_000, b""), "too many pixels"),
    ("header of 4 billion squared", lambda: png(2**31 - 1, 2**31 - 1, b""), "too many pixels"),
    ("just over", lambda: png(8001, 8001, b""), "too many pixels: 8001 x 8001"),
    ("over Pillow's warning", lambda: png(10_000, 10_000, b""), "too many pixels: 10000 x 10000"),
    ("real bomb", lambda: encode(Image.new("1", (9_000, 9_000)), "PNG"), "too many pixels"),
    ("webp bomb", lambda: webp_header(16_384, 16_384), "too many pixels"),
    ("gif bomb", lambda: GIF[:6] + struct.pack("<HH", 65535, 65535) + GIF[10:], "too many pixels"),
    ("one pixel", lambda: encode(photo(1, 1), "PNG"), "too small: 1 x 1"),
    ("thin", lambda: encode(photo(20_000, 1), "PNG"), "too small: 20000 x 1"),
    ("narrow", lambda: encode(photo(8, 257), "PNG"), "too narrow: 8 x 257"),
    ("64 MiB", lambda: PNG + bytes(image.MAX_BYTES), "too large: 64 MiB"),
    ("tag bomb", many_values, "tag values"),
    ("exif tag bomb", many_values_in_exif, "tag values"),
    ("scan bomb", many_scans, "scans"),
    ("float above 1", lambda: encode(flat("F", 200.0), "TIFF"), "0..1.*go from 200 to 200"),
    ("not a number", lambda: encode(flat("F", float("nan")), "TIFF"), "0..1.*nan"),
    ("negative integers", lambda: encode(flat("I", -5), "TIFF"), "0..65535.*go from -5 to -5"),
    ("large integers", lambda: encode(flat("I", 65_536), "TIFF"), "0..65535.*65536"),
]


def flat(mode: str, value: float | Pixel) -> Image.Image:
    return Image.new(mode, (16, 16), value)


def webp_header(width: int, height: int) -> bytes:
    data = bytearray(encode(Image.new("RGBA", (16, 16), (1, 2, 3, 4)), "WebP", exif=b"Exif\0\0"))
    assert data[12:16] == b"VP8X"
    data[24:27], data[27:30] = (n.to_bytes(3, "little") for n in (width - 1, height - 1))
    return bytes(data)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(("make", "reason"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_bytes_are_refused_with_their_reason(make: Callable[[], bytes], reason: str) -> None:
    data = make()
    with pytest.raises(ImageError, match=reason):
        image.decode(data)


@pytest.mark.filterwarnings("error")
def test_pillows_bomb_warning_is_our_error_even_where_warnings_are_errors() -> None:
    with pytest.raises(ImageError, match="too many pixels"):
        image.check(png(10_000, 10_000, b""))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WebP", "BMP", "TIFF", "GIF", "AVIF"])
def test_pillow_is_given_one_named_format(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    seen: list[object] = []
    pillow = Image.open

    def spy(stream: io.BytesIO, **options: object) -> Image.Image:
        seen.append(options)
        return pillow(stream)

    monkeypatch.setattr("PIL.Image.open", spy)
    image.check(encode(photo(), kind))
    assert seen == [{"formats": (kind,)}]


def test_check_decodes_no_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", refuse)
    image.check(PNG)
    image.check(JPEG)
    with pytest.raises(ImageError, match="too small"):
        image.check(encode(photo(1, 1), "PNG"))


def test_a_body_larger_than_its_header_says_is_not_inflated_whole() -> None:
    rows = zlib.compress(bytes(8 * (1 + 8 * 3) + 50_000_000))
    assert image.decode(png(8, 8, rows)).size == (8, 8)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WebP", "BMP", "TIFF", "GIF", "AVIF"])
def test_every_format_decodes_to_plain_rgb(kind: str) -> None:
    options = {"lossless": True} if kind == "WebP" else {}
    picture = image.decode(encode(photo(), kind, **options))
    assert type(picture) is Image.Image
    assert (picture.mode, picture.size) == ("RGB", (48, 32))
    error = np.abs(np.asarray(picture).astype(int) - np.asarray(photo()).astype(int))
    assert error.mean() < {"JPEG": 3, "GIF": 8, "AVIF": 3}.get(kind, 1e-9)


def test_the_limits_themselves_are_allowed() -> None:
    assert image.decode(encode(photo(8, 8), "PNG")).size == (8, 8)
    assert image.decode(encode(photo(8, 256), "PNG")).size == (8, 256)
    image.check(png(8000, 8000, b""))


# The stored 2 x 3 letters of "ABC/DEF" and how each EXIF orientation is to be seen.
UPRIGHT = {
    1: ["ABC", "DEF"],
    2: ["CBA", "FED"],
    3: ["FED", "CBA"],
    4: ["DEF", "ABC"],
    5: ["AD", "BE", "CF"],
    6: ["DA", "EB", "FC"],
    7: ["FC", "EB", "DA"],
    8: ["CF", "BE", "AD"],
}


def letters(rows: list[str]) -> np.ndarray:
    """Each letter as a block of 16 x 16 pixels of its own grey."""
    grey = np.array([[40 * (ord(letter) - 64) for letter in row] for row in rows], np.uint8)
    return np.repeat(np.kron(grey, np.ones((16, 16), np.uint8))[..., None], 3, axis=2)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(letters(UPRIGHT[1]))
    seen = np.asarray(image.decode(encode(stored, kind, exif=exif.tobytes())))
    expected = letters(UPRIGHT[orientation])
    assert seen.shape == expected.shape
    assert np.abs(seen.astype(int) - expected).max() < 12  # the JPEG's own error


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize(
    "exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0"]
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP"])
def test_broken_metadata_does_not_cost_the_picture(kind: str, exif: bytes) -> None:
    assert image.decode(encode(photo(), kind, exif=exif)).size == (48, 32)


def test_no_metadata_is_kept() -> None:
    data = encode(photo(), "PNG", icc_profile=b"profile")
    assert Image.open(io.BytesIO(data)).info["icc_profile"] == b"profile"
    assert image.decode(data).info == {}


def palette_with_transparency() -> bytes:
    picture = flat("P", 0)
    picture.putpalette([200, 10, 20, 7, 8, 9])
    picture.paste(1, (8, 0, 16, 16))
    return encode(picture, "PNG", transparency=1)


def deep_colour() -> bytes:
    row = b"\0" + b"\xff\xff\x80\x80\0\0" * 8
    return png(8, 8, zlib.compress(row * 8), depth=16)


STRIPES = np.resize(np.array([0, 65535], "<u2"), (8, 8)).tobytes()
WHITE, PINK = (255, 255, 255), (255, 204, 204)


# name, bytes, expected pixel at (0, 0), expected pixel in the last column, tolerance
COLOURS: list[tuple[str, Callable[[], bytes], Pixel, Pixel, int]] = [
    ("palette", palette_with_transparency, (200, 10, 20), (255, 255, 255), 0),
    ("LA", lambda: encode(flat("LA", (0, 51)), "PNG"), (204,) * 3, (204,) * 3, 0),
    ("RGBA", lambda: encode(flat("RGBA", (255, 0, 0, 51)), "PNG"), PINK, PINK, 0),
    ("RGBA opaque", lambda: encode(flat("RGBA", (1, 2, 3, 255)), "PNG"), (1, 2, 3), (1, 2, 3), 0),
    ("RGBA clear", lambda: encode(flat("RGBA", (1, 2, 3, 0)), "PNG"), (255,) * 3, (255,) * 3, 0),
    ("grey", lambda: encode(flat("L", 77), "PNG"), (77,) * 3, (77,) * 3, 0),
    ("1-bit", lambda: encode(flat("1", 1), "PNG"), (255,) * 3, (255,) * 3, 0),
    ("CMYK", lambda: encode(flat("CMYK", (255, 0, 0, 0)), "JPEG"), (0, 255, 255), (0, 255, 255), 3),
    ("CMYK tiff", lambda: encode(flat("CMYK", (0, 0, 0, 255)), "TIFF"), (0, 0, 0), (0, 0, 0), 0),
    ("YCbCr", lambda: encode(flat("YCbCr", (100, 128, 128)), "TIFF"), (100,) * 3, (100,) * 3, 1),
    ("LAB white", lambda: encode(flat("LAB", (255, 128, 128)), "TIFF"), (255,) * 3, (255,) * 3, 2),
    ("LAB red", lambda: encode(flat("LAB", (138, 209, 198)), "TIFF"), (255, 0, 0), (255, 0, 0), 6),
    ("16-bit", lambda: encode(flat("I;16", 65_535), "PNG"), (255,) * 3, (255,) * 3, 0),
    ("16-bit mid", lambda: encode(flat("I;16", 32_896), "PNG"), (128,) * 3, (128,) * 3, 0),
    ("16-bit rounds", lambda: encode(flat("I;16", 386), "PNG"), (2,) * 3, (2,) * 3, 0),
    ("16-bit low", lambda: encode(flat("I;16", 257), "TIFF"), (1,) * 3, (1,) * 3, 0),
    ("16-bit motorola", lambda: encode(flat("I;16B", 257), "TIFF"), (1,) * 3, (1,) * 3, 0),
    ("16-bit white is zero", lambda: grey_tiff(16, True, STRIPES), WHITE, (0,) * 3, 0),
    ("16-bit black is zero", lambda: grey_tiff(16, False, STRIPES), (0,) * 3, WHITE, 0),
    ("12-bit", lambda: grey_tiff(12, False, b"\xff\xff\xff" * 32), (255,) * 3, (255,) * 3, 0),
    ("integers", lambda: encode(flat("I", 32_896), "TIFF"), (128,) * 3, (128,) * 3, 0),
    ("float", lambda: encode(flat("F", 0.6), "TIFF"), (153,) * 3, (153,) * 3, 0),
    ("16-bit colour", deep_colour, (255, 128, 0), (255, 128, 0), 0),
]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "first", "last", "tolerance"),
    [row[1:] for row in COLOURS],
    ids=[r[0] for r in COLOURS],
)
def test_every_colour_mode(
    make: Callable[[], bytes], first: Pixel, last: Pixel, tolerance: int
) -> None:
    pixels = np.asarray(image.decode(make())).astype(int)
    assert np.abs(pixels[0, 0] - first).max() <= tolerance
    assert np.abs(pixels[-1, -1] - last).max() <= tolerance


@pytest.mark.parametrize("kind", ["GIF", "WebP", "PNG"])
def test_first_frame_of_an_animation(kind: str) -> None:
    red, blue = flat("RGB", (255, 0, 0)), flat("RGB", (0, 0, 255))
    data = encode(red, kind, save_all=True, append_images=[blue], duration=50)
    assert getattr(Image.open(io.BytesIO(data)), "n_frames", 1) == 2
    assert image.decode(data).getpixel((5, 5)) == pytest.approx((255, 0, 0), abs=2)


def test_a_gif_frame_cannot_outgrow_the_limits() -> None:
    data = bytearray(encode(photo(16, 16), "GIF"))
    frame = data.index(b"\x2c\0\0\0\0")
    data[frame + 5 : frame + 9] = struct.pack("<HH", 9000, 9000)
    with pytest.raises(ImageError, match="too many pixels"):
        image.decode(bytes(data))


@pytest.mark.parametrize(
    ("brand", "kind", "package"), [(b"avif", "AVIF", "pillow"), (b"heic", "HEIC", "pillow-heif")]
)
def test_what_is_not_installed_is_refused_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, brand: bytes, kind: str, package: str
) -> None:
    monkeypatch.setattr(formats, "FORMATS", ("JPEG", "PNG"))
    head = b"\0\0\0\x1cftyp" + brand + bytes(4) + b"mif1miaf"
    with pytest.raises(ImageError, match=rf"This is an {kind} file.*pip install {package}\b"):
        image.check(head + bytes(99))


@pytest.mark.skipif("HEIC" not in image.FORMATS, reason="pillow-heif is optional")
def test_heic_is_decoded_where_its_wheel_is_installed() -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    seen = np.asarray(image.decode(encode(photo(), "HEIF", quality=100))).astype(int)
    assert np.abs(seen - np.asarray(photo())).mean() < 3


def test_sha256() -> None:
    assert image.sha256(b"abc") == hashlib.sha256(b"abc").hexdigest()


def test_an_image_error_is_an_attnlib_error() -> None:
    assert issubclass(ImageError, AttnlibError)


SEEDS = [PNG, JPEG, GIF, BMP, encode(photo(), "WebP"), encode(photo(), "TIFF"), AVIF]
MAGICS = [seed[:size] for seed in SEEDS for size in (0, 4, 12, 30)]


def decodes_or_refuses(data: bytes) -> None:
    try:
        picture = image.decode(data)
    except ImageError:
        return
    assert picture.mode == "RGB"
    assert picture.tobytes()


@given(st.sampled_from(MAGICS), st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
@pytest.mark.filterwarnings("ignore")
def test_random_bytes_decode_or_are_refused(magic: bytes, tail: bytes) -> None:
    decodes_or_refuses(magic + tail)


@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 2**16), st.binary(min_size=1, max_size=4)), max_size=6),
    st.one_of(st.just(1.0), st.floats(0.1, 1.0)),
)
@settings(max_examples=300, deadline=None)
@pytest.mark.filterwarnings("ignore")
def test_mutations_decode_or_are_refused(
    seed: bytes, edits: list[tuple[int, bytes]], kept: float
) -> None:
    data = bytearray(seed)
    for position, patch in edits:
        at = position % len(data)
        data[at : at + len(patch)] = patch
    decodes_or_refuses(bytes(data[: int(len(data) * kept)]))


@pytest.mark.parametrize(
    "error",
    [OSError, ValueError, SyntaxError, struct.error, EOFError, IndexError, MemoryError, zlib.error,
     RecursionError, TypeError, KeyError, Image.DecompressionBombError],
)  # fmt: skip
@pytest.mark.parametrize("where", ["PIL.Image.open", "PIL.ImageFile.ImageFile.load"])
def test_whatever_pillow_raises_is_an_image_error(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception], where: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error("internal detail")

    monkeypatch.setattr(where, fail)
    with pytest.raises(ImageError) as caught:
        image.decode(BMP)
    assert "internal" not in str(caught.value)


def exif(orientation: int) -> bytes:
    made = Image.Exif()
    made[0x0112] = orientation
    return made.tobytes()


RGBA = Image.merge("RGBA", (*photo().split(), Image.linear_gradient("L").resize((48, 32))))
DEEP = Image.fromarray(np.linspace(0, 65535, 16 * 16).reshape(16, 16).astype(np.uint16))
P3 = b"no profile at all"
DONE: list[tuple[str, bytes, str, str]] = [
    ("plain", PNG, "", ""),
    ("turned", encode(photo(), "PNG", exif=exif(6)), "turned upright (EXIF orientation 6)",
     "not turned upright (EXIF orientation 6)"),
    ("not turned", encode(photo(), "PNG", exif=exif(1)), "", ""),
    ("transparent", encode(RGBA, "PNG"), "transparency laid on white", "transparency dropped"),
    ("opaque RGBA", encode(photo().convert("RGBA"), "PNG"), "", ""),
    ("CMYK", encode(photo().convert("CMYK"), "JPEG"), "converted from CMYK",
     "converted from CMYK"),
    ("16 bits", encode(DEEP, "PNG"), "16 bits scaled to 8", "pixels above 255 cut off"),
    ("profile", encode(photo(), "PNG", icc_profile=P3), "colour profile not applied (unreadable)",
     "colour profile not applied (unreadable)"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "upright", "loaded"), [row[1:] for row in DONE], ids=[row[0] for row in DONE]
)
def test_what_was_done_to_a_picture_is_said(data: bytes, upright: str, loaded: str) -> None:
    assert ", ".join(image.read(data).notes) == upright
    as_loaded = image.read(data, "as loaded")
    assert ", ".join(as_loaded.notes) == loaded
    # As torchvision.datasets.folder.pil_loader.
    theirs = Image.open(io.BytesIO(data)).convert("RGB")
    assert np.array_equal(np.asarray(as_loaded.picture), np.asarray(theirs))
    assert np.array_equal(np.asarray(image.decode(data)), np.asarray(image.read(data).picture))


def test_the_standard_profile_is_no_news() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert image.read(encode(photo(), "PNG", icc_profile=profile)).notes == ()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_mask_is_turned_as_its_image_is_stored(orientation: int) -> None:
    stored = letters(UPRIGHT[1])
    data = encode(Image.fromarray(stored), "PNG", exif=exif(orientation))
    of_a = np.asarray(image.decode(data))[..., 0] == 40
    assert np.array_equal(image.as_stored(of_a, data), stored[..., 0] == 40)


@pytest.mark.parametrize("decoding", image.DECODINGS)
def test_opacity_is_kept_for_four_channels(decoding: image.Decoding) -> None:
    values = np.random.default_rng(0).integers(0, 256, (9, 16, 4), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = Image.fromarray(values)
    found = image.read(encode(stored, "PNG", exif=exif.tobytes()), decoding, 4)
    upright = decoding == "upright"
    # EXIF 6: the stored top is the right side.
    expected = np.rot90(values, -1) if upright else values
    np.testing.assert_array_equal(np.asarray(found.picture), expected)
    done = "turned upright" if upright else "not turned upright"
    assert found.notes == (f"{done} (EXIF orientation 6)",), "nothing was laid on white"


def test_files_without_opacity_are_opaque_for_four_channels() -> None:
    plain, deep = encode(photo(), "PNG"), encode(flat("I;16", 32_896), "PNG")
    found = np.asarray(image.decode(plain, channels=4))
    np.testing.assert_array_equal(found[..., :3], np.asarray(photo()))
    assert (found[..., 3] == 255).all()
    assert image.decode(deep, channels=4).getpixel((0, 0)) == (128, 128, 128, 255)


def test_grey_for_one_channel() -> None:
    """Grey files give their own numbers, colours their luma (ITU-R 601-2), on white first."""
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    found = image.decode(encode(Image.fromarray(grey), "PNG"), channels=1)
    assert found.mode == "L"
    np.testing.assert_array_equal(np.asarray(found), grey)
    assert image.decode(encode(flat("I;16", 32_896), "PNG"), channels=1).getpixel((0, 0)) == 128
    data = encode(flat("RGBA", (200, 100, 50, 51)), "PNG")
    laid = 255 * 0.8 + np.array([200, 100, 50]) * 0.2
    luma = laid @ [0.299, 0.587, 0.114]
    assert image.decode(data, channels=1).getpixel((0, 0)) == pytest.approx(luma, abs=1)
    assert image.decode(data, channels=7).mode == "RGB"
