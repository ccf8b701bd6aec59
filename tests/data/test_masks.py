"""Masks are read exactly, in all their kinds, or refused in one line."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from fullconv.data.dataset import open_dataset
from fullconv.data.masks import (
    Shades,
    labels_to_picture,
    palette_of,
    read_brightness,
    read_mask,
    read_stored,
    write_mask,
)
from fullconv.errors import DataError, InputError, PictureError
from fullconv.labels import VOC, VOID_COLOR, LabelSet

LABELS = LabelSet(("sky", "road", "car"), ((128, 128, 128), (128, 64, 128), (64, 0, 128)), ignore_ids=(3,))
IDS = np.array([[0, 1, 2, 0], [2, 1, 255, 255]], np.uint8)


def save(
    path: Path, pixels: np.ndarray, palette: list[tuple[int, int, int]] | None = None, **options
) -> Path:
    image = Image.fromarray(pixels)
    if palette is not None:
        image.putpalette([value for color in palette for value in color])
    image.save(path, **options)
    return path


def test_grey_ids(tmp_path: Path):
    for suffix in ("png", "tif", "bmp", "pgm"):
        assert (read_mask(save(tmp_path / f"a.{suffix}", IDS), LABELS) == IDS).all()


def test_sixteen_bit_ids(tmp_path: Path):
    for suffix in ("png", "tif"):
        label_map = read_mask(save(tmp_path / f"a.{suffix}", IDS.astype(np.uint16)), LABELS)
        assert label_map.dtype == np.uint8
        assert (label_map == IDS).all()


@pytest.mark.parametrize(("bits", "values"), [(1, 2), (2, 4), (4, 16)])
def test_grey_ids_of_few_bits_as_optimisers_pack_them(tmp_path: Path, bits, values):
    """Pillow reads a 4-bit 1 as 17; ids must not be spread like that."""
    ids = np.arange(values, dtype=np.uint8)[None]
    pixels = ids.astype(bool) if bits == 1 else ids * (255 // (values - 1))
    image = Image.fromarray(pixels)
    image.save(tmp_path / "a.png", bits=bits)
    assert (tmp_path / "a.png").read_bytes()[24] == bits  # the header's bit depth
    if bits > 1:
        write_packed_grey(tmp_path / "a.png", ids, bits)
    assert (read_mask(tmp_path / "a.png", VOC) == ids).all()


def write_packed_grey(path: Path, ids: np.ndarray, bits: int) -> None:
    """A grey PNG of few bits by the PNG specification: values packed from the high bits down, filter 0 on each row."""
    import struct
    import zlib

    rows = np.unpackbits(ids[..., None], axis=2)[..., -bits:].reshape(len(ids), -1)
    data = b"".join(b"\0" + np.packbits(row).tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", ids.shape[1], ids.shape[0], bits, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(data)), (b"IEND", b""))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks
        )
    )


def test_palette_indices_are_ids_whatever_the_colours(tmp_path: Path):
    grey_ramp = [(i, i, i) for i in range(256)]
    assert (read_mask(save(tmp_path / "a.png", IDS, grey_ramp), LABELS) == IDS).all()
    all_black = [(0, 0, 0)] * 256
    assert (read_mask(save(tmp_path / "b.png", IDS, all_black), LABELS) == IDS).all()
    assert (
        read_mask(save(tmp_path / "c.png", np.minimum(IDS, 2), [(0, 0, 0)] * 3), VOC) == np.minimum(IDS, 2)
    ).all()


def test_ignored_ids_become_void(tmp_path: Path):
    stored = np.array([[0, 3, 255]], np.uint8)
    assert read_mask(save(tmp_path / "a.png", stored), LABELS).tolist() == [[0, 255, 255]]
    first_ignored = LabelSet(LABELS.names, LABELS.colors, ignore_ids=(0, 300))
    assert read_mask(
        save(tmp_path / "b.png", np.array([[0, 2, 300]], np.uint16)), first_ignored
    ).tolist() == [[255, 2, 255]]


def test_colour_coded(tmp_path: Path):
    picture = labels_to_picture(IDS, LABELS)
    assert picture[1, 3].tolist() == list(VOID_COLOR)
    for suffix in ("png", "bmp", "tif", "ppm"):
        assert (read_mask(save(tmp_path / f"a.{suffix}", picture), LABELS) == IDS).all()
    with_alpha = np.dstack([picture, np.full(IDS.shape, 9, np.uint8)])
    assert (read_mask(save(tmp_path / "b.png", with_alpha), LABELS) == IDS).all()


def test_the_colour_of_an_ignored_class_is_void(tmp_path: Path):
    labels = LabelSet(LABELS.names, LABELS.colors, ignore_ids=(1,))
    assert read_mask(save(tmp_path / "a.png", labels_to_picture(IDS, LABELS)), labels)[0].tolist() == [
        0,
        255,
        2,
        0,
    ]


def test_a_palette_of_class_colours_in_another_order_is_read_by_its_colours(tmp_path: Path):
    """Such as an optimiser makes of a colour-coded picture: here void is number 4, which fits no class."""
    labels = LabelSet(LABELS.names, LABELS.colors)
    palette = [labels.colors[2], labels.colors[1], labels.colors[0], (1, 2, 3), VOID_COLOR]
    stored = np.array([[2, 1, 0, 2], [0, 1, 4, 4]], np.uint8)
    assert (read_mask(save(tmp_path / "a.png", stored, palette), labels) == IDS).all()


def test_ids_that_fit_but_have_the_colours_of_other_classes_are_refused(tmp_path: Path):
    path = save(tmp_path / "a.png", np.array([[0, 1]], np.uint8), [LABELS.colors[2], LABELS.colors[1]])
    with pytest.raises(DataError) as caught:
        read_mask(path, LABELS)
    assert str(caught.value) == (
        f"{path}: id 0 has the colour of 'car', id 2; expected ids and palette to agree; correct the colours in "
        "dataset.yaml or, if the ids are wrong, save the mask as RGB"
    )
    path = save(tmp_path / "b.png", np.array([[0, 1]], np.uint8), [LABELS.colors[0], VOID_COLOR])
    with pytest.raises(DataError, match="id 1 has the colour of 'void', id 255"):
        read_mask(path, LABELS)


def test_an_ignored_id_may_have_any_colour(tmp_path: Path):
    palette = [*LABELS.colors, LABELS.colors[0]]
    assert read_mask(save(tmp_path / "a.png", np.array([[1, 3]], np.uint8), palette), LABELS).tolist() == [
        [1, 255]
    ]


def test_an_id_beyond_the_classes(tmp_path: Path):
    path = save(tmp_path / "a.png", np.array([[0, 7, 7, 9]], np.uint8))
    with pytest.raises(DataError) as caught:
        read_mask(path, LABELS)
    assert str(caught.value) == (
        f"{path}: id 7 on 2 pixels (and 1 more such ids) is none of the 3 classes; expected 0..2, or 255 for void; "
        "add the class to dataset.yaml or list the id there under ignore:"
    )
    path = save(tmp_path / "b.png", np.array([[0, 1000]], np.uint16))
    with pytest.raises(DataError, match="id 1000 on 1 pixels is none of the 3 classes"):
        read_mask(path, LABELS)


def test_an_unknown_colour_never_becomes_background(tmp_path: Path):
    picture = labels_to_picture(IDS, LABELS)
    picture[0, :2] = (128, 64, 120)
    picture[1, 0] = (1, 2, 3)
    path = save(tmp_path / "a.png", picture)
    with pytest.raises(DataError) as caught:
        read_mask(path, LABELS)
    assert str(caught.value) == (
        f"{path}: colour (128, 64, 120) on 2 pixels (and 1 more such colours) belongs to no class; the nearest is "
        "'road' (128, 64, 128), 8 steps away; mend the mask or add the colour under classes: in dataset.yaml"
    )


def test_ids_saved_in_three_equal_channels_get_their_own_remedy(tmp_path: Path):
    path = save(tmp_path / "a.png", np.repeat(IDS[..., None], 3, axis=2))
    with pytest.raises(
        DataError, match=r"; if the grey values are class ids, save the mask with one channel instead of"
    ):
        read_mask(path, LABELS)


def test_kinds_of_file_that_are_no_mask(tmp_path: Path):
    with pytest.raises(DataError) as caught:
        read_mask(save(tmp_path / "a.jpg", IDS), LABELS)
    assert str(caught.value) == (
        f"{tmp_path}/a.jpg: is a JPEG, whose loss changes ids; expected PNG; export it again as PNG, or, if it shows two "
        "classes in black and white, say which is which in dataset.yaml: masks: {dark: NAME, light: NAME}"
    )
    with pytest.raises(
        DataError, match=r"a\.tif: has colour mode F; expected ids, a palette or RGB; save it as PNG"
    ):
        read_mask(save(tmp_path / "a.tif", IDS.astype(np.float32)), LABELS)
    with pytest.raises(PictureError, match=r"none\.png: no such file"):
        read_mask(tmp_path / "none.png", LABELS)


def test_more_classes_than_eight_bits(tmp_path: Path):
    labels = LabelSet(tuple(f"c{i}" for i in range(256)), tuple((i, 0, 0) for i in range(256)))
    with pytest.raises(DataError, match=r"a\.png: got 256 classes; expected at most 255; merge some of them"):
        read_mask(tmp_path / "a.png", labels)


def test_orientation_turns_a_mask_like_its_picture(tmp_path: Path):
    tags = Image.Exif()
    tags[274] = 6
    assert (read_mask(save(tmp_path / "a.png", IDS, exif=tags), LABELS) == IDS.T[:, ::-1]).all()


@settings(max_examples=30, deadline=None)
@given(
    hnp.arrays(
        np.uint8, hnp.array_shapes(min_dims=2, max_dims=2), elements=st.sampled_from([*range(21), 255])
    )
)
def test_what_is_written_is_read_again(tmp_path_factory, label_map):
    path = tmp_path_factory.mktemp("masks") / "a.png"
    write_mask(path, label_map, VOC)
    assert (read_mask(path, VOC) == label_map).all()
    with Image.open(path) as image:
        assert image.mode == "P"
        assert (np.asarray(image) == label_map).all()
        assert (np.asarray(image.convert("RGB")) == labels_to_picture(label_map, VOC)).all()
    Image.fromarray(labels_to_picture(label_map, VOC)).save(path)
    assert (read_mask(path, VOC) == label_map).all()


def test_wide_label_maps_are_written_as_grey(tmp_path: Path):
    label_map = np.array([[0, 300, 65535]], np.uint16)
    write_mask(tmp_path / "new" / "a.png", label_map, LABELS)
    stored, palette = read_stored(tmp_path / "new" / "a.png")
    assert stored.tolist() == label_map.tolist()
    assert palette is None
    assert os.listdir(tmp_path / "new") == ["a.png"]


def test_a_label_map_of_a_wrong_kind(tmp_path: Path):
    with pytest.raises(
        InputError, match=r"a\.png: got a label map \(2, 4\) of int64; expected \(H, W\) of uint8 or"
    ):
        write_mask(tmp_path / "a.png", IDS.astype(np.int64), LABELS)
    with pytest.raises(InputError, match=r"got a label map \(1, 2, 4\) of uint8"):
        write_mask(tmp_path / "a.png", IDS[None], LABELS)


def test_the_palette_of_voc():
    """The first colours and the last as PASCAL VOC publishes them."""
    palette = palette_of(VOC)
    assert palette[[0, 1, 2, 3, 20, 255]].tolist() == [
        [0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 64, 128], [224, 224, 192],
    ]  # fmt: skip


def test_real_masks(real_data: Path):
    mask = next((real_data / "voc2012-animals/VOCdevkit/VOC2012/SegmentationClass").iterdir())
    stored, palette = read_stored(mask)
    label_map = read_mask(mask, VOC)
    assert (label_map == stored).all()
    assert palette is not None
    assert (palette[:21] == palette_of(VOC)[:21]).all()
    assert (palette[255] == VOID_COLOR).all()


BAG = LabelSet.from_names(["background", "bag"])


def blobs(height: int, width: int, seed: int) -> np.ndarray:
    """(H, W) bool: a few discs."""
    rng = np.random.default_rng(seed)
    down, across = np.mgrid[:height, :width]
    centres = rng.uniform(0, 1, (4, 2)) * (height, width)
    return np.any([(down - y) ** 2 + (across - x) ** 2 < (0.2 * height) ** 2 for y, x in centres], axis=0)


@pytest.mark.parametrize("quality", [50, 75, 95])
@pytest.mark.parametrize("dark", [0, 1])
def test_black_and_white_jpegs(tmp_path: Path, quality, dark):
    """The loss makes greys near the outline; it moves hardly a pixel to the other side of the middle."""
    white = blobs(93, 121, seed=quality)
    path = save(tmp_path / "a.jpg", np.where(white, np.uint8(255), np.uint8(0)), quality=quality)
    grey = read_brightness(path)
    assert len(np.unique(grey)) > 2
    label_map = read_mask(path, BAG, Shades(dark=dark, light=1 - dark))
    assert label_map.dtype == np.uint8
    assert (label_map == np.where(white, 1 - dark, dark)).mean() > 0.999


def test_brightness_of_every_kind_of_file(tmp_path: Path):
    """128 is the first light value; colours count by their grey, and 16 bits by their upper eight."""
    shades, grey = Shades(dark=1, light=0), np.array([[0, 127, 128, 255]], np.uint8)
    rgb = np.repeat(grey[..., None], 3, axis=2)
    files = [
        save(tmp_path / "a.png", grey),
        save(tmp_path / "b.png", rgb),
        save(tmp_path / "c.png", grey.astype(np.uint16) * 257),
        save(
            tmp_path / "d.png",
            np.array([[0, 1, 2, 3]], np.uint8),
            [(value,) * 3 for value in grey[0].tolist()],
        ),
    ]
    for path in files:
        assert read_mask(path, BAG, shades).tolist() == [[1, 1, 0, 0]]
    with pytest.raises(PictureError, match=r"none\.jpg: no such file"):
        read_mask(tmp_path / "none.jpg", BAG, shades)


def test_the_bag_pictures_in_their_first_form(real_data: Path, tmp_path: Path):
    """Their masks were grey JPEGs, black where the bag is: written so and read by option, they are the same."""
    dataset = open_dataset(real_data / "bag")
    same = total = 0
    for sample in dataset.split("val"):
        truth = read_mask(sample.mask, dataset.labels)
        path = save(tmp_path / "a.jpg", np.where(truth == 1, np.uint8(0), np.uint8(255)), quality=90)
        label_map = read_mask(path, dataset.labels, Shades(dark=1, light=0))
        same += int((label_map == truth).sum())
        total += truth.size
    assert same / total > 0.999


def test_a_lookup_of_colours_that_starts_from_zero_loses_void():
    """The textbook's 256 ** 3 table is zero where no class is: void becomes background there, and 255 here.

    Source: Dive into Deep Learning, "Semantic Segmentation and the Dataset", voc_colormap2label.
    """
    table = np.zeros(256**3, np.uint8)
    for index, (red, green, blue) in enumerate(VOC.colors):
        table[(red * 256 + green) * 256 + blue] = index
    label_map = np.array([[*range(21), 255]], np.uint8)
    red, green, blue = np.moveaxis(labels_to_picture(label_map, VOC).astype(int), 2, 0)
    assert table[(red * 256 + green) * 256 + blue].tolist() == [[*range(21), 0]]


def test_void_of_a_colour_coded_voc_mask_is_void(tmp_path: Path):
    label_map = np.array([[*range(21), 255]], np.uint8)
    path = save(tmp_path / "a.png", labels_to_picture(label_map, VOC))
    assert read_stored(path)[0][0, -1].tolist() == [224, 224, 192]
    assert read_mask(path, VOC).tolist() == [[*range(21), 255]]
