"""The routes that are ours: what is answered, and what is refused, through the whole application."""

import asyncio
import io
import json
import warnings
import zlib

import httpx
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco
from service_helpers import (
    LABELS,
    TwoHeads,
    application,
    asked,
    brightest,
    code_of,
    decoded,
    encoded,
    image,
    picture_of,
    segmenter_of,
)

from fullconv.data.masks import palette_of
from fullconv.inference.outputs import Answer
from fullconv.labels import Head, LabelSet
from fullconv.serving import replies
from fullconv.serving.refusals import Refusal
from fullconv.serving.settings import Settings

PICTURE = picture_of()
FILE = encoded(PICTURE)


def predict(content: bytes = FILE, settings: Settings | None = None, source=None, **query) -> httpx.Response:
    return asked(
        lambda client: client.post("/v1/predict", params=query, files=image(content)), source, settings
    )


def by_coco(rle: dict) -> np.ndarray:
    """The mask that COCO's own program makes of run lengths."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its arrays are of an older NumPy's
        return np.array(coco.decode({"size": rle["size"], "counts": rle["counts"].encode()}))


def test_json_has_sizes_shares_and_run_lengths():
    reply = predict()
    content, truth = reply.json(), brightest(PICTURE)
    assert (content["height"], content["width"]) == truth.shape
    assert content["classes"] == pytest.approx(
        {name: float((truth == index).mean()) for index, name in enumerate(LABELS.names)}
    )
    assert list(content["classes"].values()) == sorted(content["classes"].values(), reverse=True)
    for shape in content["shapes"]:
        want = truth == LABELS.names.index(shape["name"])
        np.testing.assert_array_equal(by_coco(shape["rle"]), want)
        assert shape["pixels"] == want.sum()
    assert content["model"] == "model"
    assert content["seconds"] >= 0
    assert reply.headers["server-timing"].startswith("queue;dur=")


def test_json_without_shapes():
    assert "shapes" not in predict(shapes="none").json()


def test_polygons_fill_to_the_same_mask():
    shapes = predict(shapes="polygons").json()["shapes"]
    height, width = PICTURE.shape[:2]
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    for shape in shapes:
        crossings = np.zeros((height, width), int)
        for part in shape["polygons"]:
            for ring in part:  # even-odd: edges met on the way to the left
                for (x1, y1), (x2, y2) in zip(ring, ring[1:] + ring[:1], strict=True):
                    assert x1 == x2 or y1 == y2
                    crossings += (x1 == x2) & (x1 < x) & (min(y1, y2) < y) & (y < max(y1, y2))
        np.testing.assert_array_equal(crossings % 2 == 1, brightest(PICTURE) == shape["id"])


def test_a_mask_is_ids_with_the_colours_as_palette():
    reply = predict(output="mask")
    assert reply.headers["content-type"] == "image/png"
    mask = Image.open(io.BytesIO(reply.content))
    assert mask.mode == "P"
    np.testing.assert_array_equal(np.asarray(mask), brightest(PICTURE))
    assert mask.getpalette("RGB")[:9] == palette_of(LABELS)[:3].ravel().tolist()


def test_an_overlay_without_legend_has_the_size_of_the_picture():
    with_legend, without = predict(output="overlay"), predict(output="overlay", legend="false")
    assert with_legend.headers["content-type"] == "image/jpeg"
    assert decoded(without.content).shape == PICTURE.shape
    assert decoded(with_legend.content).size > decoded(without.content).size


def test_scores_are_the_softmax_in_half_precision():
    scores = np.load(io.BytesIO(predict(output="scores").content), allow_pickle=False)
    logits = 8 * PICTURE.transpose(2, 0, 1).astype(np.float32) / 255
    want = np.exp(logits) / np.exp(logits).sum(0)
    assert scores.dtype == np.float16
    np.testing.assert_allclose(scores, want, atol=1e-3)


def test_maps_have_class_confidence_and_entropy_in_one_picture():
    maps = decoded(predict(output="maps").content)
    prediction = segmenter_of().predict(PICTURE)
    np.testing.assert_array_equal(maps[..., 0], brightest(PICTURE))
    assert np.abs(maps[..., 1] / 255 - prediction.confidence()).max() <= 1 / 510 + 1e-6
    assert np.abs(maps[..., 2] / 255 - prediction.entropy()).max() <= 1 / 510 + 1e-6


def test_heads():
    half = LabelSet.from_names(["bright", "dark"])
    source = segmenter_of(TwoHeads(), heads=(Head("light", half),))
    content = predict(source=source).json()
    dark = (PICTURE[..., 0] < 127.5).mean()
    assert content["heads"]["light"]["classes"]["dark"] == pytest.approx(dark)
    mask = decoded(predict(source=source, output="mask", head="light").content)
    np.testing.assert_array_equal(mask, PICTURE[..., 0] < 127.5)
    reply = predict(source=source, output="mask", head="other")
    assert (reply.status_code, code_of(reply)) == (422, "bad_field")
    assert "expected light" in reply.json()["error"]["message"]


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_mask_lies_on_the_picture_as_a_browser_shows_it(form, orientation):
    """The turns are written out here, by what the corners of the stored picture become."""
    stored = np.zeros((16, 32, 3), np.uint8)
    stored[:8, :16, 0], stored[:8, 16:, 1], stored[8:, :, 2] = 255, 255, 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    options = (
        {"quality": 95, "subsampling": 0} if form == "JPEG" else {"lossless": True} if form == "WEBP" else {}
    )
    Image.fromarray(stored).save(stream, form, exif=exif, **options)
    turned = {
        1: lambda ids: ids,
        2: lambda ids: ids[:, ::-1],
        3: lambda ids: ids[::-1, ::-1],
        4: lambda ids: ids[::-1],
        5: lambda ids: ids.T,
        6: lambda ids: ids[::-1].T,
        7: lambda ids: ids[::-1, ::-1].T,
        8: lambda ids: ids[:, ::-1].T,
    }[orientation](brightest(stored))
    np.testing.assert_array_equal(decoded(predict(stream.getvalue(), output="mask").content), turned)
    content = predict(stream.getvalue()).json()
    assert (content["height"], content["width"]) == turned.shape


def jpeg_with_a_second_picture() -> bytes:
    stream = io.BytesIO()
    first, second = Image.fromarray(PICTURE), Image.fromarray(PICTURE[::-1])
    first.save(stream, "MPO", save_all=True, append_images=[second])
    return stream.getvalue()


def test_a_phones_jpeg_with_a_second_picture_is_a_jpeg():
    assert predict(jpeg_with_a_second_picture()).status_code == 200


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 400, "not_a_picture"),
        (b"hello", 400, "not_a_picture"),
        (FILE[:200], 400, "not_a_picture"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", 415, "unsupported_format"),
        (b"P6 2 2 255 " + bytes(12), 415, "unsupported_format"),
        (b"P3 2 2 255 " + b"0 " * 12, 415, "unsupported_format"),
        (encoded(picture_of(100, 11)), 413, "too_large"),
        (encoded(picture_of(1, 101)), 413, "too_large"),
        (encoded(picture_of(90, 90)) + bytes(10_000), 413, "too_large"),
    ],
)
def test_pictures_that_are_refused(content, status, code):
    settings = Settings(max_pixels=1000, max_side=100, max_bytes=8000)
    reply = predict(content, settings)
    assert (reply.status_code, code_of(reply)) == (status, code)


def test_a_bomb_is_refused_before_it_is_decoded():
    header = b"IHDR" + (30_000).to_bytes(4, "big") * 2 + FILE[24:29]
    reply = predict(FILE[:12] + header + zlib.crc32(header).to_bytes(4, "big") + FILE[33:])
    assert (reply.status_code, code_of(reply)) == (413, "too_large")


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ({"output": "video"}, "output"),
        ({"shapes": "circles"}, "shapes"),
        ({"legend": "perhaps"}, "legend"),
        ({"head": "any"}, "head"),
        ({"head": "x" * 101}, "head"),
    ],
)
def test_queries_that_are_refused(query, word):
    reply = predict(**query)
    assert (reply.status_code, code_of(reply)) == (422, "bad_field")
    assert reply.json()["error"]["message"].startswith(f"{word}: ")


@pytest.mark.parametrize(("shapes", "status"), [("rle", 413), ("polygons", 413), ("none", 200)])
def test_shapes_of_noise_are_refused(monkeypatch, shapes, status):
    monkeypatch.setattr(replies, "MOST_BORDER", {"rle": 100, "polygons": 100})
    reply = predict(shapes=shapes)
    assert reply.status_code == status
    assert status == 200 or code_of(reply) == "too_large"


def test_classes_beyond_eight_bits():
    labels = LabelSet.from_names([str(index) for index in range(257)])
    picture = np.zeros((2, 3, 3), np.uint8)
    label_map = np.array([[0, 1, 256], [2, 2, 2]], np.uint16)
    answer = Answer(
        picture, label_map, labels, {"confidence": np.ones((2, 3)), "entropy": np.ones((2, 3))}, {}
    )
    np.testing.assert_array_equal(decoded(bytes(replies.mask_reply(answer).body)), label_map)
    with pytest.raises(Refusal, match="8 bits"):
        replies.maps_reply(answer)


def test_scores_that_would_be_too_large_are_refused():
    reply = predict(output="scores", settings=Settings(max_reply_bytes=1000))
    assert (reply.status_code, code_of(reply)) == (413, "too_large")


@pytest.mark.parametrize("seconds", ["0", "0.9", "-1", "soon", "nan", "inf", "1e9"])
def test_a_wrong_timeout_is_refused(seconds):
    reply = asked(
        lambda client: client.post("/v1/predict", files=image(FILE), headers={"X-Request-Timeout": seconds})
    )
    assert (reply.status_code, code_of(reply)) == (422, "bad_field")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/v1/predict/", 404, "not_found"),
        ("GET", "/static/../app.py", 404, "not_found"),
        ("GET", "/static/%2e%2e/app.py", 404, "not_found"),
        ("GET", "/docs", 404, "not_found"),
        ("GET", "/v1/predict", 405, "method_not_allowed"),
        ("DELETE", "/v1/model", 405, "method_not_allowed"),
    ],
)
def test_addresses_that_are_not_there(method, path, status, code):
    reply = asked(lambda client: client.request(method, path))
    assert (reply.status_code, code_of(reply)) == (status, code)
    assert ("allow" in reply.headers) == (status == 405)


def test_a_failure_that_nobody_foresaw_says_nothing_of_itself(caplog):
    source = segmenter_of()

    async def main() -> httpx.Response:
        async with application(source) as (client, _):
            source.predict_batch = None  # pyright: ignore[reportAttributeAccessIssue]
            return await client.post("/v1/predict", files=image(FILE), headers={"X-Request-Id": "r1"})

    reply = asyncio.run(main())
    assert (reply.status_code, code_of(reply)) == (500, "internal")
    assert "NoneType" not in reply.text
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "TypeError" in str(record.exc_info)
    assert record.facts["id"] == "r1"


def test_the_model_says_what_it_is(tmp_path):
    about = asked(lambda client: client.get("/v1/model"), settings=Settings(name="rgb", max_side=99)).json()
    assert about["name"] == "rgb"
    assert about["classes"][1] == {"id": 1, "name": "green", "color": [0, 200, 0]}
    assert about["limits"]["max_side"] == 99
    assert about["preprocessing"]["mean"] == [0, 0, 0]


def test_the_page_and_what_it_may_do():
    reply = asked(lambda client: client.get("/"))
    assert "<title>fullconv</title>" in reply.text
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["referrer-policy"] == "no-referrer"
    style = asked(lambda client: client.get("/static/page.css"))
    assert style.headers["content-type"].startswith("text/css")


def test_the_interface_is_described_with_an_example_of_every_reply():
    described = asked(lambda client: client.get("/openapi.json")).json()
    assert set(described["paths"]) == {
        "/v1/predict", "/v1/model", "/metrics", "/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/{name}",
        "/v2/models/{name}/ready", "/v2/models/{name}/infer", "/v1/collect", "/v1/watch", "/v1/watch/{index}/picture",
        "/v1/examples", "/v1/examples/{index}",
    }  # fmt: skip
    for methods in described["paths"].values():
        for operation in methods.values():
            for reply in operation["responses"].values():
                is_picture = all(kind.startswith("image/") for kind in reply["content"])
                assert is_picture or any("example" in content for content in reply["content"].values())
    assert "HTTPValidationError" not in json.dumps(described)


def test_the_example_of_a_prediction_is_one():
    from fullconv.serving.openapi import PREDICTION

    for shape in PREDICTION["shapes"]:
        mask = by_coco(shape["rle"])
        assert mask.shape == (PREDICTION["height"], PREDICTION["width"])
        assert mask.sum() == shape["pixels"]
        assert shape["pixels"] / mask.size == PREDICTION["classes"][shape["name"]]
