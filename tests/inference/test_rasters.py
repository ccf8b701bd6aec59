"""Rasters: windows of any kind of TIFF, labels in their place on earth, and runs that go on after a kill."""

import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from fullconv.errors import ConfigError, PictureError, StorageError
from fullconv.inference import rasters
from fullconv.inference.bands import BandFile
from fullconv.inference.folder import predict_files
from fullconv.inference.pixels import ArrayPixels, Box
from fullconv.inference.raster_pixels import RasterPixels
from fullconv.inference.rasters import in_strips
from fullconv.inference.segmenter import Segmenter
from fullconv.inference.tiffs import is_raster
from fullconv.labels import LabelSet

rasterio = pytest.importorskip("rasterio", reason="rasterio is not installed")

from rasterio.control import GroundControlPoint  # noqa: E402
from rasterio.enums import ColorInterp  # noqa: E402

PLACE = {"crs": "EPSG:32633", "transform": rasterio.Affine(0.5, 0, 400_000, 0, -0.25, 5_300_000)}


class Tiny(nn.Module):
    """Looks two pixels far."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.layers = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, num_classes, 3, padding=1)
        )

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.layers(pictures)


def tiny(num_classes: int = 4, **options) -> Segmenter:
    torch.manual_seed(0)
    return Segmenter(Tiny(num_classes), precision="fp32", **{"tile": 64, **options})


def noise(*shape: int, dtype: str = "uint8") -> np.ndarray:
    top = np.iinfo(dtype).max + 1
    return np.random.default_rng(shape).integers(0, top, shape).astype(dtype)


def write(path: Path, bands: np.ndarray, colors=None, mask=None, gcps=None, tags=None, **options) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some are to have no place on earth
        with rasterio.open(
            path, "w", driver="GTiff", count=len(bands), height=bands.shape[1], width=bands.shape[2],
            dtype=bands.dtype, **options,
        ) as target:  # fmt: skip
            target.write(bands)
            if colors is not None:
                target.colorinterp = colors
            if mask is not None:
                target.write_mask(mask)
            if gcps is not None:
                target.gcps = (gcps, "EPSG:4326")
            if tags is not None:
                target.update_tags(**tags)
    return path


def label(segmenter: Segmenter, path: Path, out: Path, **options) -> dict:
    (record,) = predict_files(segmenter, [path], out, {"mask", "overlay", "json"}, **options)
    return record


@pytest.mark.parametrize("size_hw", [(1, 1), (97, 131), (130, 64)])
@pytest.mark.parametrize(
    "options", [{}, {"BIGTIFF": "YES"}, {"tiled": True, "blockxsize": 16, "blockysize": 32}]
)
def test_labels_are_the_pictures_own_and_keep_their_place(tmp_path, size_hw, options):
    bands = noise(3, *size_hw)
    path = write(tmp_path / "map.tif", bands, tags={"AREA_OR_POINT": "Point"}, **options, **PLACE)
    segmenter = tiny()
    record = label(segmenter, path, tmp_path / "out")
    want = segmenter.predict(np.ascontiguousarray(bands.transpose(1, 2, 0))).label_map
    with rasterio.open(tmp_path / "out" / "masks" / "map.tif") as mask:
        np.testing.assert_array_equal(mask.read(1), want)
        assert (mask.crs, mask.transform, mask.shape) == (PLACE["crs"], PLACE["transform"], size_hw)
        assert (mask.count, mask.dtypes, mask.nodata) == (1, ("uint8",), 255)
        assert mask.tags()["AREA_OR_POINT"] == "Point"
        assert mask.profile["tiled"]
        assert mask.profile["compress"] == "deflate"
        assert mask.colormap(1)[1][:3] == segmenter.labels.colors[1]
    assert (record["mask"], record["height"], record["width"]) == ("masks/map.tif", *size_hw)
    assert "nodata" not in record
    shares = {
        name: float((want == i).mean()) for i, name in enumerate(segmenter.labels.names) if (want == i).any()
    }
    assert record["classes"] == pytest.approx(shares)
    with Image.open(tmp_path / "out" / "overlays" / "map.jpg") as image:
        assert min(image.size) >= 1
    left = {file.name for file in (tmp_path / "out").rglob("*") if file.is_file()}
    assert left == {"map.tif", "map.jpg", "predictions.jsonl", ".predict.json"}


@pytest.mark.parametrize("overlap", ["exact", "mean", "gaussian"])
@pytest.mark.parametrize("tile", ["auto", 96, "whole"])
def test_every_way_of_tiling_gives_what_it_gives_for_pictures(tmp_path, tile, overlap):
    bands = noise(3, 170, 130)
    segmenter = tiny(tile=tile, overlap=overlap)
    label(segmenter, write(tmp_path / "map.tif", bands, **PLACE), tmp_path / "out")
    want = segmenter.predict(np.ascontiguousarray(bands.transpose(1, 2, 0))).label_map
    with rasterio.open(tmp_path / "out" / "masks" / "map.tif") as mask:
        np.testing.assert_array_equal(mask.read(1), want)


@pytest.mark.parametrize("overlap", ["exact", "mean", "gaussian"])
@pytest.mark.parametrize("from_row", [1, 63, 64, 65, 96, 127, 199])
def test_parts_from_a_row_on_are_the_same(overlap, from_row):
    source = ArrayPixels(noise(200, 90, 3))
    parts = tiny(overlap=overlap).tiler.parts
    want = np.zeros((200, 90), np.uint8)
    for box, scores in parts(source):
        want[box.top : box.bottom, box.left : box.right] = scores.labels()
    got = np.full((200, 90), 255, np.uint8)
    for box, scores in parts(source, from_row):
        assert box.bottom > from_row
        got[box.top : box.bottom, box.left : box.right] = scores.labels()
    np.testing.assert_array_equal(got[from_row:], want[from_row:])


def test_ground_control_points_are_kept(tmp_path):
    points = [
        GroundControlPoint(row=r, col=c, x=10 + c / 100, y=50 - r / 90) for r, c in ((0, 0), (0, 40), (30, 5))
    ]
    label(tiny(), write(tmp_path / "map.tif", noise(1, 30, 40), gcps=points), tmp_path / "out")
    with rasterio.open(tmp_path / "out" / "masks" / "map.tif") as mask:
        got, crs = mask.gcps
    assert crs == "EPSG:4326"
    assert [(p.row, p.col, p.x, p.y) for p in got] == [(p.row, p.col, p.x, p.y) for p in points]


@pytest.mark.parametrize(
    ("bands", "options", "want"),
    [
        (noise(1, 20, 30), {}, lambda b: np.repeat(b, 3, axis=0)),
        (noise(3, 20, 30), {}, lambda b: b),
        (noise(5, 20, 30), {}, lambda b: b[:3]),
        (noise(4, 20, 30), {"colors": ["nir", "blue", "green", "red"]}, lambda b: b[[3, 2, 1]]),
        (noise(2, 20, 30), {"ALPHA": "YES"}, lambda b: np.repeat(b[:1], 3, axis=0)),
        (noise(3, 20, 30, dtype="uint16"), {}, lambda b: np.round(b / 257)),
        (noise(3, 20, 30, dtype="uint16") >> 4, {"NBITS": 12}, lambda b: np.round(b / 4095 * 255)),
        (
            noise(1, 20, 30),
            {"photometric": "MINISWHITE"},
            lambda b: 255 - np.repeat(b, 3, axis=0),
        ),
    ],
)
def test_what_is_seen_of_the_bands(tmp_path, bands, options, want):
    colors = [ColorInterp[name] for name in options["colors"]] if "colors" in options else None
    path = write(tmp_path / "map.tif", bands, **{**options, "colors": colors}, **PLACE)
    with RasterPixels(path) as source:
        got = source.read(Box(3, 5, 17, 29))
        valid = source.valid(Box(3, 5, 17, 29))
    expected = np.moveaxis(want(bands.astype(np.float64)), 0, 2)[3:17, 5:29].astype(np.uint8)
    np.testing.assert_array_equal(got[valid], expected[valid])
    assert valid.all() == ("ALPHA" not in options)


def test_a_palette_is_looked_up(tmp_path):
    image = Image.fromarray(noise(20, 30)).convert("P")
    image.putpalette(noise(768).tobytes())
    image.save(tmp_path / "map.tif")
    with RasterPixels(tmp_path / "map.tif") as source:
        np.testing.assert_array_equal(source.read(Box(0, 0, 20, 30)), np.asarray(image.convert("RGB")))


def holes(kind: str, bands: np.ndarray, empty: np.ndarray) -> tuple[np.ndarray, dict]:
    """The bands, and what says that some of their pixels hold no data, in one of four ways."""
    if kind == "nodata":
        bands = np.where(empty, bands.dtype.type(7), bands)
        bands[0][~empty] |= 8  # one band may hold 7 without the others
        return bands, {"nodata": 7}
    if kind == "alpha":
        colors = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
        alpha = np.where(empty, 0, np.iinfo(bands.dtype).max).astype(bands.dtype)
        return np.concatenate([bands, alpha[None]]), {"colors": colors}
    return bands, {"mask": np.where(empty, 0, 255).astype(np.uint8)}


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("kind", ["nodata", "alpha", "mask"])
def test_pixels_without_data_have_no_label_and_are_neutral(tmp_path, kind, dtype):
    empty = np.zeros((100, 120), bool)
    empty[30:70, 10:90] = True
    bands, options = holes(kind, noise(3, 100, 120, dtype=dtype), empty)
    path = write(tmp_path / "map.tif", bands, **options, **PLACE)
    segmenter = tiny()
    record = label(segmenter, path, tmp_path / "out")
    with rasterio.open(tmp_path / "out" / "masks" / "map.tif") as mask:
        got = mask.read(1)
        assert (mask.read_masks(1) == 0).sum() == empty.sum()
    picture = bands[:3] if dtype == "uint8" else np.round(bands[:3] / 257).astype(np.uint8)
    picture = np.ascontiguousarray(picture.transpose(1, 2, 0))
    picture[empty] = [round(255 * mean) for mean in segmenter.preprocessing.mean]
    want = np.where(empty, 255, segmenter.predict(picture).label_map)
    np.testing.assert_array_equal(got, want)
    assert record["nodata"] == pytest.approx(empty.mean())
    assert sum(record["classes"].values()) == pytest.approx(1)


def test_a_raster_without_any_data(tmp_path):
    path = write(tmp_path / "map.tif", np.zeros((3, 40, 50), np.uint8), nodata=0, **PLACE)
    record = label(tiny(), path, tmp_path / "out")
    assert (record["classes"], record["nodata"]) == ({}, 1)


def test_many_classes_and_further_heads(tmp_path):
    torch.manual_seed(0)
    from fullconv.labels import Head

    many = LabelSet.from_names([f"c{i}" for i in range(300)])
    few = LabelSet.from_names(["low", "high"])
    bands = noise(3, 70, 90)
    bands[:, :5] = 9
    path = write(tmp_path / "map.tif", bands, nodata=9, **PLACE)
    segmenter = Segmenter(Tiny(302), many, precision="fp32", tile=64, heads=[Head("height", few)])
    record = label(segmenter, path, tmp_path / "out")
    picture = np.ascontiguousarray(bands.transpose(1, 2, 0))
    picture[:5] = [round(255 * mean) for mean in segmenter.preprocessing.mean]
    prediction = segmenter.predict(picture)
    for folder, part, nodata, dtype in (
        ("masks", prediction, 65535, "uint16"),
        ("masks_height", prediction.heads["height"], 255, "uint8"),
    ):
        with rasterio.open(tmp_path / "out" / folder / "map.tif") as mask:
            assert (mask.nodata, mask.dtypes) == (nodata, (dtype,))
            np.testing.assert_array_equal(mask.read(1)[5:], part.label_map[5:])
            assert (mask.read(1)[:5] == nodata).all()
    assert set(record["heads"]["height"]["classes"]) <= {"low", "high"}
    assert (tmp_path / "out" / "overlays_height" / "map.jpg").exists()


@pytest.mark.parametrize(
    ("bands", "options", "message"),
    [
        (np.zeros((1, 9, 9), np.float32), {}, "holds float32 values; expected uint8 or uint16"),
        (np.zeros((1, 9, 9), np.int16), {}, "holds int16 values"),
        (np.zeros((2, 9, 9), np.uint8), {}, "holds 2 bands; expected 1"),
    ],
)
def test_rasters_that_are_refused(tmp_path, bands, options, message):
    path = write(tmp_path / "map.tif", bands, **options, **PLACE)
    with pytest.raises(PictureError, match=message):
        RasterPixels(path)
    error = label(tiny(), path, tmp_path / "out")["error"]
    assert str(path) in error
    assert "\n" not in error


def test_what_cannot_be_saved_of_a_raster(tmp_path):
    path = write(tmp_path / "map.tif", noise(3, 9, 9), **PLACE)
    (record,) = predict_files(tiny(), [path], tmp_path / "out", {"mask", "scores"})
    assert record["error"].endswith("is a raster, of which scores cannot be saved; leave it out of --save")
    assert "cannot be refined" in label(tiny(refine="crf"), path, tmp_path / "out")["error"]


def test_a_raster_that_is_cut_short_is_listed_and_leaves_nothing(tmp_path):
    path = write(tmp_path / "map.tif", noise(3, 300, 300), **PLACE)
    path.write_bytes(path.read_bytes()[:150_000])
    error = label(tiny(), path, tmp_path / "out")["error"]
    assert error.startswith(f"{path}: is damaged or cut short")
    assert not list((tmp_path / "out" / "masks").iterdir())


@pytest.mark.parametrize("limit", [1_000, 30_000, 60_000])
def test_a_disk_that_fills_up_stops_the_run_and_the_next_one_goes_on(tmp_path, monkeypatch, limit):
    resource = pytest.importorskip("resource", reason="no limits on files here")
    path = write(tmp_path / "map.tif", noise(3, 530, 530), **PLACE)
    whole = label(tiny(), path, tmp_path / "whole")
    size = (tmp_path / "whole" / "masks" / "map.tif").stat().st_size
    assert size > 60_000
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    write_geotiff = rasters.write_geotiff

    def on_a_full_disk(*args):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            return write_geotiff(*args)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    with monkeypatch.context() as patch:
        patch.setattr(rasters, "write_geotiff", on_a_full_disk)
        with pytest.raises(StorageError, match="free space or choose another folder") as stop:
            label(tiny(), path, tmp_path / "out", model_id="m")
    assert "\n" not in str(stop.value)
    assert not (tmp_path / "out" / "masks" / "map.tif").exists()
    again = label(
        tiny(), path, tmp_path / "out", model_id="m", progress=lambda text: pytest.fail("labelled anew")
    )
    assert again["classes"] == whole["classes"]


def test_without_rasterio_one_line_names_the_extra(tmp_path, monkeypatch):
    path = write(tmp_path / "map.tif", noise(3, 9, 9), **PLACE)
    monkeypatch.setitem(sys.modules, "rasterio", None)
    with pytest.raises(ConfigError, match=r"pip install 'fullconv\[geo\]'"):
        RasterPixels(path)
    assert "fullconv[geo]" in label(tiny(), path, tmp_path / "out")["error"]


def test_which_tiffs_are_rasters(tmp_path):
    small = noise(1, 40, 50)
    cases = {
        "plain": ({}, False),
        "placed": (PLACE, True),
        "nodata": ({"nodata": 0}, True),
        "big": ({"BIGTIFF": "YES"}, False),
        "tiled": ({"tiled": True, "blockxsize": 16, "blockysize": 16}, False),
        "big_tiled": ({"BIGTIFF": "YES", "tiled": True, "blockxsize": 16, "blockysize": 16}, True),
        "big_endian": ({"ENDIANNESS": "BIG", **PLACE}, True),
    }
    for name, (options, want) in cases.items():
        assert is_raster(write(tmp_path / f"{name}.tif", small, **options)) == want, name
    assert is_raster(write(tmp_path / "long.TIF", np.zeros((1, 2, 65_536), np.uint8), compress="deflate"))
    many = write(tmp_path / "many.tif", np.zeros((1, 1, 1), np.uint8))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = {"driver": "GTiff", "count": 1, "dtype": "uint8", "SPARSE_OK": True, "tiled": True}
        rasterio.open(many, "w", height=20_000, width=20_000, **options).close()
    assert is_raster(many)
    (tmp_path / "plain.tfw").write_text("1\n0\n0\n-1\n0\n0\n")
    assert is_raster(tmp_path / "plain.tif")
    for name, data in {
        "empty": b"",
        "text": b"a text, no picture",
        "cut": b"II*\0\x08\0\0\0\xff\xff",
    }.items():
        (tmp_path / f"{name}.tif").write_bytes(data)
        assert not is_raster(tmp_path / f"{name}.tif")
    assert not is_raster(tmp_path / "missing.tif")
    Image.fromarray(small[0]).save(tmp_path / "photo.png")
    assert not is_raster(tmp_path / "photo.png")


def test_bands_that_were_cut_short_are_dropped(tmp_path):
    path, first, second = tmp_path / "a.partial", noise(2, 5, 7), noise(2, 3, 7)
    with BandFile(path, 2, 7, np.uint8, {"a": 1}) as bands:
        bands.append(first)
        size = path.stat().st_size
        bands.append(second)
        np.testing.assert_array_equal(
            np.concatenate(list(bands), axis=1), np.concatenate([first, second], axis=1)
        )
    whole = path.read_bytes()
    for cut, data in ((1, whole[:-1]), (2, whole[: size + 3]), (3, whole[:-4] + b"abcd")):
        path.write_bytes(data)
        with BandFile(path, 2, 7, np.uint8, {"a": 1}) as bands:
            assert (bands.rows, path.stat().st_size) == (5, size), cut
            bands.append(second)
        assert path.read_bytes() == whole
    for identity in ({"a": 2}, None):
        path.write_bytes(whole)
        with BandFile(path, 2, 7, np.uint8, identity) as bands:
            assert (bands.rows, list(bands)) == (0, [])


def test_strips_are_the_bands_rows():
    rows = noise(100, 3)
    for cuts in ([100], [1] * 100, [30, 30, 40], [64, 36]):
        ends = np.cumsum(cuts)
        strips = list(in_strips((rows[end - cut : end] for end, cut in zip(ends, cuts, strict=True)), 32))
        assert [len(strip) for strip in strips] == [32, 32, 32, 4]
        np.testing.assert_array_equal(np.concatenate(strips), rows)


CHILD = """
    import os, resource, signal, sys
    from pathlib import Path
    sys.path.insert(0, {tests!r})
    from test_rasters import predict_files, tiny
    segmenter = tiny()
    read, calls = segmenter.engine.__class__.__call__, []
    def counted(engine, pictures):
        calls.append(1)
        if len(calls) == {die_at}:
            os.kill(os.getpid(), signal.SIGKILL)
        return read(engine, pictures)
    segmenter.engine.__class__.__call__ = counted
    records = []
    for source in {sources!r}:
        records += predict_files(segmenter, [Path(source)], Path({out!r}), {{"mask", "overlay", "json"}}, model_id="m")
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    print(len(calls), [record.get("error", "") for record in records])
"""


def child(out: Path, sources: list[Path], die_at: int = 0):
    code = textwrap.dedent(CHILD).format(
        tests=str(Path(__file__).parent), die_at=die_at, sources=[str(each) for each in sources], out=str(out)
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.long
def test_a_killed_run_goes_on_and_ends_in_the_same_file(tmp_path):
    bands = noise(3, 500, 130)
    bands[:, 100:120] = 5
    path = write(tmp_path / "map.tif", bands, nodata=5, **PLACE)
    killed = child(tmp_path / "out", [path], die_at=10)
    assert killed.returncode == -9, killed.stderr
    partial = tmp_path / "out" / "masks" / ".map.tif.partial"
    assert partial.exists()
    assert not (tmp_path / "out" / "masks" / "map.tif").exists()
    segmenter = tiny()
    whole = label(segmenter, path, tmp_path / "whole", model_id="m")
    rows: list[int] = []
    again = label(
        segmenter, path, tmp_path / "out", model_id="m",
        progress=lambda text: rows.append(int(text.split()[1].replace(",", ""))),
    )  # fmt: skip
    assert rows[0] > 128, "it began anew"
    assert {**again, "seconds": 0} == {**whole, "seconds": 0}
    files = [tmp_path / name / "masks" / "map.tif" for name in ("out", "whole")]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert not partial.exists()


def test_another_model_or_another_raster_begins_anew(tmp_path):
    path = write(tmp_path / "map.tif", noise(3, 300, 40), **PLACE)
    segmenter = tiny()
    partial = tmp_path / "out" / "masks" / ".map.tif.partial"

    def stop(text: str) -> None:
        raise KeyboardInterrupt

    for change in ("model", "raster", "nothing"):
        with pytest.raises(KeyboardInterrupt):
            label(segmenter, path, tmp_path / "out", model_id="m", progress=stop)
        assert partial.exists()
        if change == "raster":
            write(path, noise(3, 300, 41), **PLACE)
        rows: list[str] = []
        label(
            segmenter,
            path,
            tmp_path / "out",
            model_id="n" if change == "model" else "m",
            progress=rows.append,
        )
        first = "map.tif: 128 of 300 rows" if change == "nothing" else "map.tif: 64 of 300 rows"
        assert rows[0] == first, change
        (tmp_path / "out" / "predictions.jsonl").unlink()


@pytest.mark.long
def test_memory_does_not_grow_with_height(tmp_path):
    """Thirty million pixels, of which RGB alone would take 92 MB, after one million, in one process."""
    sources = []
    for name, height in (("low", 2_000), ("tall", 60_000)):
        sources.append(tmp_path / f"{name}.tif")
        with rasterio.open(
            sources[-1], "w", driver="GTiff", height=height, width=512, count=3, dtype="uint8", tiled=True,
            compress="deflate", nodata=3, **PLACE,
        ) as target:  # fmt: skip
            for top in range(0, height, 2_000):
                window = rasterio.windows.Window(0, top, 512, 2_000)
                target.write(np.full((3, 2_000, 512), top % 251, np.uint8), window=window)
    done = child(tmp_path / "out", sources)
    assert done.returncode == 0, done.stderr
    low, tall, last = done.stdout.splitlines()
    assert last.endswith("['', '']")
    assert int(tall) - int(low) < 40_000, "kilobytes"
