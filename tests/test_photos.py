"""Photos as people have them: every kind of file is used rightly, or put aside with its reason."""

import errno
import io
import os
import struct
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torchvision.transforms import functional as tf

from resnet_edu.data import photos
from resnet_edu.data.photos import FolderError, PhotoError

CORNERS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)]
"""Top left, top right, bottom left, bottom right."""


def picture(width=32, height=16):
    """Four corners of four colours."""
    pixels = np.zeros((height, width, 3), np.uint8)
    for place, colour in enumerate(CORNERS):
        rows = slice(height // 2) if place < 2 else slice(height // 2, None)
        columns = slice(width // 2) if place % 2 == 0 else slice(width // 2, None)
        pixels[rows, columns] = colour
    return Image.fromarray(pixels)


def noise(width, height, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def values(image):
    """A Pillow image as `read` should give it."""
    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1) / 255


def check_pixels(path, image, atol=1e-6, side=16):
    photos.check(path)
    torch.testing.assert_close(photos.read(path, side), values(image), atol=atol, rtol=0)


@pytest.fixture
def saved(tmp_path):
    def save(image, name="photo.png", **options):
        image.save(tmp_path / name, **options)
        return tmp_path / name

    return save


# Files that are used


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.ppm", "a.tga"])
def test_colour(saved, name):
    check_pixels(saved(picture(), name), picture())


@pytest.mark.parametrize("options", [{"format": "WEBP", "lossless": True}, {"format": "JPEG2000"}])
def test_colour_in_newer_formats(saved, options):
    check_pixels(saved(picture(), "a.bin", **options), picture())


@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg(saved, progressive):
    image = noise(8, 4).resize((32, 16))
    path = saved(image, "a.jpg", quality=95, subsampling=0, progressive=progressive)

    check_pixels(path, image, atol=0.05)


@pytest.mark.parametrize("mode", ["L", "1"])
def test_grey_and_black_and_white_have_three_equal_channels(saved, mode):
    image = picture().convert(mode)
    read = photos.read(saved(image), 16)

    check_pixels(saved(image), image)
    assert torch.equal(read[0], read[1])
    assert torch.equal(read[0], read[2])


def test_a_palette(saved):
    check_pixels(saved(picture().quantize(4)), picture().quantize(4))


def test_a_palette_with_a_transparent_colour_is_white_there(saved):
    image = picture().quantize(4)
    clear = image.getpixel((0, 0))
    expected = picture()
    expected.paste((255, 255, 255), (0, 0, 16, 8))

    check_pixels(saved(image, transparency=clear), expected)
    check_pixels(saved(image, "a.gif", transparency=clear), expected)


def test_cmyk(saved):
    ink = Image.new("CMYK", (32, 16), (255, 0, 255, 0))
    path = saved(ink, "a.jpg", quality=95)

    check_pixels(path, Image.new("RGB", (32, 16), (0, 255, 0)), atol=0.03)
    check_pixels(saved(ink, "a.tif"), Image.new("RGB", (32, 16), (0, 255, 0)))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_parts_are_white(saved, mode):
    image = picture().convert(mode)
    alpha = Image.new("L", image.size, 255)
    alpha.paste(0, (0, 0, 16, 8))
    alpha.paste(128, (16, 0, 32, 8))
    image.putalpha(alpha)
    colours = torch.tensor(np.array(picture().convert(mode).convert("RGB"))).permute(2, 0, 1) / 255
    share = torch.tensor(np.array(alpha)) / 255

    read = photos.read(saved(image), 16)
    torch.testing.assert_close(read, colours * share + (1 - share), atol=0.005, rtol=0)


def test_what_is_transparent_does_not_bleed_into_its_surroundings_when_scaled(saved):
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))  # black, but not to be seen
    image.paste((255, 255, 255, 255), (16, 16, 48, 48))

    assert photos.read(saved(image), 10).min() == 1


def test_grey_with_a_transparent_value(saved):
    image = Image.new("L", (32, 16), 40)
    image.paste(90, (0, 0, 16, 16))
    expected = image.copy()
    expected.paste(255, (0, 0, 16, 16))

    check_pixels(saved(image, transparency=90), expected)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_16_bits(saved, name):
    levels = np.linspace(0, 65535, 32 * 16).reshape(16, 32)
    path = saved(Image.fromarray(levels.astype(np.uint16)), name)
    expected = torch.tensor(levels / 65535).float().expand(3, -1, -1)

    torch.testing.assert_close(photos.read(path, 16), expected, atol=0.0025, rtol=0)


def test_16_bits_in_colour(tmp_path):
    import zlib

    def chunk(kind, content):
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    row = b"\0" + struct.pack(">3H", 65535, 32896, 0) * 20
    head = struct.pack(">IIBBBBB", 20, 20, 16, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(row * 20)) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)

    check_pixels(tmp_path / "a.png", Image.new("RGB", (20, 20), (255, 128, 0)), side=20)


HELD = {  # where row 0 and column 0 of the stored photo are seen: EXIF 2.32, tag Orientation
    1: lambda upright: upright,  # top, left
    2: np.fliplr,  # top, right
    3: lambda upright: np.rot90(upright, 2),  # bottom, right
    4: np.flipud,  # bottom, left
    5: lambda upright: upright.transpose(1, 0, 2),  # left, top
    6: np.rot90,  # right, top
    7: lambda upright: np.rot90(upright, 2).transpose(1, 0, 2),  # right, bottom
    8: lambda upright: np.rot90(upright, -1),  # left, bottom
}


@pytest.mark.parametrize("orientation", HELD)
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
def test_a_photo_is_turned_as_the_camera_was_held(saved, orientation, name):
    stored = Image.fromarray(np.ascontiguousarray(HELD[orientation](np.array(picture(48, 32)))))
    notes = Image.Exif()
    notes[0x0112] = orientation
    exact = {"a.webp": {"lossless": True}, "a.jpg": {"quality": 95, "subsampling": 0}}
    path = saved(stored, name, exif=notes.tobytes(), **exact.get(name, {}))

    check_pixels(path, picture(48, 32), atol=0.02, side=32)


def test_damaged_notes_do_not_cost_the_photo(saved):
    path = saved(
        picture(),
        "a.jpg",
        exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01",
        quality=95,
        subsampling=0,
    )

    check_pixels(path, picture(), atol=0.02)


def test_an_animation_gives_its_first_picture(saved):
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    for name in ("a.gif", "a.png", "a.webp"):
        options = {"lossless": True} if name == "a.webp" else {}
        path = saved(frames[0], name, save_all=True, append_images=frames[1:], **options)
        with Image.open(path) as image:
            assert image.n_frames == 2
        check_pixels(path, frames[0], side=20)


def test_a_wrong_ending_does_not_matter(saved):
    path = saved(picture(), "photo.jpg", format="PNG")
    (path.parent / "photo").write_bytes(path.read_bytes())

    check_pixels(path, picture())
    check_pixels(path.parent / "photo", picture())


def test_names_in_any_script(saved):
    for name in ("größe 1.png", "猫🐈.png", "e\u0301.png", "a\nb.png", "'\"&<b>.png", "-x.png"):
        check_pixels(saved(picture(), name), picture())


def test_a_link_to_a_photo(saved):
    link = saved(picture()).with_name("link")
    link.symlink_to("photo.png")

    check_pixels(link, picture())


# Sizes


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (233, 931), (50, 60), (232, 232)])
def test_photos_are_scaled_as_torchvision_scales_them(saved, size):
    image = noise(*size)
    expected = tf.pil_to_tensor(tf.resize(image, 232)) / 255

    torch.testing.assert_close(photos.read(saved(image), 232), expected, atol=1e-6, rtol=0)


def test_a_large_jpeg_is_opened_small_and_looks_the_same(saved, monkeypatch):
    image = noise(40, 30).resize((4000, 3000), Image.Resampling.BICUBIC)
    whole = tf.pil_to_tensor(tf.resize(image, 232)) / 255
    opened = []
    turn = ImageOps.exif_transpose
    monkeypatch.setattr(ImageOps, "exif_transpose", lambda p: opened.append(p.size) or turn(p))
    read = photos.read(saved(image, "a.jpg", quality=95), 232)

    assert opened == [(1000, 750)]
    assert (read - whole).abs().mean() < 0.01


@pytest.mark.parametrize("size", [(20_000, 5), (5, 20_000)])
def test_of_a_very_long_photo_the_middle_is_used(saved, size):
    middle = [length // 2 for length in size]
    image = Image.new("RGB", size, "red")
    image.paste("blue", (middle[0] - 10, middle[1] - 10, middle[0] + 10, middle[1] + 10))
    read = photos.read(saved(image), 100)

    assert sorted(read.shape) == [3, 100, 400]
    torch.testing.assert_close(read.mean((1, 2)), torch.tensor([0.0, 0, 1]), atol=0.02, rtol=0)


@pytest.mark.parametrize("size", [(300, 1), (1, 300), (1, 1), (3, 3)])
def test_a_photo_of_a_pixel_or_so_is_put_aside(saved, size):
    reason = f"Too small: {size[0]} x {size[1]} pixels"
    assert reason in reason_of(saved(noise(*size)))


def test_a_huge_photo_is_put_aside_before_it_fills_the_memory(tmp_path, monkeypatch):
    head = b"P6 %d %d 255\n" % (12_000, 9_000)
    (tmp_path / "large.ppm").write_bytes(head)
    (tmp_path / "bomb.ppm").write_bytes(b"P6 %d %d 255\n" % (90_000, 90_000))
    monkeypatch.setattr(Image.Image, "load", None)

    assert "Too large: 12000 x 9000 pixels" in reason_of(tmp_path / "large.ppm")
    assert "Too large" in reason_of(tmp_path / "bomb.ppm")


def test_a_huge_jpeg_is_used_for_it_can_be_opened_small(saved):
    image = Image.new("RGB", (12_000, 9_000), (200, 100, 50))
    expected = Image.new("RGB", (21, 16), (200, 100, 50))

    check_pixels(saved(image, "a.jpg", quality=90), expected, atol=0.02)


# Files that are not used


def reason_of(path):
    """Why `check` puts a file aside, and `read` likewise."""
    reasons = []
    for use in (photos.check, lambda p: photos.read(p, 16)):
        with pytest.raises(PhotoError) as error:
            use(path)
        assert error.value.skipped.path == path
        assert str(error.value) == f"{path}: {error.value.skipped.reason}"
        reasons.append(error.value.skipped.reason)
    assert reasons[0] == reasons[1]
    return reasons[0]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "The file is empty."),
        (b"hello, this is text", "Not a photo in one of the formats JPEG, PNG"),
        (b"%PDF-1.7 and so on", "Not a photo"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "Not a photo"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "A HEIC photo, as iPhones take them"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "A HEIC photo"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isomiso2", "Not a photo"),
        (b"\x89PNG\r\n\x1a\n", "Not a photo"),
    ],
)
def test_what_is_no_photo(tmp_path, content, reason):
    (tmp_path / "a.jpg").write_bytes(content)

    assert reason in reason_of(tmp_path / "a.jpg")


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.gif", "a.bmp", "a.tif", "a.webp"])
def test_a_file_that_is_cut_off_or_damaged_is_never_a_crash(saved, name):
    whole = saved(noise(60, 40), name).read_bytes()
    path = saved(picture(), name)
    put_aside = 0
    for place in range(0, len(whole), max(1, len(whole) // 40)):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        for content in (whole[:place], bytes(damaged)):
            path.write_bytes(content)
            try:
                photos.read(path, 16)
            except PhotoError:
                put_aside += 1
    assert put_aside >= 30


def test_a_photo_that_is_cut_off_says_so(saved):
    path = saved(noise(60, 40), "a.jpg")
    path.write_bytes(path.read_bytes()[:-400])
    photos.check(path)  # the head is whole

    with pytest.raises(PhotoError, match="cut off or damaged"):
        photos.read(path, 16)


@pytest.mark.parametrize("mode", ["F", "I"])
def test_grey_of_32_bits_is_put_aside(saved, mode):
    path = saved(Image.fromarray(np.eye(20, dtype="f4" if mode == "F" else "i4")), "a.tif")

    assert "32 bits" in reason_of(path)


def test_no_file_a_folder_a_pipe_and_a_link_to_nowhere(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    os.mkfifo(tmp_path / "pipe")  # who opens it waits forever

    assert reason_of(tmp_path / "nothing") == "There is no such file."
    assert "A folder" in reason_of(tmp_path / "folder")
    assert reason_of(tmp_path / "gone") == "A link to a file that is not there."
    assert os.strerror(errno.ELOOP) in reason_of(tmp_path / "circle")
    assert "a pipe" in reason_of(tmp_path / "pipe")


@pytest.fixture
def as_nobody():
    """A folder of somebody who is not root, for root may read everything."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        root = os.geteuid() == 0
        for name in ("cat", "dog"):
            Path(folder, name).mkdir()
            for k in range(3):
                noise(20, 20, k).save(Path(folder, name, f"{k}.png"))
        if root:
            os.seteuid(65534)
        try:
            yield Path(folder)
        finally:
            if root:
                os.seteuid(0)


def forbid(path, as_root):
    if as_root:
        os.seteuid(0)
    path.chmod(0)
    if as_root:
        os.seteuid(65534)


def test_no_permission(as_nobody):
    as_root = os.getuid() == 0
    forbid(as_nobody / "cat" / "1.png", as_root)
    (reason,) = {reason_of(as_nobody / "cat" / "1.png")}
    found = photos.find(as_nobody)

    assert reason == "There is no permission to read it."
    assert [s.path.name for s in found.skipped] == ["1.png"]
    assert len(found.train) + len(found.validation) == 5

    forbid(as_nobody / "dog", as_root)
    with pytest.raises(
        FolderError, match=r"photos of one class, 'cat'.*dog: The folder cannot be read: Permission"
    ):
        photos.find(as_nobody)


# Folders


@pytest.fixture
def folder(tmp_path):
    """A function that makes a folder of photos: paths below it, or numbers of photos by class."""
    made = tmp_path / "photos"
    made.mkdir()

    def make(*paths, **classes):
        paths += tuple(
            f"{name}/{k:02}.png" for name, count in classes.items() for k in range(count)
        )
        content = io.BytesIO()
        picture().save(content, "PNG")
        for path in paths:
            file = made / path
            file.parent.mkdir(parents=True, exist_ok=True)
            if not path.endswith("/"):
                file.write_bytes(content.getvalue())
            else:
                file.mkdir()
        return made

    return make


def names(part):
    return [f"{photo.path.parent.name}/{photo.path.name}" for photo in part]


def test_a_fifth_of_each_class_is_drawn_for_validation(folder):
    found = photos.find(folder(cat=20, dog=10, emu=3, fox=2, gnu=1))
    counts = [sum(photo.label == label for photo in found.validation) for label in range(5)]

    assert found.classes == ("cat", "dog", "emu", "fox", "gnu")
    assert counts == [4, 2, 1, 1, 0]
    assert sorted(names(found.train + found.validation)) == sorted(
        f"{c}/{k:02}.png"
        for c, n in (("cat", 20), ("dog", 10), ("emu", 3), ("fox", 2), ("gnu", 1))
        for k in range(n)
    )
    assert found.drawn
    assert "36 photos in 5 classes: 28 to train on, 8 to validate with, drawn by chance" in repr(
        found
    )
    assert photos.find(found.path) == found
    assert names(found.validation)[:4] != [f"cat/{k:02}.png" for k in range(4)]


def test_labels_are_places_in_classes(folder):
    found = photos.find(folder(b=5, a=5))

    for path, label in found.train + found.validation:
        assert found.classes[label] == path.parent.name


@pytest.mark.parametrize("split", [("train", "val"), ("Train", "VAL")])
def test_train_and_val_are_kept_apart(folder, split):
    train, val = split
    made = folder(
        *(f"{train}/{c}/{k}.png" for c in "ab" for k in range(3)), f"{val}/b/x.png", "test/c/y.png"
    )
    found = photos.find(made)

    assert found.classes == ("a", "b")
    assert len(found.train) == 6
    assert [(photo.path.name, photo.label) for photo in found.validation] == [("x.png", 1)]
    assert not found.drawn
    assert "drawn" not in repr(found)
    assert [s.path for s in found.skipped] == [made / "test"]


def test_hidden_files_are_passed_over_and_others_are_named(folder):
    made = folder(
        *("cat/.hidden.png", ".git/x.png", "cat/Thumbs.db", "cat/._1.png", "__MACOSX/cat/1.png"),
        *("loose.png", "cat/deeper/1.png", "nothing/"),
        cat=2,
        dog=2,
    )
    (made / "dog" / "notes.txt").write_text("text")
    found = photos.find(made)
    put_aside = {str(s.path.relative_to(made)): s.reason for s in found.skipped}

    assert found.classes == ("cat", "dog")
    assert len(found.train + found.validation) == 4
    assert put_aside.keys() == {"loose.png", "cat/deeper", "nothing", "dog/notes.txt"}
    assert put_aside["nothing"] == "The folder is empty."
    assert put_aside["loose.png"] == "Only what lies in the folder of a class is used."
    assert "4 put aside" in repr(found)


def test_one_spelling_of_a_class_for_two_of_its_name(folder):
    found = photos.find(folder("train/caf\u00e9/1.png", "train/b/1.png", "val/cafe\u0301/1.png"))

    assert found.classes == ("b", "caf\u00e9")
    assert found.validation[0].label == 1


def test_a_class_whose_name_is_no_text(folder):
    made = folder(cat=2)
    os.rename(os.fsencode(made / "cat"), os.fsencode(made) + b"/\xff\xfe")
    found = photos.find(folder(dog=2))

    assert found.classes == ("dog", "??")
    assert found.classes[1].encode()


@pytest.mark.parametrize(
    ("paths", "says"),
    [
        ((), "no folder of photos.*A folder for each of at least two classes"),
        (("1.png", "2.png"), "no folder of photos.*Put aside: .*1.png: Only what lies in"),
        (("cat/1.png", "cat/2.png"), "photos of one class, 'cat'"),
        (("cat/1.png", "dog/"), "photos of one class, 'cat'.*dog: The folder is empty"),
        (("cat/1.png", "dog/1.png"), "no photo to validate with.*every class has a single one"),
        (("train/a/1.png", "train/b/1.png"), "has train, but not val beside it.*or give .*train"),
        (("train/a/1.png", "validation/a/1.png"), "it has validation.*Call the folder"),
        (
            ("train/a/1.png", "train/b/1.png", "val/c/1.png"),
            "has the class 'c', of which .* no photo",
        ),
        (("train/a/1.png", "train/b/1.png", "val/"), "no photo to validate with"),
        (("in/cat/1.png", "in/dog/1.png"), "one folder further down: give .*in"),
    ],
)
def test_a_folder_that_nothing_can_be_learned_from(folder, paths, says):
    with pytest.raises(FolderError, match=says):
        photos.find(folder(*paths))


def test_no_folder(tmp_path):
    (tmp_path / "file").write_text("text")

    for name in ("nothing", "file"):
        with pytest.raises(FolderError, match=f"{name} cannot be read as a folder.*was expected"):
            photos.find(tmp_path / name)


def test_only_heads_are_read_to_find_photos(folder, monkeypatch):
    made = folder(cat=3, dog=3)
    monkeypatch.setattr(Image.Image, "load", None)

    assert len(photos.find(made).train) == 4
