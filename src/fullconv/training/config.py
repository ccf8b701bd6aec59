"""What a training run can be told."""

from pathlib import Path
from typing import Any, Literal

import pydantic
import yaml
from pydantic import ConfigDict, Field

from fullconv.bundle import Architecture
from fullconv.errors import ConfigError, UnknownNameError
from fullconv.models.build import MODELS
from fullconv.models.fcn import FcnOptions

NOT_RECIPE = (
    "data", "out", "cache", "device", "workers", "log_every", "keep_epochs", "save_minutes", "licence", "limits",
    "epochs", "model", "backbone", "fusion",
)  # fmt: skip
"""Options that say where things are or how they are told, and what a bundle says beside the recipe."""


class TrainConfig(FcnOptions):
    """The options of a run; `config.yaml` in the run folder holds them all.

    Sizes are in pixels, (height, width). What is "auto" or null is chosen when the run starts, and written down.

    Attributes:
        data: the data set; see `open_dataset`.
        out: the run folder.
        train_split: what is learnt from; "train+val" joins splits.
        val_split: what is validated on.
        model: an architecture; `fullconv models` lists them.
        backbone: a timm name, or torchvision/NAME; "auto": the model's own, else resnet18.
        backbone_weights: "pretrained", "none" or a file; "auto": pretrained where they can be had.
        init_from: a trained model to start from. What scores a class comes from the class of the same name.
        fusion: where channels beyond RGB join: "early", in the first convolution, or "late", a second network's scores.
        epochs: passes over the training split.
        patience: ends after so many validated epochs without a better mean IU; null: never.
        val_every: validates after each so many epochs, and after the last.
        keep_epochs: how many epochs' bundles stay in the run folder, beside the best.
        save_minutes: the state is saved so often, and after each epoch.
        batch_size: pictures a step, of all processes together.
        micro_batch: pictures a pass, where a whole step does not fit into memory; null: all.
        crop: size of the training crops; null: the pictures' size, up to 480x480.
        min_size: smaller pictures are left out; null: none.
        patches: of model "patchwise": learns from so many windows of each picture; null: from all of them.
        order: "full" shuffles all samples; "windowed" those of a window, for shards of many samples; "auto": by their number.
        window: samples in a window.
        lanes: parts of the set that are gone through side by side.
        scale: pictures are resized by a random factor of this range.
        flip: the probability of mirroring left and right.
        jitter: how far brightness, contrast and saturation change; 0: not at all.
        augmentation: "loader" resizes and recolours where pictures are read; "device" where the network is, for a GPU that waits.
        optimizer: "adamw" or "sgd".
        lr: the highest learning rate.
        head_lr_factor: that of the score layers is so many times higher.
        layer_decay: that of each block of the backbone is so many times that of the block behind it; 1: the same.
        freeze: "backbone" leaves its weights and statistics as they are.
        weight_decay: of weights, not of biases and normalisation.
        momentum: of SGD.
        bias_lr_factor: the learning rate of biases is so many times higher.
        schedule: of the learning rate: "poly" of power 0.9, "cosine", torch's "one-cycle" or "constant".
        warmup: the share of the steps in which it rises; not of "one-cycle", which has its own.
        clip: the largest norm of the gradients; null: any.
        ema: the decay a step of an average of the weights, which is what is validated and kept; null: the weights themselves.
        non_finite: "stop" at a loss that is not finite, or "skip" up to nine such steps in a row.
        loss: "cross_entropy", "focal" or "ohem".
        region_loss: "dice" or "lovasz", added to it; or "none".
        region_loss_factor: what the region loss is multiplied by.
        auxiliary: what the loss of a second head, for training alone, is multiplied by; 0: no such head.
        loss_reduction: the "mean" over pixels, or their "sum", as in the papers' recipes.
        class_weights: "none", "median_frequency" or "effective_number".
        label_smoothing: the share of the target that is spread over all classes.
        seed: of weights, order and augmentation.
        deterministic: torch's deterministic algorithms; GPUs need them for the same bits.
        device: "cpu", "cuda", "cuda:1", ...; "auto": a GPU if there is one.
        compile: `torch.compile` of the network, for GPUs: its first step takes minutes, the others less than before.
        precision: "fp32" or "bf16" with autocast; "auto": bf16 where the processor multiplies it.
        sharding: "full" splits weights, gradients and optimiser over the processes (FSDP2).
        workers: processes that read pictures, for each process that trains.
        cache: a folder for decoded pictures.
        log_every: steps from one record of the log to the next.
        licence: the author's words in the model card.
        limits: the same.
    """

    model_config = ConfigDict(protected_namespaces=())

    data: Path
    out: Path
    train_split: str = "train"
    val_split: str = "val"

    model: str = "fcn8s"
    backbone: str = "auto"
    backbone_weights: str = "auto"
    init_from: str | None = None
    fusion: Literal["early", "late"] = "early"

    epochs: int = Field(default=50, ge=1)
    patience: int | None = Field(default=None, ge=1)
    val_every: int = Field(default=1, ge=1)
    keep_epochs: int = Field(default=2, ge=1)
    save_minutes: float = Field(default=10.0, gt=0)
    batch_size: int = Field(default=8, ge=1)
    micro_batch: int | None = Field(default=None, ge=1)
    crop: tuple[int, int] | None = None
    min_size: tuple[int, int] | None = None
    patches: int | None = Field(default=None, ge=1)
    order: Literal["auto", "full", "windowed"] = "auto"
    window: int = Field(default=65536, ge=1)
    lanes: int = Field(default=1, ge=1)
    scale: tuple[float, float] = (0.5, 2.0)
    flip: float = Field(default=0.5, ge=0, le=1)
    jitter: float = Field(default=0.3, ge=0, le=1)
    augmentation: Literal["loader", "device"] = "loader"

    optimizer: Literal["adamw", "sgd"] = "adamw"
    lr: float = Field(default=1e-3, gt=0)
    head_lr_factor: float = Field(default=1.0, gt=0)
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    freeze: Literal["none", "backbone"] = "none"
    weight_decay: float = Field(default=1e-2, ge=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    bias_lr_factor: float = Field(default=1.0, gt=0)
    schedule: Literal["poly", "cosine", "one-cycle", "constant"] = "poly"
    warmup: float = Field(default=0.05, ge=0, lt=1)
    clip: float | None = Field(default=1.0, gt=0)
    ema: float | None = Field(default=None, gt=0, lt=1)
    non_finite: Literal["stop", "skip"] = "stop"
    loss: Literal["cross_entropy", "focal", "ohem"] = "cross_entropy"
    region_loss: Literal["none", "dice", "lovasz"] = "none"
    region_loss_factor: float = Field(default=1.0, ge=0)
    auxiliary: float = Field(default=0.0, ge=0)
    loss_reduction: Literal["mean", "sum"] = "mean"
    class_weights: Literal["none", "median_frequency", "effective_number"] = "none"
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)

    seed: int = Field(default=0, ge=0)
    deterministic: bool = False
    device: str = "auto"
    compile: bool = False
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    sharding: Literal["none", "full"] = "none"
    workers: int = Field(default=2, ge=0)
    cache: Path | None = None
    log_every: int = Field(default=10, ge=1)

    licence: str | None = None
    limits: str | None = None

    @property
    def recipe(self) -> dict[str, Any]:
        """What another would need to train the same on the same pictures, fit for JSON; files by their names alone."""
        options = self.model_dump(mode="json", exclude={*NOT_RECIPE, *FcnOptions.model_fields})
        options["backbone_weights"] = Path(self.backbone_weights).name
        options["init_from"] = self.init_from and Path(self.init_from).name
        return {name: value for name, value in options.items() if value is not None}

    def architecture(self, num_classes: int, in_channels: int = 3) -> Architecture:
        if self.model not in MODELS:
            raise UnknownNameError("model", self.model, MODELS)
        return Architecture(
            model=self.model,
            backbone=MODELS[self.model].backbone if self.backbone == "auto" else self.backbone,
            num_classes=num_classes,
            in_channels=in_channels,
            fusion=self.fusion,
            **self.fcn_options.model_dump(),
        )


def make_config(values: dict[str, Any], source: str) -> TrainConfig:
    """Checks values and names the first that is wrong.

    Raises:
        ConfigError: naming `source`, the option, what was got and what was expected.
    """
    try:
        return TrainConfig.model_validate(values)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        option = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise ConfigError(
                f"{source}: {UnknownNameError('option', option, TrainConfig.model_fields)}"
            ) from None
        raise ConfigError(f"{source}: {option} is {first['input']!r}; {first['msg'].lower()}") from None


def read_config(file: Path) -> dict[str, Any]:
    """The options in a YAML file.

    Raises:
        ConfigError: unreadable, or not a mapping.
    """
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(
            f"{file} cannot be read as a configuration: {' '.join(str(error).split())}"
        ) from None
    if not isinstance(values, dict):
        raise ConfigError(f"{file} holds {type(values).__name__}; expected 'option: value' lines")
    return values


def config_text(config: TrainConfig) -> str:
    """The configuration as YAML, complete."""
    options = config.model_dump(mode="json")
    inherited = {name: options.pop(name) for name in FcnOptions.model_fields}
    return yaml.safe_dump(options | inherited, sort_keys=False, allow_unicode=True)
