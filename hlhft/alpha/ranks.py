"""Several processes that train one network together, as torchrun starts them: who this is, and what they say at once.

Each process, a rank, takes its share of every batch; gradients are averaged, so that the step is that of one process
with the whole batch. What is written, logged and said is the first rank's business alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

RANKS_MAX = 1024
WAITING_S_MAX = 6 * 3600  # one for another, the longest while the first prepares the data
STARTED_BY = "TORCHELASTIC_RUN_ID"  # torchrun sets it for those that it starts

Value = TypeVar("Value")


class RanksError(Exception):
    """The variables that torchrun sets are missing or do not fit each other."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """One process among those that train together; alone where nothing else is said."""

    rank: int = 0
    count: int = 1
    on_host: int = 1  # how many of them are on this host

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return self.rank == 0

    @property
    def hosts(self) -> int:
        """On how many hosts they are."""
        return self.count // self.on_host


ALONE = Ranks()


def ranks_of(environment: Mapping[str, str]) -> Ranks:
    """What torchrun says of this process, ALONE where it was not started by it. Raises RanksError."""
    if STARTED_BY not in environment:
        return ALONE
    names = ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")
    texts = [environment.get(name, "") for name in names]
    if not all(text.isdigit() for text in texts):
        raise RanksError(
            f"torchrun sets {', '.join(names)} to numbers, here they are {', '.join(texts)}: start it anew"
        )
    rank, count, on_host = map(int, texts)
    if not (rank < count <= RANKS_MAX and on_host >= 1 and count % on_host == 0):
        raise RanksError(
            f"rank {rank} of {count}, {on_host} on each host, is no set of processes of equal hosts: give every host "
            f"the same --nproc-per-node, and at most {RANKS_MAX} in all"
        )
    return Ranks(rank, count, on_host)


@contextmanager
def joined(ranks: Ranks, *, device: str) -> Iterator[None]:
    """All ranks in one group while the block runs: over gloo on CPUs, over NCCL on GPUs.

    Nothing where one is alone, or joined already: what torchrun gives them to meet by is good for one meeting.
    """
    if ranks.count == 1:
        yield
        return
    import torch.distributed

    if torch.distributed.is_initialized():
        yield
        return
    if device == "cuda":
        torch.cuda.set_device(ranks.rank % ranks.on_host)  # they talk through a GPU each
    torch.distributed.init_process_group(
        "nccl" if device == "cuda" else "gloo", timeout=timedelta(seconds=WAITING_S_MAX)
    )
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()


def first_alone(ranks: Ranks, make: Callable[[], Value]) -> Value:
    """What `make` gives, on the first rank before it is called on any other: what one leaves on disk the rest find."""
    if ranks.count == 1:
        return make()
    import torch.distributed

    if not ranks.is_first:
        torch.distributed.barrier()
        return make()
    made = make()
    torch.distributed.barrier()
    return made


def first_ones(ranks: Ranks, value: float) -> float:
    """The first rank's number, on all of them: what they decide by must be one number."""
    if ranks.count == 1:
        return value
    import torch.distributed

    found: list[float] = [value]
    torch.distributed.broadcast_object_list(found, src=0)
    return found[0]


def mean_over(ranks: Ranks, value: float) -> float:
    """The mean of all ranks' numbers, on all of them."""
    return value if ranks.count == 1 else sum(gathered(ranks, value)) / ranks.count


def gathered(ranks: Ranks, value: Value) -> list[Value]:
    """Every rank's value, in order of ranks, on all of them."""
    if ranks.count == 1:
        return [value]
    import torch.distributed

    found: list[Value | None] = [None] * ranks.count
    torch.distributed.all_gather_object(found, value)
    return [one for one in found if one is not None]
