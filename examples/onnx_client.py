"""Labels a picture with an exported model: onnxruntime, numpy and Pillow, nothing else.

    fullconv export camvid street.onnx
    python onnx_client.py street.onnx photo.jpg labels.png

`labels.png` has the picture's size and holds class ids, with the classes' colours as its palette. All that has to be known of
the model stands in its own metadata.
"""

import argparse
import json

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def read_input(path: str, mean: list[float], std: list[float]) -> np.ndarray:
    """A picture as (1, 3, H, W) float32, normalised as the model expects it; any size, turned as a browser shows it."""
    with Image.open(path) as picture:
        pixels = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"), np.float32) / 255
    normalised = (pixels - np.asarray(mean, np.float32)) / np.asarray(std, np.float32)
    return np.ascontiguousarray(normalised.transpose(2, 0, 1)[None])


def label_map(session: onnxruntime.InferenceSession, image: np.ndarray) -> np.ndarray:
    """(H, W) class ids, from a model that gives them, or from one that gives logits."""
    (output,) = session.get_outputs()[:1]
    (found,) = session.run([output.name], {"image": image})
    return found[0] if output.name == "labels" else found[0].argmax(axis=0)


def save(labels: np.ndarray, classes: list[dict], path: str) -> None:
    if len(classes) > 256:
        Image.fromarray(labels.astype(np.uint16)).save(path)
        return
    mask = Image.fromarray(labels.astype(np.uint8))
    mask.putpalette([value for each in classes for value in each["color"]])
    mask.save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="an .onnx that 'fullconv export' wrote")
    parser.add_argument("picture")
    parser.add_argument("out", help="a .png")
    arguments = parser.parse_args()

    session = onnxruntime.InferenceSession(arguments.model, providers=["CPUExecutionProvider"])
    about = session.get_modelmeta().custom_metadata_map
    classes = json.loads(about["classes"])
    image = read_input(arguments.picture, json.loads(about["mean"]), json.loads(about["std"]))
    labels = label_map(session, image)
    save(labels, classes, arguments.out)
    counts = np.bincount(labels.ravel(), minlength=len(classes))
    for index in np.argsort(-counts, kind="stable"):
        if counts[index]:
            print(f"{100 * counts[index] / labels.size:6.2f} %  {classes[index]['name']}")


if __name__ == "__main__":
    main()
