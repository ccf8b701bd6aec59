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
