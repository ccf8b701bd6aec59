"""The processes of a run: one, or as many as torchrun started, each with its share of every batch."""

import ctypes
import ipaddress
import os
import signal
import socket
import struct
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.overrides import TorchFunctionMode

from fullconv.devices import pick_device
from fullconv.errors import FellowError

Item = TypeVar("Item")

DIE_WITH_PARENT = 1
"""PR_SET_PDEATHSIG of Linux's prctl."""

SIOCGIFADDR = 0x8915
"""Of Linux's ioctl: the IPv4 address of a network interface."""


@dataclass(frozen=True)
class World:
    """The processes that train one network together.

    Attributes:
        rank: which of them this is, from 0.
        size: how many there are.
        device: where this one computes.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this is the one that writes files and shows progress."""
        return self.rank == 0

    def share(self, items: Sequence[Item]) -> Sequence[Item]:
        """This process's part of a list: every so-many-th."""
        return items[self.rank :: self.size]

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over all processes, in place."""
        if self.size > 1:
            on_device = tensor.to(self.device)
            dist.all_reduce(on_device)
            tensor.copy_(on_device)
        return tensor

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            dist.barrier()

    def any(self, flag: bool) -> bool:
        """Whether it is so in one of the processes."""
        return bool(self.sum(torch.tensor(float(flag))) > 0)

    def shared(self, model: nn.Module) -> nn.Module:
        """The network with its gradients averaged over all processes."""
        if self.size == 1:
            return model
        devices = [self.device] if self.device.type == "cuda" else None
        with warnings.catch_warnings():
            # What takes its place is newer than the oldest torch that we run on.
            warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
            # Looking for unused parameters keeps the buckets as they are. Else they are laid out anew after the first step, also
            # of a resumed run, and three processes or more would add up in another order from then on.
            return DistributedDataParallel(
                model, device_ids=devices, broadcast_buffers=False, find_unused_parameters=True
            )

    def as_one(self) -> Any:
        """A context in which batch normalisation counts over the pixels of all processes."""
        return SharedStatistics() if self.size > 1 else nullcontext()


def join_world(device: str, held: ExitStack) -> World:
    """Joins the other processes that torchrun started, if it did.

    Args:
        device: "auto", "cpu", "cuda", ...; with several processes "auto" and "cuda" are this one's own GPU.
        held: leaves them again.

    Raises:
        ConfigError: no such device.
        FellowError: they do not meet.
    """
    rank, size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return World(0, 1, pick_device(device))
    end_with_parent()
    picked = pick_device(device)
    if picked.type == "cuda":
        picked = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(picked)
    if network := network_between_machines():
        os.environ.setdefault("GLOO_SOCKET_IFNAME", network)
    with lost_fellows_said(
        "the processes of the run do not meet: one has ended, see its message; or machines do not reach each other, "
        "then set GLOO_SOCKET_IFNAME and NCCL_SOCKET_IFNAME to the network between them, such as eth0"
    ):
        dist.init_process_group("nccl" if picked.type == "cuda" else "gloo", rank=rank, world_size=size)
    held.callback(dist.destroy_process_group)
    return World(rank, size, picked)


def network_between_machines() -> str | None:
    """The network interface that leads to the run's first machine, where gloo would take the one that leads nowhere.

    gloo listens where the machine's own name leads to. By many an /etc/hosts that is 127.0.0.1, which others do not reach.
    """
    master = os.environ.get("MASTER_ADDR", "localhost")
    try:
        if not address_of(socket.gethostname()).is_loopback:
            return None
    except OSError:
        pass  # a name that leads nowhere at all
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((master, 1))  # sends nothing, but picks a way
        except OSError:
            return None
        own = ipaddress.ip_address(probe.getsockname()[0])
    return None if own.is_loopback else interface_of(str(own))


def address_of(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(socket.gethostbyname(name))


def interface_of(address: str) -> str | None:
    """The name of the network interface that has an IPv4 address; None where Linux does not tell.

    >>> interface_of("127.0.0.1")
    'lo'
    """
    if sys.platform != "linux":
        return None
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            try:
                reply = fcntl.ioctl(probe, SIOCGIFADDR, struct.pack("256s", name.encode()))
            except OSError:  # it has none
                continue
            if socket.inet_ntoa(reply[20:24]) == address:
                return name
    return None


def end_with_parent() -> None:
    """Asks for SIGTERM when the launcher dies, however it dies: its trainers save their state and leave."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGTERM)


@contextmanager
def lost_fellows_said(message: str) -> Iterator[None]:
    """While open, `message` stands for what torch says when other processes of the run do not answer.

    Raises:
        FellowError: with it.
    """
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, dist.DistError) or "gloo/transport" in str(error):
            raise FellowError(message) from None
        raise


class Sum(torch.autograd.Function):
    """The sum over all processes; a gradient is summed likewise, for each process's loss depends on it."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        return Sum.forward(ctx, *grad_outputs)


class SharedStatistics(TorchFunctionMode):
    """While active, batch normalisation in training takes mean and variance over the batches of all processes.

    So world size does not change what is computed. It serves every layer that calls torch's function, on a CPU and a GPU.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.batch_norm and (args[5] if len(args) > 5 else kwargs.get("training", False)):
            return shared_batch_norm(*args, **kwargs)
        return func(*args, **kwargs)


def shared_batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """`torch.nn.functional.batch_norm` of (N, C, ...), its statistics taken over the x of all processes."""
    axes = [0, *range(2, x.dim())]
    shape = [1, -1, *[1] * (x.dim() - 2)]
    wide = x.double()
    count = torch.full((1,), x.numel() / x.shape[1], dtype=torch.float64, device=x.device)
    sums = Sum.apply(torch.cat([wide.sum(axes), wide.square().sum(axes), count]))
    total, squares, number = sums.split([x.shape[1], x.shape[1], 1])
    mean = total / number
    variance = (squares / number - mean.square()).clamp(min=0)
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(mean.to(running_mean), momentum)
            running_var.lerp_((variance * number / (number - 1)).to(running_var), momentum)
    scale = (variance + eps).rsqrt()
    shift = -mean * scale
    if weight is not None:
        scale, shift = scale * weight, shift * weight
    if bias is not None:
        shift = shift + bias
    return x * scale.to(x).view(shape) + shift.to(x).view(shape)


@contextmanager
def unsynchronised(model: nn.Module, quiet: bool) -> Iterator[None]:
    """While open and `quiet`, gradients are only added up, not yet averaged over the processes.

    Sharded ones always are: to add them up, each process would need room for all of them.
    """
    with model.no_sync() if quiet and isinstance(model, DistributedDataParallel) else nullcontext():
        yield
