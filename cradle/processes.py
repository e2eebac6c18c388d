"""Training on several processes, of one machine or of many, by Lightning."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from cradle.errors import InputError

STRATEGIES = ("ddp", "ddp_find_unused_parameters_true")


@dataclass(frozen=True)
class Processes:
    """How many processes train one model together.

    Parameters
    ----------
    devices
        Processes on each machine.
    num_nodes
        Machines. On a cluster each of their processes runs the same command (``srun``).
    strategy
        Lightning's name of how they work together.
    """

    devices: int = 1
    num_nodes: int = 1
    strategy: str = "ddp"

    def __post_init__(self) -> None:
        if min(self.devices, self.num_nodes) < 1 or self.strategy not in STRATEGIES:
            raise InputError(
                "The processes to train on are not possible.",
                f"{self.devices} devices, {self.num_nodes} nodes, strategy {self.strategy!r}.",
                f"Give one or more of each, and one of {', '.join(STRATEGIES)}.",
            )

    @property
    def several(self) -> bool:
        """Whether there is more than one."""
        return self.devices * self.num_nodes > 1

    @property
    def leads(self) -> bool:
        """Whether this process writes the run; the others only train.

        Lightning starts the others of its machine with the same command and a rank in their
        environment; on a cluster SLURM does.
        """
        ranks = ("SLURM_PROCID", "LOCAL_RANK", "NODE_RANK")
        return not self.several or not any(int(os.environ.get(name, 0)) for name in ranks)

    def of_trainer(self) -> dict[str, Any]:
        """The same as arguments of Lightning's Trainer."""
        strategy = self.strategy if self.several else "auto"
        return {"devices": self.devices, "num_nodes": self.num_nodes, "strategy": strategy}


ONE_PROCESS = Processes()


def accelerator() -> str:
    """Lightning's name of what trains here: ``cuda`` where torch finds a GPU, else ``cpu``."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def noise_seed(seed: int, epoch: int, rank: int) -> int:
    """Seed of what a process draws in an epoch; the first process draws what one alone would.

    Of a seed torch's generator of the processor keeps 32 bits, so ranks must differ in those.
    """
    one = (seed * 1_000_003 + epoch) % 2**63
    if rank == 0:
        return one
    return int(np.random.SeedSequence([one, rank]).generate_state(1)[0])
