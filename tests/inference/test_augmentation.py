"""Test-time augmentation is the mean of softmax scores over passes."""

import numpy as np
import torch
import torch.nn.functional as F

import fullconv


def test_flips_and_scales():
    torch.manual_seed(0)
    model = fullconv.build_model("fcn8s", backbone="mobilenetv3_small_050", num_classes=4).eval()
    picture = np.random.default_rng(0).integers(0, 256, (75, 102, 3), np.uint8)
    x = fullconv.Segmenter(model).preprocessing(torch.from_numpy(picture).permute(2, 0, 1)[None])
    with torch.inference_mode():
        plain, mirrored = model(x).softmax(1), model(x.flip(3)).flip(3).softmax(1)
        flip = (plain + mirrored) / 2
        passes = [plain, mirrored]
        for size_hw, smaller in (((56, 76), True), ((94, 128), False)):
            for turn in (lambda t: t, lambda t: t.flip(3)):
                seen = F.interpolate(turn(x), size=size_hw, mode="bilinear", antialias=smaller)
                passes.append(turn(F.interpolate(model(seen), size=(75, 102), mode="bilinear")).softmax(1))
    for name, want in (("flip", flip), ("flip+scales", torch.stack(passes).mean(0))):
        scores = fullconv.Segmenter(model, precision="fp32", tta=name).predict(picture).scores()
        np.testing.assert_allclose(scores, want[0].numpy(), atol=1e-5)
        np.testing.assert_allclose(scores.sum(0), 1, atol=1e-5)


def test_the_answer_to_a_mirrored_picture_is_the_mirrored_answer():
    model = fullconv.build_model("fcn16s", backbone="mobilenetv3_small_050", num_classes=3)
    picture = np.random.default_rng(0).integers(0, 256, (40, 61, 3), np.uint8)
    segmenter = fullconv.Segmenter(model, precision="fp32", tta="flip")
    there, back = segmenter.predict(picture).scores(), segmenter.predict(picture[:, ::-1].copy()).scores()
    np.testing.assert_allclose(there, back[:, :, ::-1], atol=1e-5)
