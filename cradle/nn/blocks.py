"""Residual multi-layer perceptrons, the only kind of network used here."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


class Repeated(NamedTuple):
    """Rows ``(..., n, width)`` that repeat, or mix, a few: a linear map of them maps the few."""

    few: Tensor  # (..., m, width)
    of_row: Tensor  # (n,), which of the few each row is; or (..., n, m), weights of a mixture

    @property
    def width(self) -> int:
        """Columns."""
        return self.few.shape[-1]

    def full(self) -> Tensor:
        """All rows, ``(..., n, width)``."""
        return self.spread(self.few)

    def spread(self, few: Tensor) -> Tensor:
        """The rows that other few would give, ``(..., n, any width)``."""
        if self.of_row.is_floating_point():
            return self.of_row @ few
        return few.index_select(-2, self.of_row)


def full(part: Tensor | Repeated) -> Tensor:
    """All rows of a part."""
    return part.full() if isinstance(part, Repeated) else part


def linear_of_parts(
    parts: Sequence[Tensor | Repeated], weight: Tensor, bias: Tensor | None = None
) -> Tensor:
    """Linear map of parts ``(..., width)`` side by side, ``(..., n_output)``.

    What many rows share, a part of size one where the others have several rows or a
    :class:`Repeated` one, is mapped once. ``bias`` may be anything that can be added.
    """
    widths = [part.width if isinstance(part, Repeated) else part.shape[-1] for part in parts]
    columns = torch.split(weight, widths, dim=1)
    mapped = [
        part.spread(functional.linear(part.few, w))
        if isinstance(part, Repeated)
        else functional.linear(part, w)
        for part, w in zip(parts, columns, strict=True)
    ]
    # the shared parts are added up among themselves first
    mapped.sort(key=Tensor.numel)
    return sum(mapped, torch.zeros(()) if bias is None else bias)


class ResidualMLP(nn.Module):
    """Linear input layer, ``n_layers - 1`` residual layers, linear output.

    The input layer is a sum of one linear map per input, which equals a linear map of
    the concatenated inputs. An input that is shared by several evaluations (the
    expression of a cell, factual and counterfactual) is mapped once by :meth:`lift`
    and handed on as ``lifted``.

    Parameters
    ----------
    n_inputs
        Width of each input; the first one is the input that :meth:`lift` takes.
    n_output
        Width of the output.
    n_hidden, n_layers
        Width and number of hidden layers, at least one.
    """

    def __init__(self, n_inputs: tuple[int, ...], n_output: int, n_hidden: int, n_layers: int):
        super().__init__()
        self.n_inputs = n_inputs
        self.input = nn.Linear(sum(n_inputs), n_hidden)
        self.residual = nn.ModuleList(nn.Linear(n_hidden, n_hidden) for _ in range(n_layers - 1))
        self.output = nn.Linear(n_hidden, n_output)

    def lift(self, first: Tensor) -> Tensor:
        """Share of the first input in the input layer, ``(..., n_hidden)``."""
        return functional.linear(first, self.input.weight[:, : self.n_inputs[0]], self.input.bias)

    def forward(self, lifted: Tensor, *others: Tensor | Repeated) -> Tensor:
        """Output ``(..., n_output)`` from a lifted first input and the other inputs."""
        hidden = lifted
        if others:
            hidden = linear_of_parts(others, self.input.weight[:, self.n_inputs[0] :], lifted)
        hidden = functional.leaky_relu(hidden)
        for layer in self.residual:
            hidden = hidden + functional.leaky_relu(layer(hidden))
        output: Tensor = self.output(hidden)
        return output


class GaussianMLP(nn.Module):
    """Residual MLP whose output parametrizes a diagonal normal distribution."""

    def __init__(
        self,
        n_inputs: tuple[int, ...],
        n_output: int,
        n_hidden: int,
        n_layers: int,
        *,
        initial_scale: float = 1.0,
    ):
        super().__init__()
        self.mlp = ResidualMLP(n_inputs, 2 * n_output, n_hidden, n_layers)
        # softplus of this is the scale of an untrained network
        self.raw_scale = math.log(math.expm1(initial_scale))

    def lift(self, first: Tensor) -> Tensor:
        """See :meth:`ResidualMLP.lift`."""
        return self.mlp.lift(first)

    def forward(self, lifted: Tensor, *others: Tensor | Repeated) -> torch.distributions.Normal:
        """Normal with location and scale of shape ``(..., n_output)``."""
        location, raw_scale = self.mlp(lifted, *others).chunk(2, dim=-1)
        scale = functional.softplus(raw_scale + self.raw_scale) + 1e-4
        return torch.distributions.Normal(location, scale, validate_args=False)
