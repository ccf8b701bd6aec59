"""`predict --server`: the same files as from a model here, patience with a full service, and clear words otherwise."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from calling import call
from PIL import Image
from service_helpers import TwoHeads, encoded, picture_of, running, segmenter_of

from fullconv.errors import ConfigError, RunError
from fullconv.inference.folder import predict_files
from fullconv.labels import Head, LabelSet
from fullconv.serving import client
from fullconv.serving.client import Server, predict_remotely
from fullconv.serving.settings import Settings

KINDS = {"mask", "overlay", "before-after", "confidence", "entropy", "scores", "json"}


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index in range(5):
        (folder / f"{index}.png").write_bytes(encoded(picture_of(40 + index, 50, index)))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture_of(20, 60)).save(folder / "turned.jpg", exif=exif)
    return sorted(folder.iterdir())


def tree(folder):
    return {str(file.relative_to(folder)): file for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("heads", [(), (Head("light", LabelSet.from_names(["bright", "dark"])),)])
def test_the_files_are_those_of_a_model_here(pictures, tmp_path, heads):
    segmenter = segmenter_of(TwoHeads() if heads else None, heads)
    here = list(predict_files(segmenter, pictures, tmp_path / "here", KINDS))
    with running(segmenter) as (port, _), Server(f"http://127.0.0.1:{port}") as server:
        there = list(predict_remotely(server, server.served(), pictures, tmp_path / "there", KINDS))
    for one, other in zip(here, there, strict=True):
        assert other.pop("seconds") >= 0
        one.pop("seconds")
        assert other == one
    want, got = tree(tmp_path / "here"), tree(tmp_path / "there")
    assert set(got) == set(want)
    for name, file in want.items():
        if name.startswith(("confidence", "entropy")):  # which came with 8 bits
            shades = np.asarray(Image.open(file), np.int16), np.asarray(Image.open(got[name]), np.int16)
            assert np.abs(shades[0] - shades[1]).mean() < 1
        elif not name.endswith((".json", ".jsonl")):
            assert got[name].read_bytes() == file.read_bytes(), name


def test_the_command(capsys, pictures, tmp_path, monkeypatch):
    monkeypatch.setenv("FULLCONV_TOKEN", "t")
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"hello")
    with running(settings=Settings(name="rgb", token="t")) as (port, _):
        for words in ([], ["rgb"]):
            out = tmp_path / f"out{len(words)}"
            args = [
                "predict",
                *words,
                *pictures,
                bad,
                "--out",
                out,
                "--server",
                f"http://127.0.0.1:{port}",
                "--json",
            ]
            code, lines, err = call(capsys, *args)
            assert code == 1
            assert "6 of 7 pictures labelled, in" in err
            assert f"error: {bad}: is not a picture" in err
            records = [json.loads(line) for line in lines.splitlines()]
            assert [record["source"] for record in records] == [str(each) for each in (*pictures, bad)]
            assert sorted(tree(out / "masks")) == [*(f"{index}.png" for index in range(5)), "turned.png"]
        code, _, err = call(
            capsys, "predict", "other", pictures[0], "--out", tmp_path, "--server", f"http://127.0.0.1:{port}"
        )
        assert (code, err.count("\n")) == (1, 1)
        assert "other does not exist" in err
        assert "is 'rgb'" in err
        monkeypatch.setenv("FULLCONV_TOKEN", "wrong")
        code, _, err = call(capsys, *args)
        assert (code, err.count("\n")) == (1, 1)
        assert "the token is missing or wrong" in err


def test_options_of_a_model_here_are_refused(capsys, pictures, tmp_path):
    for option in (["--tile", "64"], ["--engine", "torch"], ["--device", "cpu"], ["--batch-size", "2"]):
        code, _, err = call(
            capsys, "predict", pictures[0], "--out", tmp_path, "--server", "http://a", *option
        )
        assert code == 2
        assert f"Invalid value for {option[0]}: has no meaning for a server" in err


@pytest.mark.parametrize(
    "url", ["localhost:8000", "ftp://a", "http://", "http://a:b", "http://a:99999999", ""]
)
def test_an_address_that_is_none(url):
    with pytest.raises(ConfigError, match="expected an address like"):
        Server(url)


def test_no_service_there(capsys, pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(client.time, "sleep", lambda seconds: None)
    code, _, err = call(capsys, "predict", pictures[0], "--out", tmp_path, "--server", "http://127.0.0.1:9")
    assert (code, err.count("\n")) == (1, 1)
    assert "cannot reach http://127.0.0.1:9: Connection refused; is 'fullconv serve' running there?" in err


@contextmanager
def scripted(*replies: tuple[int, dict[str, str], bytes]):
    """A server that gives these replies, one after the other, and the last one for ever."""
    left, lock = list(replies), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            with lock:
                status, headers, body = left.pop(0) if len(left) > 1 else left[0]
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if not status:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        with Server(f"http://127.0.0.1:{server.server_port}/under/") as client:
            yield client
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


FULL = (503, {"Retry-After": "3"}, b'{"error": {"code": "queue_full", "message": "full"}}')


def test_a_full_service_is_asked_again_when_it_says(monkeypatch):
    slept = []
    monkeypatch.setattr(client.time, "sleep", slept.append)
    other = (429, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, b"")
    with scripted(
        FULL, (0, {}, b""), other, (503, {"Retry-After": "9999"}, b""), (200, {}, b"done")
    ) as server:
        assert server.ask("POST", "/v1/predict", b"x")[0] == b"done"
    assert slept == [3.0, 0.5, 5.0, 30.0]


def test_patience_ends(monkeypatch):
    monkeypatch.setattr(client.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(client, "PATIENCE_SECONDS", -1)
    with scripted(FULL) as server, pytest.raises(RunError, match="full"):
        server.ask("GET", "/")


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b"<html>", b'{"name": 1, "digest": "", "heads": {}, "classes": [{}], "limits": {"max_bytes": 1}}',
     b'{"name": "a", "digest": "", "heads": [], "classes": [], "limits": {"max_bytes": 1}}',
     b'{"name": "a", "digest": "", "heads": {}, "classes": [], "limits": {"max_bytes": 1}}'],
)  # fmt: skip
def test_another_kind_of_service(body):
    with (
        scripted((200, {}, body)) as server,
        pytest.raises(RunError, match="does not speak like fullconv serve"),
    ):
        server.served()


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (b"<html>", "sent no mask"),
        (encoded(np.full((40, 50), 7, np.uint8)), "sent a mask that does not fit"),
        (encoded(np.zeros((41, 50), np.uint8)), "sent a mask that does not fit"),
    ],
)
def test_a_service_that_sends_nonsense(pictures, tmp_path, mask, message):
    about = b'{"name": "a", "digest": "d", "heads": {}, "classes": [%s], "limits": {"max_bytes": 99999}}'
    about %= b'{"name": "x", "color": [1, 2, 3]}'
    with scripted((200, {}, about), (200, {}, mask)) as server:
        records = predict_remotely(
            server, server.served(), pictures[:1], tmp_path / "out", {"mask", "overlay"}
        )
        with pytest.raises(RunError, match=message):
            list(records)


def test_an_interrupted_run_goes_on(pictures, tmp_path, monkeypatch):
    segmenter = segmenter_of()
    with running(segmenter) as (port, service), Server(f"http://127.0.0.1:{port}") as server:
        service.about["digest"] = "d1"
        begun = predict_remotely(server, server.served(), pictures, tmp_path / "out", {"mask", "json"})
        first = [next(begun) for _ in range(2)]
        begun.close()
        again = list(predict_remotely(server, server.served(), pictures, tmp_path / "out", {"mask", "json"}))
        assert again[:2] == [{**record, "skipped": True} for record in first]
        assert len(again) == 6
        service.about["digest"] = "d2"
        anew = list(predict_remotely(server, server.served(), pictures, tmp_path / "out", {"mask", "json"}))
        assert not any("skipped" in record for record in anew)


def test_files_that_are_not_sent(pictures, tmp_path):
    video = tmp_path / "film.mp4"
    video.write_bytes(b"x")
    with running(settings=Settings(max_bytes=400)) as (port, _), Server(f"http://127.0.0.1:{port}") as server:
        missing = tmp_path / "missing.png"
        records = list(
            predict_remotely(
                server, server.served(), [pictures[0], video, missing], tmp_path / "out", {"mask"}
            )
        )
    assert "has more than 400 bytes, the server's limit" in records[0]["error"]
    assert "is a video; a server takes pictures" in records[1]["error"]
    assert "cannot be read (No such file or directory)" in records[2]["error"]


def test_a_service_that_goes_away_ends_the_run(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(client.time, "sleep", lambda seconds: None)
    with running() as (port, _), Server(f"http://127.0.0.1:{port}") as server:
        served = server.served()
    with pytest.raises(RunError, match="cannot reach"):
        list(predict_remotely(server, served, pictures, tmp_path / "out", {"mask"}))
