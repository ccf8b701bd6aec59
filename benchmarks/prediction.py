"""P1 and P2: a 512 x 512 photo file to its label map on the CPU, beside peers, and the network's time over its floor.

    python benchmarks/prediction.py

Peers are used as their documentation shows ("documented") and as well as we can tune them ("tuned"). Weights are random, which
time does not depend on; what int8 costs in labels, `fullconv quantize` measures on trained ones. Random networks give noisy score
maps, the worst case for labels from coarse scores. Medians and spreads of one run in which every row comes round in turn.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import segmentation_models_pytorch as smp
import torch
import torchvision
import transformers
from PIL import Image
from segmentation_models_pytorch.encoders._preprocessing import preprocess_input
from torch.utils.flop_counter import FlopCounterMode
from torchvision.transforms.functional import normalize, pil_to_tensor

import fullconv
from common import machine
from fullconv.data.dataset import open_dataset
from fullconv.data.scenes import write_scenes
from fullconv.inference.engines.openvino_engine import OpenVinoEngine
from fullconv.inference.engines.quantize import Calibration, with_int8
from fullconv.ops.score_map import ScoreMap

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
BF16 = bool(torch.cpu.get_capabilities().get("amx_bf16") or torch.cpu.get_capabilities().get("avx512_bf16"))
SIDE = 512


def photo(path: Path) -> None:
    """A smooth picture with some grain, as a JPEG."""
    generator = np.random.default_rng(0)
    small = Image.fromarray(generator.integers(0, 256, (32, 32, 3), np.uint8)).resize(
        (SIDE, SIDE), Image.Resampling.BICUBIC
    )
    grain = generator.normal(0, 6, (SIDE, SIDE, 3))
    Image.fromarray((np.asarray(small) + grain).clip(0, 255).astype(np.uint8)).save(path, quality=92)


def torchvision_documented(file: Path) -> Callable[[], Any]:
    """docs.pytorch.org/vision: "Semantic Segmentation": its preset, the model as weights bring it, softmax of `out`."""
    # Weights would bring the auxiliary classifier; the preset is that of FCN_ResNet50_Weights.
    model = torchvision.models.segmentation.fcn_resnet50(
        weights=None, weights_backbone=None, num_classes=21, aux_loss=True
    )
    model.eval()
    preprocess = torchvision.transforms._presets.SemanticSegmentation(resize_size=520)

    def predict() -> torch.Tensor:
        img = torchvision.io.decode_image(str(file))
        batch = preprocess(img).unsqueeze(0)
        prediction = model(batch)["out"]
        return prediction.softmax(dim=1).argmax(dim=1)

    return predict


def read_normalized(file: Path) -> torch.Tensor:
    pixels = pil_to_tensor(Image.open(file).convert("RGB")).float().div_(255)
    return normalize(pixels, MEAN, STD, inplace=True)[None]


def tuned(file: Path, model: torch.nn.Module, output: Callable[[Any], torch.Tensor]) -> Callable[[], Any]:
    """Any peer: inference mode, channels last, batch normalisation folded by freezing, bfloat16 where native, no softmax."""
    model = model.eval().to(memory_format=torch.channels_last)
    example = torch.zeros(1, 3, SIDE, SIDE).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=BF16):
        frozen = torch.jit.freeze(torch.jit.trace(model, example, strict=False, check_trace=False))

    def predict() -> torch.Tensor:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=BF16):
            logits = output(frozen(read_normalized(file).contiguous(memory_format=torch.channels_last)))
            return logits.float().argmax(dim=1)

    return predict


def smp_documented(file: Path) -> Callable[[], Any]:
    """smp.readthedocs.io, quick start: the encoder's own preprocessing, `model(x)` under inference mode."""
    # get_preprocessing_fn would ask the hub for these numbers.
    model = smp.FPN(encoder_name="resnet18", encoder_weights=None, classes=21).eval()

    def predict() -> torch.Tensor:
        image = np.asarray(Image.open(file).convert("RGB"))
        image = preprocess_input(image, mean=MEAN, std=STD, input_space="RGB", input_range=[0, 1])
        batch = torch.from_numpy(image.transpose(2, 0, 1)).float().unsqueeze(0)
        with torch.inference_mode():
            return model(batch).argmax(dim=1)

    return predict


def segformer(file: Path, fast: bool) -> Callable[[], Any]:
    """huggingface.co/docs/transformers, "Semantic segmentation": processor, SegFormer-B0, logits upsampled, argmax."""
    processor = transformers.SegformerImageProcessor()
    model = transformers.SegformerForSemanticSegmentation(transformers.SegformerConfig(num_labels=21)).eval()

    def predict() -> torch.Tensor:
        image = Image.open(file).convert("RGB")
        inputs = (
            {"pixel_values": read_normalized(file)} if fast else processor(images=image, return_tensors="pt")
        )
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=fast and BF16):
            outputs = model(**inputs)
        return processor.post_process_semantic_segmentation(outputs, target_sizes=[image.size[::-1]])[0]

    return predict


def ours(file: Path, backbone: str, engine: str, precision: str = "auto") -> Callable[[], Any]:
    segmenter = fullconv.Segmenter(
        fullconv.build_model("fcn8s", backbone=backbone, num_classes=21), engine=engine, precision=precision
    )
    return lambda: segmenter.predict(file).label_map


def ours_int8(file: Path, backbone: str, scenes: Path) -> Callable[[], Any]:
    """Calibrated on drawn scenes."""
    model = fullconv.build_model("fcn8s", backbone=backbone, num_classes=21)
    dataset, segmenter = open_dataset(scenes), fullconv.Segmenter(model, engine="torch")
    fp32 = OpenVinoEngine(model, "fp32")
    calibration = Calibration(fp32, dataset.split("train"), dataset.labels, segmenter.preprocessing, [21])
    network = with_int8(model, calibration, num_float=0)
    segmenter.tiler.engine = OpenVinoEngine(model, "int8", network)
    return lambda: segmenter.predict(file).label_map


def floor_ms(backbone: str) -> tuple[float, float, float]:
    """Floating-point operations of the network in G, the measured matrix-product rate in G/s, and their quotient in ms."""
    model = fullconv.build_model("fcn8s", backbone=backbone, num_classes=21).eval()
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model.scores(torch.zeros(1, 3, SIDE, SIDE))
    dtype = torch.bfloat16 if BF16 else torch.float32
    a, b = torch.randn(2048, 2048, dtype=dtype), torch.randn(2048, 2048, dtype=dtype)
    times = [seconds(lambda: a @ b) for _ in range(12)][2:]
    giga, rate = counter.get_total_flops() / 1e9, 2 * 2048**3 / statistics.median(times) / 1e9
    return giga, rate, 1000 * giga / rate


def network_only(backbone: str, engine: str) -> Callable[[], list[ScoreMap]]:
    segmenter = fullconv.Segmenter(
        fullconv.build_model("fcn8s", backbone=backbone, num_classes=21), engine=engine
    )
    picture = torch.randn(1, 3, SIDE, SIDE).contiguous(memory_format=torch.channels_last)
    return lambda: segmenter.engine(picture)


def seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def in_turn(rows: dict[str, Callable[[], Any]], rounds: int = 4) -> dict[str, tuple[float, float]]:
    """Median and interquartile range in ms; each round runs every row once, so that all see the same machine."""
    for work in rows.values():
        work()
        work()
    times: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(rounds):
        for name, work in rows.items():
            times[name].append(1000 * seconds(work))
    quartiles = {name: statistics.quantiles(each, n=4) for name, each in times.items()}
    return {name: (q[1], q[2] - q[0]) for name, q in quartiles.items()}


def from_file_to_labels(file: Path, scenes: Path) -> None:
    segmentation = torchvision.models.segmentation
    rows = {
        "torchvision fcn_resnet50, documented": torchvision_documented(file),
        "torchvision fcn_resnet50, tuned": tuned(
            file,
            segmentation.fcn_resnet50(weights=None, weights_backbone=None, num_classes=21),
            lambda out: out["out"],
        ),
        "SMP FPN-ResNet18, documented": smp_documented(file),
        "SMP FPN-ResNet18, tuned": tuned(
            file, smp.FPN("resnet18", encoder_weights=None, classes=21), lambda out: out
        ),
        "transformers SegFormer-B0, documented": segformer(file, fast=False),
        "transformers SegFormer-B0, tuned": segformer(file, fast=True),
    }
    for backbone in ("resnet50", "resnet18", "torchvision/mobilenet_v2"):
        for engine in ("torch", "openvino", "onnxruntime"):
            rows[f"fullconv fcn8s {backbone}, {engine}"] = ours(file, backbone, engine)
        rows[f"fullconv fcn8s {backbone}, openvino int8"] = ours_int8(file, backbone, scenes)
    results = in_turn(rows)
    names = [name for name in results if "documented" in name]
    print(f"{'':46} {'ms':>8} {'±':>6}   times as fast as: {', '.join(name.split(',')[0] for name in names)}")
    for name, (median, spread) in results.items():
        ratios = "  ".join(f"{results[peer][0] / median:5.1f}x" for peer in names)
        print(f"{name:46} {median:8.1f} {spread:6.1f}   {ratios}")


def over_the_floor() -> None:
    print("\nnetwork alone, from normalised pixels to scores, over operations / matrix-product rate")
    for backbone in ("resnet50", "resnet18"):
        giga, rate, floor = floor_ms(backbone)
        rows = {engine: network_only(backbone, engine) for engine in ("torch", "openvino", "onnxruntime")}
        for engine, (median, spread) in in_turn(rows).items():
            print(
                f"{f'fcn8s {backbone}, {engine}':32} {median:7.1f} ms ±{spread:.1f}  {median / floor:5.2f} x the floor of "
                f"{floor:.1f} ms ({giga:.1f} G at {rate:.0f} G/s {'bfloat16' if BF16 else 'float32'})"
            )


def main() -> None:
    print(
        machine(), f"segmentation-models-pytorch {smp.__version__}, transformers {transformers.__version__}"
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "photo.jpg"
        photo(file)
        from_file_to_labels(file, write_scenes(Path(folder) / "scenes", num_train=8, num_val=1, seed=0))
    over_the_floor()


if __name__ == "__main__":
    main()
