"""Backbones without the libraries they come from: recorded once as the torch functions they call, then read from a file.

Importing timm and torchvision and building a network in them takes longer than importing torch. A recording holds the
calls, the names of the weights and where the feature maps lie; the weights come from the model's own file. It serves prediction
only, and only networks whose calls do not depend on the picture's size.
"""

import contextlib
import hashlib
import json
from dataclasses import dataclass
from fractions import Fraction
from importlib.metadata import version
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fullconv.download import cache_folder
from fullconv.errors import InputError, RunError, StorageError
from fullconv.models.backbones import Backbone, build_backbone, feature_list
from fullconv.ops.geometry import Geometry
from fullconv.ops.tape import Call, Ref, Tape, mapped, record
from fullconv.storage import write_text_atomically

FORMAT = 1
SPACES: dict[str, Any] = {"torch": torch, "functional": F, "Tensor": Tensor}
ALLOWED = frozenset(
    [
        *(
            "__add__",
            "__iadd__",
            "__imul__",
            "__mul__",
            "__radd__",
            "__rmul__",
            "adaptive_avg_pool2d",
            "add",
            "add_",
        ),
        *(
            "avg_pool2d",
            "batch_norm",
            "cat",
            "chunk",
            "contiguous",
            "conv2d",
            "dropout",
            "elu",
            "flatten",
            "gelu",
        ),
        *(
            "hardsigmoid",
            "hardswish",
            "hardtanh",
            "layer_norm",
            "leaky_relu",
            "linear",
            "max_pool2d",
            "mean",
            "mish",
            "mul",
        ),
        *(
            "mul_",
            "pad",
            "permute",
            "relu",
            "relu6",
            "relu_",
            "reshape",
            "sigmoid",
            "silu",
            "split",
            "tanh",
            "transpose",
        ),
        *("unsqueeze", "view"),
    ]
)
"""The functions that a recording may name."""


class RecordedBody(nn.Module):
    """Weights under their names, and the calls that use them.

    Args:
        state: name -> (shape, type, whether it is a parameter) of each weight.
        calls: as `encoded` gives them.
        outputs: (call, item) of each feature map.
    """

    def __init__(self, state: dict[str, list[Any]], calls: list[Any], outputs: list[list[Any]]) -> None:
        super().__init__()
        for name, (shape, dtype, is_parameter) in state.items():
            module = self
            *parents, leaf = name.split(".")
            for parent in parents:
                if parent not in module._modules:
                    module.add_module(parent, nn.Module())
                module = module.get_submodule(parent)
            values = torch.zeros(shape, dtype=getattr(torch, dtype))
            if is_parameter:
                module.register_parameter(leaf, nn.Parameter(values))
            else:
                module.register_buffer(leaf, values)
        self.calls = calls
        self.outputs = tuple(Ref(*output) for output in outputs)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        tensors = dict(self.named_parameters()) | dict(self.named_buffers())
        return Tape(tuple(decoded(call, tensors) for call in self.calls), self.outputs)(pictures)

    def train(self, mode: bool = True) -> "RecordedBody":
        if mode:
            raise RunError(
                "this network was loaded for prediction; to train it on, use 'fullconv train --init'"
            )
        return super().train(False)


@dataclass(frozen=True)
class Recording:
    """What a file holds.

    Attributes:
        body: the arguments of `RecordedBody`.
        attributes: those of `Backbone`, as JSON has them.
    """

    body: dict[str, Any]
    attributes: dict[str, Any]

    @classmethod
    def of(cls, backbone: Backbone) -> "Recording":
        """
        Raises:
            InputError: the backbone cannot be recorded.
        """
        backbone.eval()
        body = backbone.body
        parameters = dict(body.named_parameters())
        tensors = parameters | dict(body.named_buffers())
        names = {id(tensor): name for name, tensor in tensors.items()}
        state = {
            name: [list(tensor.shape), str(tensor.dtype).removeprefix("torch."), name in parameters]
            for name, tensor in body.state_dict(keep_vars=True).items()
        }
        tape = record(lambda pictures: feature_list(body(pictures)))
        calls = [encoded(call, names, state) for call in tape.calls]
        outputs = [[output.index, output.item] for output in tape.outputs]
        geometry = {
            str(stride): [
                [str(axis.stride), str(axis.offset), str(axis.receptive_field)] for axis in geometry_hw
            ]
            for stride, geometry_hw in backbone.geometry_hw.items()
        }
        attributes = {
            "strides": list(backbone.strides),
            "smallest": backbone.smallest,
            "row_axes": backbone.row_axes,
            "channels": {str(stride): channels for stride, channels in backbone.channels.items()},
            "geometry_hw": geometry,
        }
        return cls({"state": state, "calls": calls, "outputs": outputs}, attributes)

    def backbone(self) -> Backbone:
        """The backbone, its weights zero, in eval mode."""
        backbone = Backbone.__new__(Backbone)  # built from what was recorded instead of a trace
        nn.Module.__init__(backbone)
        backbone.body = RecordedBody(**self.body)
        backbone.training = False
        values = self.attributes
        backbone.strides = tuple(values["strides"])
        backbone.smallest = values["smallest"]
        backbone.row_axes = values["row_axes"]
        backbone.channels = {int(stride): channels for stride, channels in values["channels"].items()}
        backbone.geometry_hw = {
            int(stride): (Geometry(*map(Fraction, rows)), Geometry(*map(Fraction, columns)))
            for stride, (rows, columns) in values["geometry_hw"].items()
        }
        return backbone


def encoded(call: Call, names: dict[int, str], state: dict[str, Any]) -> list[Any]:
    """A call as JSON has it.

    Raises:
        InputError: a function that is not allowed, or a tensor that is no weight.
    """

    def change(value: Any) -> Any:
        if isinstance(value, Ref):
            return {"ref": [value.index, value.item]}
        if isinstance(value, Tensor):
            if names.get(id(value)) not in state:
                raise InputError(f"{call.name} takes a tensor that is no weight")
            return {"weight": names[id(value)]}
        if isinstance(value, torch.Size):
            return list(value)
        if value is not None and not isinstance(value, bool | int | float | str):
            raise InputError(f"{call.name} takes a {type(value).__name__}")
        return value

    name = getattr(call.function, "__name__", "")
    spaces = [space for space, where in SPACES.items() if getattr(where, name, None) is call.function]
    if not spaces or name not in ALLOWED:
        raise InputError(f"{name} is not a function that can be recorded")
    return [spaces[0], name, *mapped([call.args, call.kwargs], change)]


def decoded(call: list[Any], tensors: dict[str, Tensor]) -> Call:
    """The call, with its weights.

    Raises:
        ValueError: it names a function that is not allowed.
    """
    space, name, args, kwargs = call
    if name not in ALLOWED:
        raise ValueError(f"{name} is not a function that can be recorded")

    def value(item: Any) -> Any:
        if isinstance(item, dict):
            return Ref(*item["ref"]) if "ref" in item else tensors[item["weight"]]
        return [value(each) for each in item] if isinstance(item, list) else item

    return Call(
        getattr(SPACES[space], name), tuple(map(value, args)), {k: value(v) for k, v in kwargs.items()}
    )


def recorded_backbone(name: str, finest: int) -> Backbone:
    """`build_backbone(name, finest)` for prediction: from its recording, which is made and kept the first time.

    Its weights are to be loaded. A backbone that cannot be recorded is built.
    """
    versions = [FORMAT, *(version(package) for package in ("fullconv", "torch", "torchvision", "timm"))]
    key = hashlib.sha256(json.dumps([name, finest, *versions]).encode()).hexdigest()[:32]
    file = cache_folder() / "backbones" / f"{key}.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        content = json.loads(file.read_text())
        return Recording(content["body"], content["attributes"]).backbone()
    backbone = build_backbone(name, finest)
    with contextlib.suppress(InputError, StorageError, OSError):
        recording = Recording.of(backbone)
        write_text_atomically(file, json.dumps({"body": recording.body, "attributes": recording.attributes}))
    return backbone
