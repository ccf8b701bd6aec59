"""Over real sockets: clients that dawdle, break off or speak no HTTP; stopping; the port."""

import io
import json
import re
import socket
import struct
import threading
import time
import urllib.error
import urllib.request

import httpx
import numpy as np
import pytest
from service_helpers import Held, brightest, code_of, decoded, encoded, get, image, picture_of, running

from fullconv.errors import ConfigError, InputError
from fullconv.serving.connections import listen, serve
from fullconv.serving.settings import Settings

HEAD = b"POST /v1/predict HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\n"


def dial(port: int, content: bytes = b"") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection.sendall(content)
    return connection


def everything(connection: socket.socket) -> bytes:
    """What comes until the other side hangs up."""
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received


def wait_for(condition) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def test_heads_that_do_not_come_are_not_waited_for():
    with running(settings=Settings(header_seconds=0.5)) as (port, _):
        slow = [dial(port, start) for start in (b"", b"GET", HEAD) for _ in range(60)]
        assert get(port, "/v2/health/ready")[0] == 200
        for connection in slow:
            assert everything(connection) == b""
            connection.close()


def test_a_second_head_on_the_same_connection_is_not_waited_for_either():
    with running(settings=Settings(header_seconds=0.5)) as (port, _):
        connection = dial(port, b"GET /v2 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK")
        connection.sendall(b"GET /v2 HT")
        assert b"HTTP" not in everything(connection)
        connection.close()


def test_bodies_that_do_not_come_are_not_waited_for():
    with running(settings=Settings(upload_seconds=0.5)) as (port, service):
        slow = [dial(port, HEAD + b"Content-Length: 1000\r\n\r\nabc") for _ in range(60)]
        assert get(port, "/v2/health/ready")[0] == 200
        for connection in slow:
            assert everything(connection).startswith(b"HTTP/1.1 408 ")
            connection.close()
        assert service.bodies.held == 0


def test_clients_that_break_off_leave_nothing_behind():
    with running() as (port, service):
        for reset in (False, True):
            broken = [dial(port, HEAD + b"Content-Length: 100000\r\n\r\n" + bytes(5000)) for _ in range(100)]
            wait_for(lambda: service.bodies.held == 100 * 5000)
            for connection in broken:
                if reset:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()
            assert get(port, "/v2/health/ready")[0] == 200
            wait_for(lambda: service.bodies.held == 0)
        assert service.pipeline.jobs == set()
        wait_for(lambda: b"fullconv_requests_in_flight 1.0" in get(port, "/metrics")[1])


@pytest.mark.parametrize(
    "content",
    [b"GARBAGE\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 100_000],
)
def test_what_is_not_http_is_refused(content):
    with running() as (port, _):
        connection = dial(port)
        connection.sendall(content)
        received = b""
        while b'"}}' not in received:
            received += connection.recv(4096)
        head, _, body = received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ")
        assert json.loads(body)["error"]["code"] == "bad_request"
        connection.close()


def test_a_refusal_reaches_clients_that_are_still_sending():
    """urllib hangs up after each request, and so would lose a reply that comes with the end of the connection."""
    with running(settings=Settings(max_bytes=1000)) as (port, _):
        for _ in range(5):
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/v1/predict", data=bytes(8_000_000), headers={"Content-Type": "a/b"}
            )
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(request)
            assert caught.value.code == 413
            assert json.load(io.BytesIO(caught.value.read()))["error"]["code"] == "too_large"
            caught.value.close()


def test_requests_on_one_connection():
    with running() as (port, _), httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        for seed in range(5):
            picture = picture_of(20, 30, seed)
            reply = client.post("/v1/predict?output=mask", files=image(encoded(picture)))
            np.testing.assert_array_equal(decoded(reply.content), brightest(picture))
            assert client.get("/nothing").status_code == 404


def test_a_stop_is_announced_and_waits_for_what_is_under_way():
    held = Held()
    with running(held.segmenter) as (port, service):
        replies = []
        url = f"http://127.0.0.1:{port}/v1/predict?output=mask"
        pictures = [picture_of(20, 30 + index) for index in range(4)]
        threads = [
            threading.Thread(target=lambda each=each: replies.append(httpx.post(url, files=image(encoded(each)), timeout=30)))
            for each in pictures
        ]  # fmt: skip
        for thread in threads:
            thread.start()
        wait_for(lambda: len(service.pipeline.jobs) == 4)
        service.stop()
        status, content = get(port, "/v2/health/ready")
        assert status == 503
        assert b"shutting_down" in content
        assert get(port, "/v2/health/live")[0] == 200
        held.let_go()
        for thread in threads:
            thread.join(30)
        assert [reply.status_code for reply in replies] == [200] * 4
        assert {decoded(reply.content).shape for reply in replies} == {each.shape[:2] for each in pictures}

        def closed() -> bool:
            try:
                dial(port).close()
            except OSError:
                return True
            return False

        wait_for(closed)


def test_a_stop_does_not_wait_for_ever():
    held = Held()
    with running(held.segmenter, Settings(drain_seconds=0.3)) as (port, service):
        replies = []
        url = f"http://127.0.0.1:{port}/v1/predict"
        thread = threading.Thread(
            target=lambda: replies.append(httpx.post(url, files=image(encoded(picture_of())), timeout=30))
        )
        thread.start()
        wait_for(lambda: len(service._pipeline.jobs) == 1)
        service.stop()
        thread.join(30)
        assert (replies[0].status_code, code_of(replies[0])) == (503, "shutting_down")
    held.let_go()


def test_a_port_that_is_taken():
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        said = re.escape(f"cannot listen at 127.0.0.1:{port}: address already in use; stop")
        with pytest.raises(ConfigError, match=said):
            listen("127.0.0.1", port)


def test_an_address_that_is_not_ours():
    with pytest.raises(ConfigError, match="cannot assign requested address; stop what runs there"):
        listen("203.0.113.1", 0)


def test_a_model_that_cannot_be_served_so_ends_the_service():
    from fullconv.serving.app import create_app

    def loader():
        raise InputError("onnxruntime is not installed")

    with pytest.raises(InputError, match="not installed"):
        serve(create_app(loader), listen("127.0.0.1", 0))
