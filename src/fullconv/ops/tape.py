"""A network as the list of torch functions it calls.

A `Tape` is recorded by running the network once. It is replayed without the modules, which lets batch normalisation be
folded into the convolutions before it, and lets rows of a picture stream through layer by layer. A network whose calls
depend on the picture's size, as where padding is reckoned from it, has no tape.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from fullconv.errors import InputError

SIZES_HW = ((96, 128), (107, 149))
"""The sizes at which calls are recorded and compared."""


@dataclass(frozen=True)
class Ref:
    """The output of a call: its number on the tape; -1 is the picture. `item` picks from several outputs."""

    index: int
    item: int | None = None


@dataclass(frozen=True)
class Call:
    """One call of a torch function; tensors that were computed stand as `Ref`s among the arguments."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @property
    def name(self) -> str:
        """The function's name, without the marks of operators and of working in place: "add" for `__iadd__`.

        >>> Call(Tensor.__iadd__, (), {}).name, Call(torch.relu_, (), {}).name
        ('add', 'relu')
        """
        name = getattr(self.function, "__name__", "")
        if name.startswith("__i") and name[3:-2] in ("add", "sub", "mul", "truediv"):
            return name[3:-2]
        return name.strip("_").removeprefix("r") if name in ("__radd__", "__rmul__") else name.strip("_")

    @property
    def refs(self) -> list[Ref]:
        return [value for value in flattened((self.args, self.kwargs)) if isinstance(value, Ref)]

    def with_refs(self, change: Callable[[Ref], Any]) -> "Call":
        """The call with every `Ref` replaced."""
        args, kwargs = mapped((self.args, self.kwargs), lambda v: change(v) if isinstance(v, Ref) else v)
        return Call(self.function, args, kwargs)

    def run(self, values: Callable[[Ref], Any]) -> Any:
        call = self.with_refs(values)
        return call.function(*call.args, **call.kwargs)


@dataclass(frozen=True)
class Tape:
    """The calls that lead from a picture to some tensors.

    Attributes:
        calls: in order.
        outputs: what the network returned.
    """

    calls: tuple[Call, ...]
    outputs: tuple[Ref, ...]

    def last_uses(self) -> list[list[int]]:
        """Of each call the earlier ones, -1 for the picture, whose outputs nobody needs behind it."""
        last = {ref.index: number for number, call in enumerate(self.calls) for ref in call.refs}
        kept = {ref.index for ref in self.outputs}
        uses: list[list[int]] = [[] for _ in self.calls]
        for index, number in last.items():
            if index not in kept:
                uses[number].append(index)
        return uses

    def __call__(self, pictures: Tensor) -> list[Tensor]:
        """The outputs for (N, C, H, W) pictures; each value is let go where it was used last."""
        values: dict[int, Any] = {-1: pictures}

        def value(ref: Ref) -> Any:
            return values[ref.index] if ref.item is None else values[ref.index][ref.item]

        for number, (call, spent) in enumerate(zip(self.calls, self.last_uses(), strict=True)):
            values[number] = call.run(value)
            for index in spent:
                del values[index]
        return [value(ref) for ref in self.outputs]


def record(
    network: Callable[[Tensor], Sequence[Tensor]], channels: int = 3, device: torch.device | str = "cpu"
) -> Tape:
    """The tape of a network in eval mode and in float32.

    Args:
        network: (1, channels, H, W) to tensors.
        channels: of the picture.
        device: where the network is.

    Raises:
        InputError: the calls depend on the picture's size.

    >>> layer = torch.nn.Conv2d(3, 2, 3)
    >>> [call.name for call in record(lambda x: [layer(x).relu()]).calls]
    ['conv2d', 'relu']
    """
    first, second = (
        record_at(network, torch.zeros(1, channels, *size_hw, device=device)) for size_hw in SIZES_HW
    )
    if first.outputs != second.outputs or not all(map(same_call, first.calls, second.calls)):
        raise InputError("what the network computes depends on the picture's size, so it cannot be recorded")
    return first


def record_at(network: Callable[[Tensor], Sequence[Tensor]], picture: Tensor) -> Tape:
    recorder = Recorder()
    recorder.refs[id(picture)] = Ref(-1)
    try:
        with torch.no_grad(), recorder:
            outputs = network(picture)
    except RuntimeError as error:
        height, width = picture.shape[2:]
        raise InputError(
            f"the network does not run at {height} x {width} pixels ({str(error).splitlines()[0]}), so it cannot be recorded"
        ) from None
    return Tape(tuple(recorder.calls), tuple(recorder.refs[id(output)] for output in outputs))


class Recorder(TorchFunctionMode):
    """While active, notes each torch function that gives tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self.refs: dict[int, Ref] = {}
        self.alive: list[Any] = []  # so that no id is used twice

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        call = Call(func, *mapped((args, kwargs), lambda value: self.refs.get(id(value), value)))
        output = func(*args, **kwargs)
        if isinstance(output, Tensor):
            # What a computed tensor says of itself (its data, its type) is no computation.
            self.refs[id(output)] = Ref(len(self.calls))
        elif isinstance(output, tuple | list) and output and all(isinstance(item, Tensor) for item in output):
            self.refs |= {id(item): Ref(len(self.calls), number) for number, item in enumerate(output)}
        else:
            return output
        self.calls.append(call)
        self.alive.append(output)
        return output


def flattened(value: Any) -> list[Any]:
    """The leaves of nested tuples, lists and dicts."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, tuple | list):
        return [leaf for item in value for leaf in flattened(item)]
    return [value]


def mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """Nested tuples, lists and dicts with every leaf changed."""
    if isinstance(value, dict):
        return {key: mapped(item, change) for key, item in value.items()}
    if isinstance(value, tuple | list) and not isinstance(value, torch.Size):
        return type(value)([mapped(item, change) for item in value])
    return change(value)


def same_call(a: Call, b: Call) -> bool:
    """Whether two calls have the same function and arguments, tensors compared by identity."""
    if a.function != b.function:
        return False
    pairs = list(zip(flattened((a.args, a.kwargs)), flattened((b.args, b.kwargs)), strict=False))
    return all(x is y if isinstance(x, Tensor) or isinstance(y, Tensor) else x == y for x, y in pairs)


def folded(tape: Tape) -> Tape:
    """The tape with each batch normalisation folded into the convolution before it, and calls in place where nobody minds.

    The numbers stay the same up to rounding; the weights on the tape are new tensors.
    """
    users = dict.fromkeys(range(-1, len(tape.calls)), 0)
    for ref in [ref for call in tape.calls for ref in call.refs] + list(tape.outputs):
        users[ref.index] += 1
    calls: list[Call] = list(tape.calls)
    moved: dict[int, int] = {}
    for number, call in enumerate(tape.calls):
        if call.name != "batch_norm":
            continue
        source = call.args[0]
        assert isinstance(source, Ref)
        convolution = calls[source.index] if source.index >= 0 else None
        if convolution is None or convolution.name != "conv2d" or users[source.index] > 1:
            continue
        calls[source.index] = with_batch_norm(convolution, call)
        moved[number] = source.index
    return renumbered(calls, tape.outputs, moved)


def in_dtype(tape: Tape, dtype: torch.dtype) -> Tape:
    """The tape with its floating-point tensors in `dtype`, but for the numbers of batch normalisation."""

    def converted(value: Any) -> Any:
        return value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value

    calls = [
        call
        if call.name == "batch_norm"
        else Call(call.function, *mapped((call.args, call.kwargs), converted))
        for call in tape.calls
    ]
    return Tape(tuple(calls), tape.outputs)


def with_batch_norm(convolution: Call, batch_norm: Call) -> Call:
    """One convolution that does what a convolution and the batch normalisation behind it do, in eval mode."""
    numbers = dict(
        zip(("input", "running_mean", "running_var", "weight", "bias"), batch_norm.args, strict=False)
    )
    numbers |= batch_norm.kwargs
    eps = numbers.get("eps", batch_norm.args[7] if len(batch_norm.args) > 7 else 1e-5)
    mean, var = numbers["running_mean"].double(), numbers["running_var"].double()
    scale = (var + eps).rsqrt()
    if numbers.get("weight") is not None:
        scale = scale * numbers["weight"].double()
    shift = -mean * scale if numbers.get("bias") is None else numbers["bias"].double() - mean * scale
    arguments = dict(
        zip(
            ("input", "weight", "bias", "stride", "padding", "dilation", "groups"),
            convolution.args,
            strict=False,
        )
    )
    arguments |= convolution.kwargs
    weight, bias = arguments["weight"], arguments.get("bias")
    arguments["weight"] = (weight.double() * scale[:, None, None, None]).to(weight.dtype)
    arguments["bias"] = (shift if bias is None else shift + bias.double() * scale).to(weight.dtype)
    return Call(F.conv2d, (arguments.pop("input"),), arguments)


def renumbered(calls: Sequence[Call], outputs: Sequence[Ref], moved: dict[int, int]) -> Tape:
    """The tape without the calls in `moved`, whose outputs come from others."""
    kept = [number for number in range(len(calls)) if number not in moved]
    numbers = {-1: -1} | {number: position for position, number in enumerate(kept)}
    numbers |= {number: numbers[other] for number, other in moved.items()}

    def change(ref: Ref) -> Ref:
        return replace(ref, index=numbers[ref.index])

    return Tape(tuple(calls[number].with_refs(change) for number in kept), tuple(map(change, outputs)))
