"""A trained network that labels pictures."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from fullconv import hub
from fullconv.bundle import MANIFEST, WEIGHTS, built_in_names, card_of, load_bundle
from fullconv.data.extra import ExtraFormat, read_extra
from fullconv.data.pictures import load_upright, read_picture, to_rgb
from fullconv.drawing import before_after, confidence_picture, entropy_picture, overlay
from fullconv.errors import ConfigError, InputError
from fullconv.evaluation import crf_refined
from fullconv.inference.augmentation import augmented
from fullconv.inference.engines.choice import pick_engine
from fullconv.inference.pixels import ArrayPixels
from fullconv.inference.tiler import Tile, Tiler
from fullconv.labels import VOC, Head, LabelSet, head_sizes
from fullconv.models.caffe import CAFFE_PREPROCESSING, CaffeAlexNet, CaffeFCN
from fullconv.ops.score_map import ScoreMap
from fullconv.preprocessing import Preprocessing


class Prediction:
    """The labels of one picture, and the scores they come from.

    Attributes:
        picture: (H, W, 3) uint8 RGB.
        score_map: what the network said, mostly coarser than the picture; after `refine="crf"` log-probabilities.
        labels: the classes.
        heads: by name, what a network with several heads says beside.
    """

    def __init__(
        self,
        picture: np.ndarray,
        score_map: ScoreMap,
        labels: LabelSet,
        heads: "dict[str, Prediction] | None" = None,
    ) -> None:
        self.picture = picture
        self.score_map = score_map
        self.labels = labels
        self.heads = heads or {}

    @cached_property
    def label_map(self) -> np.ndarray:
        """(H, W) class ids, uint8, or uint16 above 255 classes; of equal scores the lowest id."""
        return self.score_map.labels().cpu().numpy()

    @property
    def logits(self) -> torch.Tensor:
        """(K, H, W) float32 full-size scores before the softmax, made anew at each call."""
        return self.score_map.logits()

    def scores(self) -> np.ndarray:
        """(K, H, W) float32 softmax scores; they sum to 1 at every pixel."""
        return self.logits.softmax(dim=0).cpu().numpy()

    def confidence(self) -> np.ndarray:
        """(H, W) float32 in 1/K..1: the softmax score of the predicted class."""
        return self.score_map.confidence().cpu().numpy()

    def entropy(self) -> np.ndarray:
        """(H, W) float32 in 0..1: 0 where one class has it all, 1 where all are equally probable."""
        return self.score_map.entropy().cpu().numpy()

    def overlay(self, opacity: float = 0.55, legend: bool = True) -> Image.Image:
        """The picture with its classes in colour; `opacity` in 0..1."""
        return overlay(self.picture, self.label_map, self.labels, opacity=opacity, legend=legend)

    def before_after(self, opacity: float = 0.55, legend: bool = True) -> Image.Image:
        """The picture beside its overlay, or above it where the picture is more than twice as wide as high."""
        return before_after(self.picture, self.label_map, self.labels, opacity=opacity, legend=legend)

    def confidence_picture(self, legend: bool = True) -> Image.Image:
        """The picture in grey under `confidence()`: yellow where the network is sure, dark violet where it is not."""
        low = 1 / self.labels.num_classes if self.labels.num_classes > 1 else 0.0
        return confidence_picture(self.picture, self.confidence(), low=low, legend=legend)

    def entropy_picture(self, legend: bool = True) -> Image.Image:
        """The picture in grey under `entropy()`: dark where the network is sure, glowing where it is not."""
        return entropy_picture(self.picture, self.entropy(), legend=legend)

    def fractions(self) -> dict[str, float]:
        """The share of the picture that each predicted class has, largest first; absent classes are left out."""
        counts = np.bincount(self.label_map.ravel(), minlength=self.labels.num_classes)
        return self.labels.shares(counts)


class Segmenter:
    """Labels every pixel of pictures of any size.

    Args:
        model: (N, 3, H, W) normalised pictures to logits (N, K, H, W).
        labels: the classes; without, VOC's where there are 21, else "class_0", "class_1", ...
        preprocessing: normalisation; without, ImageNet's.
        device: "auto", "cpu", "cuda", ...
        precision: "auto", "fp32", "bf16", or "int8" where `folder` holds an int8 version.
        tile: "whole" for one pass over the picture; a side or (height, width), multiples of 32, for tiles; "auto" for one
            pass where memory suffices, else tiles.
        overlap: what joins tiles: "exact" gives each a halo, and the whole picture's own scores (`inference.exact`);
            "mean" and "gaussian" average the logits of windows where they overlap (`inference.windows`).
        tta: test-time augmentation: "none", "flip" or "flip+scales" (`inference.augmentation`).
        refine: "crf" lets a dense CRF draw the borders anew along the picture's own (see `ops.crf`).
        engine: "auto", "torch", "openvino" or "onnxruntime".
        heads: the further heads, whose logits follow those of `labels`.
        extra: how files of the model's further channels are read; None for a model of RGB alone.
        folder: the bundle that the model is from.

    Raises:
        InputError: a tile side that is no multiple of 32; exact tiles of a network that looks at the whole picture.
        ConfigError: an option that does not exist, or options that do not go together.
    """

    def __init__(
        self,
        model: nn.Module,
        labels: LabelSet | None = None,
        preprocessing: Preprocessing | None = None,
        device: str = "auto",
        precision: str = "auto",
        tile: Tile = "auto",
        overlap: str = "exact",
        tta: str = "none",
        refine: str = "none",
        engine: str = "auto",
        heads: Sequence[Head] = (),
        extra: ExtraFormat | None = None,
        folder: Path | None = None,
    ) -> None:
        if refine not in ("none", "crf"):
            raise ConfigError(f"refine is {refine!r}; expected 'none' or 'crf'")
        self.model = model.eval()
        self.labels = labels or default_labels(int(model.num_classes))  # pyright: ignore[reportArgumentType]
        self.preprocessing = preprocessing or default_preprocessing(model)
        self.heads = tuple(heads)
        self.extra = extra
        self.folder = folder
        self.refine = refine
        self.engine = augmented(pick_engine(engine, model, device, precision, folder), tta)
        self.tiler = Tiler(self.engine, self.model, self.preprocessing, tile, overlap)

    def predict(
        self, source: str | Path | Image.Image | np.ndarray, extra: str | Path | np.ndarray | None = None
    ) -> Prediction:
        """Labels one picture.

        Args:
            source: a file, a PIL image, or an (H, W, 3) uint8 RGB array.
            extra: for a model of more than RGB, the file of the further channels, or an (H, W, m) uint8 array.

        Raises:
            PictureError: the file cannot be read.
            DataError: further channels that are not as the model expects them.
            InputError: an array of another shape or type; further channels missing, of another size, or not wanted.
        """
        picture = as_picture(source)
        channels = np.concatenate([picture, *self.further_channels(picture, extra)], axis=2)
        return self.prediction(picture, self.tiler.score_map(ArrayPixels(channels)))

    def predict_batch(
        self, pictures: Sequence[np.ndarray], extras: Sequence[np.ndarray | None]
    ) -> list[Prediction]:
        """Labels pictures of one size, in one pass where memory suffices; equal to `predict` up to float rounding.

        Args:
            pictures: (H, W, 3) uint8 RGB each.
            extras: for each, the (H, W, m) uint8 further channels of a model that takes such.

        Raises:
            InputError: as `predict`.
        """
        stacks = [
            np.concatenate([picture, *self.further_channels(picture, extra)], axis=2)
            for picture, extra in zip(pictures, extras, strict=True)
        ]
        score_maps = self.tiler.score_maps(stacks)
        return [self.prediction(*each) for each in zip(pictures, score_maps, strict=True)]

    @classmethod
    def from_pretrained(cls, model: str | Path, revision: str | None = None) -> "Segmenter":
        """A segmenter from a folder, or from the Hugging Face Hub where there is no such folder; `load` has all the options.

        Args:
            model: a run folder or bundle folder, a built-in model's name, or "owner/name" on the Hub.
            revision: branch, tag or commit on the Hub; the main branch without.

        Raises:
            BundleError: nothing there, incomplete or damaged.
            InputError: neither a folder nor a name on the Hub.
        """
        if revision is None and (Path(model).exists() or str(model) in built_in_names()):
            return load(model)
        address = str(model).removeprefix(hub.PREFIX)
        return load(f"{hub.PREFIX}{address}" if revision is None else f"{hub.PREFIX}{address}@{revision}")

    def push_to_hub(
        self, repository: str, private: bool = False, message: str = "Upload with fullconv"
    ) -> str:
        """Uploads the model's folder: weights, `model.json` and card.

        Args:
            repository: "owner/name"; made where there is none.
            private: whether a new repository is.
            message: of the commit.

        Returns:
            The commit's id.

        Raises:
            InputError: the model is in memory only.
            RunError: the Hub refused, or does not answer.
        """
        if self.folder is None:
            raise InputError("the model is in memory only; train or save it, and load its folder")
        card = card_of(self.folder)
        return hub.push(self.folder, repository, (MANIFEST, WEIGHTS), card, private, message)

    def prediction(self, picture: np.ndarray, score_map: ScoreMap) -> Prediction:
        """What a score map of all heads' classes says of its picture."""
        first, *others = score_map.split(head_sizes(self.labels, self.heads))
        heads = {
            head.name: Prediction(picture, self.refined(part, picture), head.labels)
            for head, part in zip(self.heads, others, strict=True)
        }
        return Prediction(picture, self.refined(first, picture), self.labels, heads)

    def refined(self, score_map: ScoreMap, picture: np.ndarray) -> ScoreMap:
        return score_map if self.refine == "none" else crf_refined(score_map, picture)

    def further_channels(
        self, picture: np.ndarray, extra: str | Path | np.ndarray | None
    ) -> list[np.ndarray]:
        """What is put behind RGB: nothing, or one (H, W, m) uint8 array."""
        wanted = self.preprocessing.num_channels - 3
        if wanted == 0 and extra is None:
            return []
        if extra is None:
            raise InputError(
                f"the model takes {wanted} further channel(s) behind RGB; got the picture alone; give their file too"
            )
        if isinstance(extra, np.ndarray):
            found, channels = "the array", extra
        else:
            found, channels = str(extra), read_extra(extra, self.extra or ExtraFormat(wanted))
        if channels.dtype != np.uint8 or channels.shape != (*picture.shape[:2], wanted):
            raise InputError(
                f"{found} holds further channels, {channels.dtype} of shape {channels.shape}; expected uint8 "
                f"{(*picture.shape[:2], wanted)}, as large as the picture"
            )
        return [channels]


def default_preprocessing(model: nn.Module) -> Preprocessing:
    """Caffe's for the papers' networks, else ImageNet's."""
    return CAFFE_PREPROCESSING if isinstance(model, CaffeFCN | CaffeAlexNet) else Preprocessing()


def as_picture(source: str | Path | Image.Image | np.ndarray) -> np.ndarray:
    if isinstance(source, str | Path):
        return read_picture(Path(source))
    if isinstance(source, Image.Image):
        return to_rgb(load_upright(source, "the picture"))
    if source.ndim != 3 or source.shape[2] != 3 or source.dtype != np.uint8:
        raise InputError(
            f"the picture is {source.dtype} of shape {source.shape}; expected uint8 (H, W, 3) RGB"
        )
    return source


def default_labels(num_classes: int) -> LabelSet:
    return (
        VOC
        if num_classes == VOC.num_classes
        else LabelSet.from_names([f"class_{i}" for i in range(num_classes)])
    )


def load(
    model: str | Path,
    device: str = "auto",
    precision: str = "auto",
    tile: Tile = "auto",
    overlap: str = "exact",
    tta: str = "none",
    refine: str = "none",
    engine: str = "auto",
) -> Segmenter:
    """A segmenter from a run folder, a bundle folder, a built-in model's name, or "hf:owner/name" on the Hugging Face Hub; the
    options are those of `Segmenter`.

    Raises:
        BundleError: nothing there, incomplete or damaged.
    """
    bundle = load_bundle(model, for_prediction=True)
    return Segmenter(
        bundle.model, bundle.labels, bundle.preprocessing, device, precision, tile, overlap, tta, refine, engine,
        bundle.heads, bundle.extra, bundle.folder,
    )  # fmt: skip
