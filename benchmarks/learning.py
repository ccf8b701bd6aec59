"""From forty unlabelled photos to a segmenter: how good after each ten corrections, those of most doubt first, or by name.

    python benchmarks/learning.py DATA OUT [--model animals] [--photos 40] [--steps 90]

What a person does at the page is done here with its interface: a service with --watch, --collect and --classes, ten pictures
corrected, `fullconv train --init`, a service with the new model, and so on. DATA's train masks stand for a perfect hand; figures
are of its val split. "asked" takes the pictures that the service asks for, "by_name" the first that are left; the first ten
are the same. A run that is there is not made again.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import httpx

from common import machine, measure
from fullconv.data.dataset import Dataset, open_dataset
from fullconv.data.masks import encode_mask
from fullconv.data.samples import read_sample

STEP, BATCH = 10, 8

Choice = Callable[[httpx.Client, list[str]], list[str]]
"""The next to correct of the names that are left."""


@contextmanager
def service(model: str, photos: Path, collected: Path, classes: str | None):
    words = ["serve", model, "--port", "0", "--watch", str(photos), "--collect", str(collected)]
    own = [] if classes is None else ["--classes", classes]
    command = [sys.executable, "-m", "fullconv", *words, *own]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        with httpx.Client(base_url=process.stdout.readline().strip(), timeout=60) as client:
            while client.get("/v2/health/ready").status_code != 200:
                time.sleep(0.2)
            yield client
        process.terminate()


def asked(client: httpx.Client, left: list[str]) -> list[str]:
    while (told := client.get("/v1/watch").json())["ranked"] < len(left):
        time.sleep(0.2)
    return [picture["name"] for picture in told["pictures"]]


def by_name(client: httpx.Client, left: list[str]) -> list[str]:
    return left


def corrected(client: httpx.Client, dataset: Dataset, photos: Path, names: list[str]) -> None:
    samples = {Path(str(sample.picture)).name: sample for sample in dataset.split("train")}
    for name in names:
        mask = encode_mask(read_sample(samples[name], dataset.labels)[1], dataset.labels)
        files = {"image": (name, (photos / name).read_bytes()), "mask": ("mask.png", mask)}
        client.post("/v1/collect", files=files).raise_for_status()


def session(data: Path, out: Path, model: str, steps: int, choice: Choice) -> None:
    dataset, photos, collected = open_dataset(data), out.parent / "photos", out / "collected"
    left = sorted(path.name for path in photos.iterdir())
    served, classes = model, ",".join(dataset.labels.names)
    for number in range(STEP, len(left) + 1, STEP):
        run = out / f"run_{number}"
        if not (run / "report.html").exists():
            shutil.rmtree(run, ignore_errors=True)
            with service(served, photos, collected, classes) as client:
                # A model that has learnt nothing doubts all alike.
                first = by_name if number == STEP else choice
                there = client.get("/v1/collect").json()["count"]
                corrected(client, dataset, photos, first(client, left)[: number - there])
            train_pictures = number - len(list(collected.glob("images/val/*")))
            epochs = str(round(steps / (train_pictures // BATCH)))
            words = ["train", str(collected), "--init", model, "--out", str(run), "--crop", "256x256"]
            settings = ["--epochs", epochs, "--batch-size", str(BATCH), "--set", f"val_every={epochs}"]
            command = [sys.executable, "-m", "fullconv", *words, *settings]
            began = time.perf_counter()
            subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
            (run / "seconds").write_text(f"{time.perf_counter() - began:.0f}")
        done = {path.name for path in collected.glob("images/*/*")}
        left = [name for name in left if not any(each.startswith(f"{Path(name).stem}-") for each in done)]
        served, classes = str(run), None
        figures = run / "figures.json"
        if not figures.exists():
            figures.write_text(json.dumps(measure(data, run)))
        percent = 100 * json.loads(figures.read_text())["mean IU"]
        print(
            f"{out.name:8}{number:4} pictures: mean IU {percent:.1f}, trained in {(run / 'seconds').read_text()} s",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="animals")
    parser.add_argument("--photos", type=int, default=40)
    parser.add_argument("--steps", type=int, default=90)
    words = parser.parse_args()
    print(machine())
    photos = words.out / "photos"
    photos.mkdir(parents=True, exist_ok=True)
    samples = open_dataset(words.data).split("train")
    for sample in samples[:: len(samples) // words.photos][: words.photos]:
        shutil.copy(str(sample.picture), photos)
    for choice in (asked, by_name):
        session(words.data, words.out / choice.__name__, words.model, words.steps, choice)


if __name__ == "__main__":
    main()
