import errno
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fullconv.data import scenes
from fullconv.data.dataset import open_dataset
from fullconv.data.extra import ExtraFormat, read_extra
from fullconv.data.pictures import read_picture
from fullconv.data.samples import read_heads, read_sample
from fullconv.data.scene_painting import CAST, HORIZONTAL, SKY, VERTICAL, Scene
from fullconv.data.scenes import GEOMETRY, PICTURE_SIZES_HW, SCENES, draw_scene, write_scenes
from fullconv.errors import ConfigError, DataError, StorageError
from fullconv.labels import IGNORE_INDEX, VOID_COLOR, Head


@pytest.fixture(scope="module")
def sixty() -> list[tuple[np.ndarray, np.ndarray]]:
    return [draw_scene(0, index) for index in range(60)]


def painted(seed: int, index: int, size_hw: tuple[int, int] = (144, 192)) -> Scene:
    scene = Scene(np.random.default_rng([seed, index]), size_hw)
    scene.paint_land()
    scene.paint_things()
    return scene


def test_the_cast_is_the_classes_in_order():
    assert SCENES.names == ("background", *CAST)


@settings(deadline=None, max_examples=12)
@given(
    seed=st.integers(0, 2**31),
    index=st.integers(0, 10**7),
    height=st.integers(64, 150),
    width=st.integers(64, 300),
)
def test_any_seed_and_size_gives_a_scene(seed: int, index: int, height: int, width: int):
    picture, label_map = draw_scene(seed, index, (height, width))
    assert (picture.shape, picture.dtype) == ((height, width, 3), np.uint8)
    assert (label_map.shape, label_map.dtype) == ((height, width), np.uint8)
    assert set(np.unique(label_map)) <= {*range(SCENES.num_classes), IGNORE_INDEX}


def test_a_scene_is_a_function_of_its_arguments_only():
    first = draw_scene(3, 7)
    np.random.default_rng(0).random(10)
    draw_scene(3, 8)
    again, other_seed, other_index = draw_scene(3, 7), draw_scene(4, 7), draw_scene(3, 8)
    for a, b, c, d in zip(first, again, other_seed, other_index, strict=True):
        np.testing.assert_array_equal(a, b)
        assert (a != c).any()
        assert (a != d).any()


def test_each_class_is_in_most_scenes_and_most_things_are_large(sixty):
    ids = np.arange(SCENES.num_classes)
    counts = np.array([(label_map[..., None] == ids).sum((0, 1)) for _, label_map in sixty])
    assert ((counts > 0).mean(0) >= 0.4).all()
    assert all(np.median(seen[seen > 0]) > 20 * 20 for seen in counts.T)
    assert 0.5 < counts[:, 0].sum() / counts.sum() < 0.85  # background neither all nor nothing


def test_void_is_the_two_pixels_along_every_outline():
    """Checked pixel by pixel against the painting that the label map comes from."""
    scene = painted(0, 2)
    owners = np.asarray(scene.owners)[1::3, 1::3]
    label_map = scene.label_map()
    height, width = owners.shape
    for y in range(height):
        for x in range(width):
            near = [(y, x), (y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
            seen = {int(owners[v, u]) for v, u in near if 0 <= v < height and 0 <= u < width}
            expected = IGNORE_INDEX if len(seen) > 1 else scene.classes[seen.pop()]
            assert label_map[y, x] == expected


def test_no_two_classes_touch_without_void_between(sixty):
    for _, label_map in sixty:
        for a, b in ((label_map[1:], label_map[:-1]), (label_map[:, 1:], label_map[:, :-1])):
            assert not ((a != b) & (a != IGNORE_INDEX) & (b != IGNORE_INDEX)).any()
        assert 0.01 < (label_map == IGNORE_INDEX).mean() < 0.25


def test_fences_are_thin(sixty):
    """Inside the void, no 8 x 8 block is all fence, though fences reach far."""
    fence = SCENES.names.index("fence")
    spans = []
    for _, label_map in sixty:
        mask = label_map == fence
        blocks = np.lib.stride_tricks.sliding_window_view(mask, (8, 8))
        assert not blocks.all((2, 3)).any()
        if mask.any():
            spans.append(np.ptp(np.flatnonzero(mask.any(0))) + 1)
    assert np.median(spans) > 40


def test_colour_alone_does_not_give_the_class(sixty):
    """The best classifier by coarse colour, fitted on the very scenes it is tested on, stays poor."""
    pixels = np.concatenate([picture[label_map != IGNORE_INDEX] for picture, label_map in sixty])
    truth = np.concatenate([label_map[label_map != IGNORE_INDEX] for _, label_map in sixty])
    codes = (pixels.astype(int) // 16) @ (256, 16, 1)
    table = np.bincount(codes * 7 + truth, minlength=4096 * 7).reshape(4096, 7)
    guess = table.argmax(1)[codes]
    confusion = np.bincount(truth * 7 + guess, minlength=49).reshape(7, 7)
    hits = np.diag(confusion)
    assert (hits / (confusion.sum(0) + confusion.sum(1) - hits)).mean() < 0.45


def test_edges_are_smooth():
    """Where an outline crosses a pixel, its colour is the mean of the painting there, not one sample of it."""
    scene = painted(0, 2)
    fine = np.asarray(scene.picture, float).reshape(144, 3, 192, 3, 3)
    picture = scene.picture_in_light()
    on_an_edge = np.ptp(fine, (1, 3)).max(-1) > 60
    assert on_an_edge.sum() > 200
    like_mean = np.corrcoef(picture[on_an_edge][:, 0], fine.mean((1, 3))[on_an_edge][:, 0])[0, 1]
    like_sample = np.corrcoef(picture[on_an_edge][:, 0], fine[:, 1, :, 1][on_an_edge][:, 0])[0, 1]
    assert like_mean > 0.99 > like_sample


def test_written_scenes_read_back_as_a_vocdevkit(tmp_path):
    folder = write_scenes(tmp_path / "new" / "sample", num_train=5, num_val=3, seed=2, size_hw=(80, 96))
    assert folder == tmp_path / "new" / "sample"
    dataset = open_dataset(folder)
    assert (dataset.name, dataset.labels) == ("scenes", SCENES)
    assert {split: len(samples) for split, samples in dataset.splits.items()} == {"train": 5, "val": 3}
    for split, samples in dataset.splits.items():
        for number, sample in enumerate(samples):
            picture, label_map = read_sample(sample, dataset.labels)
            drawn, truth = draw_scene(2, scenes.FIRST[split] + number, (80, 96))
            np.testing.assert_array_equal(label_map, truth)
            assert np.abs(picture.astype(int) - drawn).mean() < 6  # JPEG
    with Image.open(dataset.split("train")[0].mask) as mask:
        palette = mask.getpalette()
    assert palette is not None
    assert palette[:21] == [value for color in SCENES.colors for value in color]
    assert palette[-3:] == list(VOID_COLOR)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["sample"]


def test_dataset_yaml_says_what_the_files_cannot(tmp_path):
    content = yaml.safe_load(
        (write_scenes(tmp_path / "s", 1, 1, size_hw=(64, 64)) / "dataset.yaml").read_text()
    )
    assert content["classes"] == [
        {"name": name, "color": list(color)} for name, color in zip(SCENES.names, SCENES.colors, strict=True)
    ]
    assert (content["name"], content["ignore"]) == ("scenes", [])


def test_pictures_to_try_have_odd_sizes(tmp_path):
    folder = write_scenes(tmp_path / "s", 1, 1, size_hw=(64, 64))
    sizes = [read_picture(path).shape[1::-1] for path in (folder / "pictures").iterdir()]
    assert sorted(sizes) == sorted((width, height) for height, width in PICTURE_SIZES_HW)
    assert {width > height for width, height in sizes} == {True, False}
    assert all(width % 32 and height % 32 for width, height in sizes)


def test_a_longer_split_begins_with_the_shorter_one(tmp_path):
    short, long = write_scenes(tmp_path / "a", 1, 2), write_scenes(tmp_path / "b", 3, 2)
    for path in short.rglob("*.png"):
        assert path.read_bytes() == (long / path.relative_to(short)).read_bytes()


def test_an_empty_folder_is_taken(tmp_path):
    assert (write_scenes(tmp_path, 1, 1, size_hw=(64, 64)) / "dataset.yaml").is_file()


def test_a_folder_that_holds_something_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match=r"exists and is not empty; expected a new folder; choose another"):
        write_scenes(tmp_path, 1, 1)
    with pytest.raises(DataError, match=r"mine\.txt: exists"):
        write_scenes(tmp_path / "mine.txt", 1, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_nothing_stays_behind_when_the_work_fails(tmp_path, monkeypatch, failure):
    calls = []

    def fail_at_the_third(path, label_map, labels):
        calls.append(path)
        if len(calls) == 3:
            raise failure

    monkeypatch.setattr(scenes, "write_mask", fail_at_the_third)
    expected = StorageError if isinstance(failure, OSError) else KeyboardInterrupt
    with pytest.raises(expected, match="No space left on device" if expected is StorageError else None):
        write_scenes(tmp_path / "sample", 4, 1, size_hw=(64, 64))
    assert len(calls) == 3
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_train": 0}, "got 0 training and 60 validation scenes; expected at least 1 of each"),
        ({"num_val": -1}, "got 240 training and -1 validation scenes"),
        ({"seed": -1}, "got seed -1; expected a whole number from 0"),
        (
            {"size_hw": (63, 200)},
            r"got scenes of 63 x 200 pixels \(height x width\); expected at least 64 x 64",
        ),
    ],
)
def test_numbers_that_make_no_data_set_are_refused(tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        write_scenes(tmp_path / "sample", **options)
    assert not list(tmp_path.iterdir())


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_depth_and_geometry_add_files_and_change_none(tmp_path):
    plain = files_of(write_scenes(tmp_path / "plain", 2, 1, seed=4, size_hw=(80, 96)))
    full = files_of(
        write_scenes(tmp_path / "full", 2, 1, seed=4, size_hw=(80, 96), depth=True, geometry=True)
    )
    assert full.pop("dataset.yaml").startswith(plain.pop("dataset.yaml"))
    assert plain.items() < full.items()
    names = ["train_0000", "train_0001", "val_0000"]
    root = "VOCdevkit/VOC2012"
    assert sorted(full.keys() - plain.keys()) == sorted(
        [f"{root}/{folder}/{name}.png" for folder in ("Depth", "SegmentationGeometry") for name in names]
        + [f"pictures_depth/scene_{width}x{height}.png" for height, width in PICTURE_SIZES_HW]
    )


def test_depth_and_geometry_read_back(tmp_path):
    folder = write_scenes(tmp_path / "s", 2, 1, seed=4, depth=True, geometry=True)
    dataset = open_dataset(folder)
    assert (dataset.heads, dataset.num_channels) == ((Head("geometry", GEOMETRY),), 4)
    sample = dataset.split("val")[0]
    picture, label_maps = read_heads(sample, dataset.labels, dataset.heads)
    scene = painted(4, scenes.FIRST["val"])
    np.testing.assert_array_equal(label_maps, [scene.label_map(), scene.geometry()])
    with Image.open(str(sample.extra)) as file:
        assert file.mode == "I;16"
        depth = np.asarray(file)
    assert np.abs(picture[..., 3] - depth / 20_000 * 255).max() <= 0.501
    for path in (folder / "pictures").iterdir():
        form = ExtraFormat(1, (0, 20_000))
        depth = read_extra(folder / "pictures_depth" / f"{path.stem}.png", form)
        assert depth.shape[:2] == read_picture(path).shape[:2]


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 2**31), height=st.integers(64, 150), width=st.integers(64, 200))
def test_geometry_and_depth_of_any_scene(seed, height, width):
    scene = painted(seed, 0, (height, width))
    labels, surfaces = scene.label_map(), scene.geometry()
    assert surfaces.dtype == np.uint8
    np.testing.assert_array_equal(surfaces == IGNORE_INDEX, labels == IGNORE_INDEX)
    things, land = (labels > 0) & (labels < 255), labels == 0
    assert (surfaces[things] == VERTICAL).all()
    rows = np.broadcast_to(np.arange(height)[:, None], labels.shape)
    assert (surfaces[land & (rows > scene.horizon + 2)] == HORIZONTAL).all()
    assert (surfaces[land & (rows < scene.horizon - 2)] != HORIZONTAL).all()
    assert (surfaces[land & (rows < 0.2 * height)] == SKY).all()

    depth = scene.depth_mm(np.random.default_rng(0)).astype(float)
    assert depth.max() <= 20_000
    assert depth[surfaces == SKY].min() > 0.9 * 20_000
    ground = land & (rows > scene.horizon + 10)
    slope = np.corrcoef(1 / depth[ground], rows[ground] - scene.horizon)[0, 1]
    assert slope > 0.99  # on a plane, nearness grows evenly from the horizon down
    if (bottom := land[-1]).any():
        assert depth[-1, bottom].mean() == pytest.approx(2000, rel=0.05)


def test_what_hides_is_nearer_than_what_is_hidden():
    """Along each outline between two things that stand on the ground, the one painted later is nearer."""
    scene = painted(0, 2)
    distances = np.array(scene.distances)
    in_sky = [1 + list(CAST).index(name) for name, kind in CAST.items() if kind.depth is None]
    standing = [i for i, kind in enumerate(scene.classes) if i and kind not in in_sky]
    assert len(standing) > 3
    assert (np.diff(distances[standing]) <= 0).all()
