"""Videos: every frame at its own time, upright, and as much of a damaged one as there is."""

import json
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from fullconv.errors import ConfigError, PictureError
from fullconv.inference import video_files
from fullconv.inference.folder import find_pictures, predict_files
from fullconv.inference.segmenter import Segmenter
from fullconv.inference.video import VIDEO_SUFFIXES
from fullconv.inference.video_files import VideoReader, VideoWriter
from fullconv.labels import Head, LabelSet

av = pytest.importorskip("av", reason="PyAV is not installed")

KINDS = {"mask", "overlay", "json"}
MS = Fraction(1, 1000)
VARIABLE = [0, 40, 120, 160, 1000, 1001]


class Brightest(nn.Module):
    """Classes are the colours of the picture: red, green, blue."""

    num_classes = 3

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 1, bias=False)
        self.layer.weight.data = torch.eye(3)[:, :, None, None]

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.layer(pictures)


def segmenter(**options) -> Segmenter:
    labels = LabelSet(("red", "green", "blue"), ((200, 0, 0), (0, 200, 0), (0, 0, 200)))
    return Segmenter(Brightest(), labels, precision="fp32", **options)


def picture(index: int, size_hw: tuple[int, int] = (48, 64)) -> np.ndarray:
    """Red above, green below at the left, blue below at the right; the border between these moves from frame to frame."""
    height, width = size_hw
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2] = (230, 40, 30)
    pixels[height // 2 :] = (40, 60, 220)
    pixels[height // 2 :, : 8 + 2 * index] = (30, 200, 40)
    return pixels


def write_video(
    path: Path, times: list[int], time_base=MS, codec="libx264", rotation=0, size_hw=(48, 64), pictures=None
) -> Path:
    """A video whose frames have the given times, written without the code under test."""
    with av.open(
        str(path), "w", options={"movie_timescale": "90000"} if path.suffix == ".mp4" else {}
    ) as container:
        stream = container.add_stream(codec, rate=25, options={"bf": "0", "g": "2"})
        stream.height, stream.width = size_hw
        stream.pix_fmt = "yuv420p" if size_hw[1] % 2 == 0 else "yuv444p"
        stream.time_base = time_base
        if rotation:
            stream.set_display_rotation(rotation)
        packets = []
        for index in range(len(times)):
            pixels = picture(index, size_hw) if pictures is None else pictures[index]
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = index
            packets += stream.encode(frame)
        packets += stream.encode(None)
        for packet, time in zip(packets, times, strict=True):
            packet.pts = packet.dts = time
            packet.time_base = time_base
            container.mux(packet)
    return path


def times_of(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(container.streams.video[0])]


def frames_of(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(container.streams.video[0])]


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def label(path: Path, out: Path, kinds=frozenset(KINDS), given: Segmenter | None = None, **options) -> dict:
    (record,) = predict_files(given or segmenter(), [path], out, set(kinds), **options)
    return record


@pytest.mark.parametrize(
    ("name", "times", "time_base"),
    [
        ("ms.mp4", VARIABLE, MS),
        ("late.mp4", [7, 3_600, 9_001, 9_003], Fraction(1, 90_000)),
        ("ntsc.mov", [0, 1, 2, 5, 6], Fraction(1001, 30_000)),
        ("ms.mkv", VARIABLE, MS),
        ("fine.mkv", [33, 66, 100], MS),
    ],
)
def test_every_frame_keeps_its_time(tmp_path, name, times, time_base):
    path = write_video(tmp_path / name, times, time_base)
    want = [time * time_base for time in times]
    assert times_of(path) == want, "the test's own video"
    record = label(path, tmp_path / "out")
    assert times_of(tmp_path / "out" / "videos" / f"{path.stem}.mp4") == want
    told = lines(tmp_path / "out" / "videos" / f"{path.stem}.jsonl")
    assert [line["frame"] for line in told] == list(range(len(times)))
    assert [line["time"] for line in told] == [float(time) for time in want]
    assert (record["frames"], record["height"], record["width"]) == (len(times), 48, 64)
    assert record["duration"] >= float(want[-1] - want[0])
    assert (record["mask"], record["overlay"]) == (f"masks/{path.stem}", f"videos/{path.stem}.mp4")
    assert lines(tmp_path / "out" / "predictions.jsonl") == [record]


@pytest.mark.parametrize("batch_size", [1, 4])
def test_masks_and_the_video_shown_are_those_of_the_frames(tmp_path, batch_size):
    path = write_video(tmp_path / "v.mp4", VARIABLE)
    record = label(path, tmp_path / "out", batch_size=batch_size)
    given = segmenter()
    shown = frames_of(tmp_path / "out" / "videos" / "v.mp4")
    files = sorted((tmp_path / "out" / "masks" / "v").iterdir())
    assert [file.name for file in files] == [f"{index:06}.png" for index in range(len(VARIABLE))]
    total = np.zeros(3)
    told = lines(tmp_path / "out" / "videos" / "v.jsonl")
    for file, frame, image, line in zip(files, frames_of(path), shown, told, strict=True):
        prediction = given.predict(frame)
        with Image.open(file) as mask:
            np.testing.assert_array_equal(np.asarray(mask), prediction.label_map)
        assert image.shape == frame.shape
        want = np.asarray(prediction.overlay(legend=False)).astype(int)
        assert np.abs(image - want).mean() < 12, "H.264 halves the resolution of colours"
        assert line["classes"] == pytest.approx(prediction.fractions())
        total += np.bincount(prediction.label_map.ravel(), minlength=3)
    shares = dict(zip(given.labels.names, total / total.sum(), strict=True))
    assert record["classes"] == pytest.approx(shares)
    left = {file.name for file in (tmp_path / "out").rglob("*") if file.is_file() and file.suffix != ".png"}
    assert left == {"v.mp4", "v.jsonl", "predictions.jsonl", ".predict.json"}


@pytest.mark.parametrize(("degrees", "turns"), [(90, 1), (-90, 3), (180, 2)])
def test_videos_are_turned_upright(tmp_path, degrees, turns):
    path = write_video(tmp_path / "v.mp4", [0, 40], rotation=degrees)
    record = label(path, tmp_path / "out")
    stored = segmenter().predict(frames_of(path)[1]).label_map
    with Image.open(tmp_path / "out" / "masks" / "v" / "000001.png") as mask:
        np.testing.assert_array_equal(np.asarray(mask), np.rot90(stored, turns))
    (first, _) = frames_of(tmp_path / "out" / "videos" / "v.mp4")
    assert first.shape[:2] == (record["height"], record["width"]) == np.rot90(stored, turns).shape
    with av.open(str(tmp_path / "out" / "videos" / "v.mp4")) as container:
        assert next(container.decode(video=0)).rotation == 0


def test_odd_sizes_and_encoders_that_are_not_there(tmp_path, monkeypatch):
    path = write_video(tmp_path / "odd.mp4", [0, 40, 90], size_hw=(49, 65))
    want = [time * MS for time in (0, 40, 90)]
    for codecs in (("libx264", "mpeg4"), ("libopenh264", "mpeg4"), ("mpeg4",)):
        monkeypatch.setattr(video_files, "CODECS", codecs)
        label(path, tmp_path / codecs[0])
        shown = tmp_path / codecs[0] / "videos" / "odd.mp4"
        assert times_of(shown) == want
        assert frames_of(shown)[0].shape == (49, 65, 3)


def test_what_is_not_asked_for_is_not_written(tmp_path):
    path = write_video(tmp_path / "v.mp4", VARIABLE)
    record = label(path, tmp_path / "masks", {"mask"})
    assert sorted(file.name for file in (tmp_path / "masks").rglob("*.*") if file.suffix != ".png") == [
        "v.jsonl"
    ]
    assert "overlay" not in record
    record = label(path, tmp_path / "shown", {"overlay"})
    assert sorted(file.name for file in (tmp_path / "shown").rglob("*.*")) == ["v.jsonl", "v.mp4"]
    assert "mask" not in record
    error = label(path, tmp_path / "scores", {"mask", "scores"})["error"]
    assert error.endswith("is a video, of which scores cannot be saved; leave it out of --save")


def test_further_heads_have_masks(tmp_path):
    class Two(Brightest):
        num_classes = 5

        def forward(self, pictures):
            return torch.cat([pictures, -pictures[:, :2]], dim=1)

    few = LabelSet.from_names(["warm", "cold"])
    labels = LabelSet.from_names(["red", "green", "blue"])
    given = Segmenter(Two(), labels, precision="fp32", heads=[Head("heat", few)])
    path = write_video(tmp_path / "v.mp4", VARIABLE)
    label(path, tmp_path / "out", given=given)
    want = given.predict(frames_of(path)[3]).heads["heat"].label_map
    with Image.open(tmp_path / "out" / "masks_heat" / "v" / "000003.png") as mask:
        np.testing.assert_array_equal(np.asarray(mask), want)


@pytest.mark.parametrize(
    "share", [0.7, *(pytest.param(share, marks=pytest.mark.long) for share in (0.5, 0.95))]
)
@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("v.mkv", "libx264", {}),
        ("v.webm", "libvpx-vp9", {}),
        ("v.avi", "mpeg4", {}),
        ("v.mp4", "libx264", {"movflags": "+faststart"}),
        ("v.mov", "mpeg4", {"movflags": "+faststart"}),
    ],
)
def test_of_a_video_cut_short_the_frames_before_are_kept(tmp_path, name, codec, options, share):
    generator = np.random.default_rng(0)
    with av.open(str(tmp_path / name), "w", options=options) as container:
        stream = container.add_stream(codec, rate=5, options={"bf": "0"})
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for _ in range(40):
            noise = generator.integers(0, 256, (48, 64, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, format="rgb24")))
        container.mux(stream.encode(None))
    path = tmp_path / name
    want = times_of(path)
    assert "error" not in label(path, tmp_path / "whole")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    record = label(path, tmp_path / "out")
    assert record["error"].startswith(f"{path}: is "), record
    assert f"{record['frames']} frames before are kept" in record["error"]
    assert 40 * share - 12 < record["frames"] < 40
    assert times_of(tmp_path / "out" / "videos" / "v.mp4") == want[: record["frames"]]
    assert len(lines(tmp_path / "out" / "videos" / "v.jsonl")) == record["frames"]
    assert len(list((tmp_path / "out" / "masks" / "v").iterdir())) == record["frames"]


def test_what_is_no_video_is_listed(tmp_path):
    good = write_video(tmp_path / "a.mp4", [0, 40])
    (tmp_path / "b.mp4").write_bytes(b"no video at all")
    (tmp_path / "c.mp4").write_bytes(good.read_bytes()[:900])
    with av.open(str(tmp_path / "d.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    sources = find_pictures([str(tmp_path)], VIDEO_SUFFIXES)
    Image.new("RGB", (5, 4)).save(tmp_path / "photo.png")
    records = list(predict_files(segmenter(), [*sources, tmp_path / "photo.png"], tmp_path / "out", KINDS))
    assert [Path(record["source"]).name for record in records if "error" in record] == [
        "b.mp4",
        "c.mp4",
        "d.mp4",
    ]
    assert all("\n" not in record.get("error", "") for record in records)
    assert records[3]["error"].endswith("holds no video; expected MP4, MOV, MKV, WebM or AVI; remove it")
    with pytest.raises(PictureError, match="is no video, or a damaged one"):
        VideoReader(tmp_path / "missing.mp4")


def test_a_video_that_changes_its_size_is_left_off_there(tmp_path):
    with av.open(str(tmp_path / "v.mkv"), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuvj420p"
        for index, size_hw in enumerate([(48, 64), (48, 64), (32, 64)]):
            one = av.CodecContext.create("mjpeg", "w")
            one.height, one.width, one.pix_fmt, one.time_base = *size_hw, "yuvj420p", Fraction(1, 25)
            frame = av.VideoFrame.from_ndarray(picture(index, size_hw), format="rgb24").reformat(
                format="yuvj420p"
            )
            for packet in [*one.encode(frame), *one.encode(None)]:
                packet.stream, packet.pts, packet.dts, packet.time_base = (
                    stream,
                    index,
                    index,
                    Fraction(1, 25),
                )
                container.mux(packet)
    record = label(tmp_path / "v.mkv", tmp_path / "out")
    assert "changes its size at frame 2" in record["error"]
    assert record["frames"] == 2


def test_an_interrupted_video_goes_on(tmp_path, monkeypatch):
    path = write_video(tmp_path / "v.mp4", [40 * index for index in range(60)])
    given = segmenter()
    seen: list[int] = []
    predict_batch = given.predict_batch

    def counted(pictures, extras):
        seen.append(len(pictures))
        return predict_batch(pictures, extras)

    monkeypatch.setattr(given, "predict_batch", counted)

    def stop(text: str) -> None:
        if "frame 25 of 60" in text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        label(path, tmp_path / "out", given=given, model_id="m", progress=stop)
    partial = tmp_path / "out" / "videos" / ".v.jsonl.partial"
    assert not (tmp_path / "out" / "videos" / "v.mp4").exists()
    with partial.open("a") as file:
        file.write('{"frame": 25, "ti')
    seen.clear()
    again = label(path, tmp_path / "out", given=given, model_id="m")
    assert len(seen) == 35
    whole = label(path, tmp_path / "whole", given=given)
    assert {**again, "seconds": 0} == {**whole, "seconds": 0}
    for name in ("videos/v.jsonl", "videos/v.mp4", "masks/v/000024.png", "masks/v/000025.png"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert not partial.exists()
    assert "skipped" in label(path, tmp_path / "out", given=given, model_id="m")


def test_without_pyav_one_line_names_the_extra(tmp_path, monkeypatch):
    path = write_video(tmp_path / "v.mp4", [0, 40])
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ConfigError, match=r"pip install 'fullconv\[video\]'"):
        VideoReader(path)
    assert "fullconv[video]" in label(path, tmp_path / "out")["error"]


def test_a_writer_without_frames_leaves_nothing(tmp_path):
    writer = VideoWriter(tmp_path / "v.mp4", MS, Fraction(25))
    writer.close()
    assert not (tmp_path / "v.mp4").exists()
