"""One 512 x 512 picture to its label map, against torchvision's FCN used as its documentation shows.

    python benchmarks/prediction.py

Random weights (time does not depend on them), batch 1, from a uint8 array in memory to class ids; medians and spreads of one run.
"""

import numpy as np
import torch
import torchvision

import fullconv
from common import machine, timed


def main() -> None:
    print(machine())
    picture = np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8)
    peer = torchvision.models.segmentation.fcn_resnet50(
        weights=None, weights_backbone=None, num_classes=21
    ).eval()
    # The preset of torchvision's documented weights, without its resize to 520, so that the sizes are equal.
    preset = torchvision.transforms._presets.SemanticSegmentation(resize_size=None)

    def torchvision_fcn():
        with torch.no_grad():
            batch = preset(torch.from_numpy(picture).permute(2, 0, 1)).unsqueeze(0)
            return peer(batch)["out"].argmax(1)

    base, spread = timed(torchvision_fcn, repeats=5)
    print(f"{'torchvision fcn_resnet50, float32':42} {base:8.1f} ms ±{spread:.1f}")
    for name, backbone in [
        ("fcn8s", "resnet50"),
        ("fcn8s", "resnet18"),
        ("fcn8s", "torchvision/mobilenet_v2"),
    ]:
        model = fullconv.build_model(name, backbone=backbone, num_classes=21)
        for precision in ("fp32", "bf16"):
            segmenter = fullconv.Segmenter(model, precision=precision)
            ours, spread = timed(lambda segmenter=segmenter: segmenter.predict(picture).label_map)
            print(
                f"{f'fullconv {name} {backbone}, {precision}':42} {ours:8.1f} ms ±{spread:.1f}   {base / ours:5.1f}x"
            )


if __name__ == "__main__":
    main()
