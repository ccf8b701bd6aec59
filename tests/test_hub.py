"""Bundles on the Hub, against a server in this process that speaks as much of its language as is needed."""

import base64
import hashlib
import http.server
import json
import subprocess
import sys
import threading
import urllib.parse
from pathlib import Path

import pytest

from fullconv import hub
from fullconv.errors import InputError

COMMIT = "a" * 40


class FakeHub(http.server.ThreadingHTTPServer):
    """Repositories in memory: each a commit's id and its files."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories: dict[str, tuple[str, dict[str, bytes]]] = {}
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: FakeHub  # pyright: ignore[reportIncompatibleVariableOverride]

    def log_message(self, format: str, *args: object) -> None:
        pass

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        parts = urllib.parse.unquote(self.path).strip("/").split("/")
        if len(parts) < 5 or parts[2] != "resolve" or "/".join(parts[:2]) not in self.server.repositories:
            self.answer(404, X_Error_Code="RepoNotFound", X_Error_Message="Repository not found")
            return
        commit, files = self.server.repositories["/".join(parts[:2])]
        if parts[3] not in ("main", "v1", commit):
            self.answer(404, X_Error_Code="RevisionNotFound", X_Error_Message="Invalid rev id")
        elif parts[4] not in files:
            self.answer(404, X_Error_Code="EntryNotFound", X_Repo_Commit=commit)
        else:
            content = files[parts[4]]
            self.answer(200, content, ETag=f'"{hashlib.sha1(content).hexdigest()}"', X_Repo_Commit=commit)

    def do_POST(self) -> None:
        self.server.asked.append(f"POST {self.path}")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/api/validate-yaml":
            self.answer(200, b'{"warnings": [], "errors": []}')
        elif self.headers.get("Authorization") != "Bearer hf_good":
            self.answer(401, b'{"error": "Invalid credentials"}')
        elif self.path == "/api/repos/create":
            said = json.loads(body)
            name = f"{said.get('organization') or 'owner'}/{said['name']}"
            self.server.repositories.setdefault(name, (COMMIT, {}))
            self.answer(200, json.dumps({"url": f"{self.server.address}/{name}"}).encode())
        elif "/preupload/" in self.path:
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in json.loads(body)["files"]
            ]
            self.answer(200, json.dumps({"files": files}).encode())
        elif "/commit/" in self.path:
            name = "/".join(self.path.split("/")[3:5])
            lines = [json.loads(line) for line in body.splitlines()]
            files = {
                line["value"]["path"]: base64.b64decode(line["value"]["content"])
                for line in lines
                if line["key"] == "file"
            }
            self.server.repositories[name] = (COMMIT, files)
            said = {
                "commitOid": COMMIT,
                "commitUrl": f"{self.server.address}/{name}/commit/{COMMIT}",
                "pullRequestUrl": None,
            }
            self.answer(200, json.dumps(said).encode())
        else:
            self.answer(404)


@pytest.fixture
def server():
    with FakeHub() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def run(
    code: str, home: Path, server: FakeHub | None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """In a process of its own, because the Hub's library reads its environment once."""
    import os

    outside = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    own = {
        "HF_HOME": str(home),
        "HF_ENDPOINT": server.address if server else "http://127.0.0.1:9",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        **environment,
    }
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=outside | own, check=False
    )


FETCH = """
import sys
from fullconv import hub
from fullconv.errors import FullconvError
for address in {addresses!r}:
    try:
        folder = hub.fetch(address, ("model.json", "model.safetensors"))
        print(sorted(file.name for file in folder.iterdir()), (folder / "model.json").read_text())
    except FullconvError as error:
        print(type(error).__name__, error)
assert "torch" not in sys.modules
"""


def test_only_a_bundles_files_are_fetched_and_then_load_offline(server, tmp_path):
    files = {"model.json": b"{}", "model.safetensors": b"weights", "evil.py": b"raise SystemExit"}
    server.repositories["owner/name"] = (COMMIT, files)
    code = FETCH.format(addresses=["hf:owner/name"])
    first = run(code, tmp_path, server)
    assert first.stdout == "['model.json', 'model.safetensors'] {}\n", first.stderr
    assert not [line for line in server.asked if "evil" in line]
    # The second file is of the first one's commit, wherever the branch may be by then.
    assert [line for line in server.asked if line.startswith("GET")][-1].endswith(
        f"{COMMIT}/model.safetensors"
    )
    addresses = ["hf:owner/name", f"hf:owner/name@{COMMIT}", "hf:owner/none"]
    offline = run(FETCH.format(addresses=addresses), tmp_path, None, HF_HUB_OFFLINE="1")
    assert offline.stdout.startswith(2 * first.stdout), offline.stderr
    assert "\nBundleError no model.json from hf:owner/none (" in offline.stdout


def test_what_cannot_be_had_is_said_in_one_line(server, tmp_path):
    server.repositories["owner/other"] = (COMMIT, {"config.json": b"{}"})
    addresses = ["hf:owner/none", "hf:owner/other", "hf:owner/other@v9"]
    said = run(FETCH.format(addresses=addresses), tmp_path, server)
    lines = said.stdout.splitlines()
    assert len(lines) == 3, said.stderr
    for address, line in zip(addresses, lines, strict=True):
        assert line.startswith(f"BundleError no model.json from {address} (")
        assert "HF_TOKEN" in line


PUSH = """
from pathlib import Path
from fullconv import hub
from fullconv.errors import FullconvError
try:
    print(hub.push(Path({folder!r}), "owner/new", ("model.json",), "# Card", private=True, message="first"))
except FullconvError as error:
    print(type(error).__name__, error)
"""


def test_a_bundle_goes_up_as_one_commit(server, tmp_path):
    (tmp_path / "model.json").write_text('{"a": 1}')
    code = PUSH.format(folder=str(tmp_path))
    said = run(code, tmp_path / "home", server, HF_TOKEN="hf_good")
    assert said.stdout == f"{COMMIT}\n", said.stderr
    _, files = server.repositories["owner/new"]
    assert files["model.json"] == b'{"a": 1}'
    card = files["README.md"].decode()
    assert card.startswith("---\nlibrary_name: fullconv\n")
    assert card.endswith("---\n\n# Card")
    refused = run(code, tmp_path / "home", server, HF_TOKEN="hf_bad")
    assert refused.stdout.startswith("RunError owner/new could not be uploaded ("), refused.stderr
    assert refused.stdout.count("\n") == 1


@pytest.mark.parametrize(
    "address",
    ["hf:name", "hf:a/b/c", "hf:../name", "hf:owner/na me", "hf:owner/name@", "owner/name", "hf:/x"],
)
def test_no_addresses(address):
    with pytest.raises(InputError, match="is no address on the Hub; expected hf:owner/name"):
        hub.parts(address)
