"""The clients in examples/ run without this package, and say what it says."""

import functools
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fullconv.bundle import Architecture, load_bundle, save_bundle
from fullconv.inference.segmenter import Segmenter
from fullconv.labels import LabelSet
from fullconv.preprocessing import Preprocessing

EXAMPLES = Path(__file__).parents[1] / "examples"

for package in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(package)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A folder with a picture, the labels that it gets here, and models that give labels and logits."""
    from fullconv.export.exporting import Request, export_model

    folder = tmp_path_factory.mktemp("examples")
    torch.manual_seed(0)
    architecture = Architecture(model="patchwise", backbone="none", num_classes=3)
    labels = LabelSet(("sky", "wall", "road"), ((10, 20, 30), (200, 0, 0), (0, 90, 250)))
    state = architecture.build().state_dict()
    save_bundle(folder / "bundle", state, architecture, labels, Preprocessing(), {}, {})
    bundle = load_bundle(folder / "bundle")
    for name, as_labels in (("labels", True), ("logits", False)):
        export_model(bundle, folder / name / "model.onnx", Request("onnx", as_labels=as_labels))
    picture = np.random.default_rng(0).integers(0, 256, (75, 101, 3), np.uint8)
    Image.fromarray(picture).save(folder / "picture.png")
    segmenter = Segmenter(bundle.model, labels, bundle.preprocessing, precision="fp32")
    np.save(folder / "want.npy", segmenter.predict(picture).label_map)
    return folder


@pytest.mark.long
@pytest.mark.parametrize("kind", ["labels", "logits"])
def test_the_python_client(exported, tmp_path, kind):
    code = (
        "import runpy, sys\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "found = {'torch', 'fullconv', 'torchvision', 'timm'} & set(sys.modules)\n"
        "assert not found, found\n"
    )
    arguments = [
        EXAMPLES / "onnx_client.py",
        exported / kind / "model.onnx",
        exported / "picture.png",
        tmp_path / "out.png",
    ]
    start = f"import sys; sys.argv = {[str(each) for each in arguments]!r}\n"
    done = subprocess.run([sys.executable, "-c", start + code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "out.png") as mask:
        got, palette = np.asarray(mask), mask.getpalette()
    want = np.load(exported / "want.npy")
    assert got.shape == want.shape
    assert (got == want).mean() > 0.999
    assert palette[:9] == [10, 20, 30, 200, 0, 0, 0, 90, 250]
    shares = [line.split(" %  ") for line in done.stdout.splitlines()]
    assert sum(float(share) for share, _ in shares) == pytest.approx(100, abs=0.02)
    assert {name for _, name in shares} <= {"sky", "wall", "road"}


def test_the_pages_arithmetic():
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node to run JavaScript")
    code = f"""
import {{ argmax, overlay, segment, shares, toInput }} from {(EXAMPLES / "web" / "segment.js").as_uri()!r};
const rgba = new Uint8ClampedArray([255, 0, 51, 255, 0, 102, 255, 255]);
const classes = [{{ name: "a", color: [0, 0, 0] }}, {{ name: "b", color: [200, 100, 0] }}, {{ name: "c", color: [1, 1, 1] }}];
const ort = {{ Tensor: class {{ constructor(type, data, dims) {{ Object.assign(this, {{ type, data, dims }}); }} }} }};
const session = {{ run: async ({{ image }}, names) => ({{ [names[0]]: {{ data: [1, image.dims[2]] }} }}) }};
const about = {{ mean: [0, 0, 0], std: [1, 1, 1], classes, outputs: [{{ name: "labels" }}] }};
console.log(JSON.stringify({{
  input: Array.from(toInput(rgba, 2, 1, [0.5, 0.4, 0.2], [0.5, 0.2, 0.1])),
  argmax: Array.from(argmax([1, 5, 1, 5, 0, 6], 3)),
  overlay: Array.from(overlay(rgba, [1, 0], classes, 0.5)),
  shares: shares([1, 1, 0, 1], classes),
  segment: await segment(ort, session, about, {{ data: rgba, width: 2, height: 1 }}),
}}));
"""
    done = subprocess.run(
        [node, "--input-type=module", "-e", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    np.testing.assert_allclose(said["input"], [1, -1, -2, 0, 0, 8], atol=1e-6)
    assert said["argmax"] == [0, 2]
    assert said["overlay"] == [228, 50, 26, 255, 0, 51, 128, 255]
    assert [(each["name"], each["share"]) for each in said["shares"]] == [("b", 0.75), ("a", 0.25)]
    assert said["segment"] == [1, 1]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["labels", "logits"])
def test_the_page(exported, tmp_path, kind):
    """In Chromium, with a copy of onnxruntime-web that FULLCONV_ORT_WEB names."""
    playwright = pytest.importorskip("playwright.sync_api")
    library, chromium = os.environ.get("FULLCONV_ORT_WEB"), shutil.which("chromium")
    if library is None or chromium is None:
        pytest.skip("needs chromium, and onnxruntime-web's dist folder named by FULLCONV_ORT_WEB")
    shutil.copytree(EXAMPLES / "web", tmp_path / "web")
    shutil.copytree(exported / kind, tmp_path / "web", dirs_exist_ok=True)
    (tmp_path / "web" / "ort").mkdir()
    for name in ("ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"):
        shutil.copy(Path(library) / name, tmp_path / "web" / "ort" / name)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "web"))
    with (
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server,
        playwright.sync_playwright() as player,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = player.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(240_000)
        page.goto(f"http://127.0.0.1:{server.server_address[1]}/index.html")
        page.wait_for_function("document.getElementById('status').textContent === 'ready'")
        page.set_input_files("#picture", exported / "picture.png")
        page.wait_for_function("document.getElementById('status').textContent.startsWith('done')")
        labels = np.array(page.evaluate("labels"))
        rows = page.locator("#classes li").all_inner_texts()
        browser.close()
        server.shutdown()
    want = np.load(exported / "want.npy")
    assert (labels.reshape(want.shape) == want).mean() > 0.999
    assert rows
    assert all(row.endswith(" %") for row in rows)
