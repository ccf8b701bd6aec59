"""`fullconv serve` as a user starts it."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import urllib.request

import httpx
import numpy as np
import pytest
import torch
from calling import call

from fullconv.bundle import BUILT_IN
from fullconv.cli.serve import read_token, segmenter_of
from fullconv.errors import ConfigError
from fullconv.labels import LabelSet


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::"])
def test_the_network_is_not_served_without_a_token(capsys, monkeypatch, host):
    monkeypatch.delenv("FULLCONV_TOKEN", raising=False)
    code, _, err = call(capsys, "serve", "camvid", "--host", host)
    assert code == 2
    assert "give it a --token-file, or set FULLCONV_TOKEN, or say --no-token" in " ".join(err.split())


def test_classes_without_a_folder_for_them(capsys):
    code, _, err = call(capsys, "serve", "camvid", "--classes", "background,bag")
    assert code == 2
    assert "give a folder: --collect FOLDER" in err


@pytest.mark.parametrize(
    ("classes", "message"), [("a,a", "a is given twice"), ("a,,b", "a class name is empty")]
)
def test_classes_that_are_none(capsys, tmp_path, classes, message):
    code, _, err = call(capsys, "serve", "camvid", "--collect", tmp_path / "new", "--classes", classes)
    assert (code, err.count("\n")) == (1, 1)
    assert message in err
    assert not (tmp_path / "new").exists()


def test_a_model_that_is_not_there(capsys):
    code, _, err = call(capsys, "serve", "no-such-model")
    assert (code, err.count("\n")) == (1, 1)
    assert "no model at no-such-model" in err


def test_a_port_that_is_taken(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, err = call(capsys, "serve", "camvid", "--port", port)
    assert (code, err.count("\n")) == (1, 1)
    assert f"cannot listen at 127.0.0.1:{port}: address already in use" in err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a token"),
        (b"a b", "expected a token"),
        ("é".encode(), "expected a token"),
        (b"\xff", "cannot be read"),
    ],
)
def test_a_token_that_is_none(tmp_path, content, message):
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_token(file)


def test_where_the_token_comes_from(tmp_path, monkeypatch):
    monkeypatch.delenv("FULLCONV_TOKEN", raising=False)
    assert read_token(None) is None
    monkeypatch.setenv("FULLCONV_TOKEN", "from-the-environment")
    assert read_token(None) == "from-the-environment"
    (tmp_path / "token").write_text("from-a-file\n")
    assert read_token(tmp_path / "token") == "from-a-file"
    with pytest.raises(ConfigError, match="cannot be read"):
        read_token(tmp_path / "missing")
    monkeypatch.setenv("FULLCONV_TOKEN", "")
    with pytest.raises(ConfigError, match="FULLCONV_TOKEN: expected a token"):
        read_token(None)


def test_without_the_packages_of_the_service(capsys, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "uvicorn" else find(name))
    code, _, err = call(capsys, "serve", "camvid")
    assert code == 1
    assert err == "error: the service needs uvicorn; run: pip install 'fullconv[serve]'\n"


@pytest.fixture
def started():
    """Starts the command; gives the process and its address."""
    processes = []

    def start(*args: str) -> tuple[subprocess.Popen, str]:
        command = [sys.executable, "-m", "fullconv", "serve", "camvid", "--log", "json", *args]
        environment = {name: value for name, value in os.environ.items() if name != "FULLCONV_TOKEN"}
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        processes.append(process)
        assert process.stdout is not None
        return process, process.stdout.readline().strip()

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_other_classes_than_the_models():
    labels = LabelSet.from_names(["background", "bag", "cat"])
    own = segmenter_of(BUILT_IN / "animals", labels, "cpu", "fp32", "torch")
    known = segmenter_of(BUILT_IN / "animals", None, "cpu", "fp32", "torch")
    assert own.labels == labels
    picture = np.random.default_rng(0).integers(0, 256, (50, 61, 3), np.uint8)
    ours, theirs = own.predict(picture), known.predict(picture)
    assert not ours.logits[1].any()
    for name in ("background", "cat"):
        here, there = own.labels.names.index(name), known.labels.names.index(name)
        torch.testing.assert_close(ours.logits[here], theirs.logits[there])


def test_it_says_where_it_is_and_ends_when_told_to(started):
    process, address = started("--port", "0", "--threads", "1")
    assert address.startswith("http://127.0.0.1:")
    assert httpx.get(f"{address}/v2/health/live", timeout=60).json() == {"live": True}
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGTERM
    assert "Traceback" not in err


@pytest.mark.long
def test_a_second_one_starts_where_one_was_killed_amid_a_request(started):
    first, address = started("--port", "0", "--threads", "1")
    port = address.rpartition(":")[2]
    with httpx.stream("GET", f"{address}/v2/health/live", timeout=60):
        second, said = started("--port", port)
        assert said == ""
        assert second.wait(60) == 1
        first.kill()
        first.wait(60)
    with pytest.raises(httpx.TransportError):
        httpx.get(address)
    third, address = started("--port", port, "--threads", "1")
    assert urllib.request.urlopen(f"{address}/v2/health/live", timeout=60).status == 200
    third.send_signal(signal.SIGINT)
    _, err = third.communicate(timeout=60)
    assert third.returncode == 130
    assert err.endswith("interrupted\n")
