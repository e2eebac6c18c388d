"""Residual multi-layer perceptrons, the only kind of network used here."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

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


class LinearOfParts(nn.Module):
    """Linear map of parts ``(..., width)`` side by side, ``(..., n_output)``.

    It starts as, equals, and is stored as one ``nn.Linear`` over the parts side by side. In
    training each part has a matrix of its own: the gradient of a slice is as large as the whole.
    """

    def __init__(self, widths: Sequence[int], n_output: int, *, bias: bool = True):
        super().__init__()
        self.widths = list(widths)
        whole = nn.Linear(sum(widths), n_output, bias=bias)
        for name, columns in self._apart(whole.weight.detach()).items():
            self.register_parameter(name, nn.Parameter(columns.clone()))
        self.bias = whole.bias

    @property
    def weights(self) -> list[Tensor]:
        """Matrix of each part, ``(n_output, width)``."""
        return [self.get_parameter(f"weight{i}") for i in range(len(self.widths))]

    def forward(self, parts: Sequence[Tensor | Repeated], offset: Tensor | None = None) -> Tensor:
        """The map of all parts; or of the last ones, on top of an ``offset`` instead of the bias.

        What many rows share, a part of size one where the others have several rows or a
        :class:`Repeated` one, is mapped once.
        """
        own = self.weights[len(self.widths) - len(parts) :]
        mapped = [
            part.spread(functional.linear(part.few, weight))
            if isinstance(part, Repeated)
            else functional.linear(part, weight)
            for part, weight in zip(parts, own, strict=True)
        ]
        # the shared parts are added up among themselves first
        mapped.sort(key=Tensor.numel)
        constant = self.bias if offset is None else offset
        total, *others = mapped if constant is None else (*mapped, constant)
        for other in others:
            # in place where it can be: fresh memory costs more than the addition, but a sum in
            # place has the digits of its first term, which in mixed precision are few
            same = total.shape == other.shape and total.dtype == other.dtype
            total = total.add_(other) if same else total + other
        return total

    def _apart(self, weight: Tensor) -> dict[str, Tensor]:
        """Matrices of the parts by the name of their parameter."""
        return {
            f"weight{i}": part for i, part in enumerate(torch.split(weight, self.widths, dim=1))
        }

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        """One matrix ``weight``, as files of weights have it."""
        super()._save_to_state_dict(destination, prefix, keep_vars)
        parts = [destination.pop(f"{prefix}weight{i}") for i in range(len(self.widths))]
        destination[f"{prefix}weight"] = torch.cat(parts, dim=1)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *more: Any) -> None:
        if (weight := state_dict.pop(f"{prefix}weight", None)) is not None:
            parts = self._apart(weight)
            state_dict.update({f"{prefix}{name}": part for name, part in parts.items()})
        super()._load_from_state_dict(state_dict, prefix, *more)


def dropout(values: Tensor, share: float) -> Tensor:
    """A ``share`` of the values at zero, the others over ``1 - share`` (Srivastava 2014).

    It is decided by 16 random bits a value, four to a draw; torch's own draws one number a value,
    which takes as long as a matrix product of the encoder.
    """
    n = values.numel()
    draws = torch.empty(-(-n // 4), dtype=torch.int64, device=values.device)
    bits = draws.random_(-(2**63), None).view(torch.int16)[:n].view(values.shape)
    return torch.where(bits >= round(share * 2**16) - 2**15, values / (1 - share), 0.0)


class ResidualMLP(nn.Module):
    """Linear input layer, ``n_layers - 1`` residual layers, linear output.

    An input that is shared by several evaluations (the expression of a cell, factual and
    counterfactual) is mapped once by :meth:`lift` and handed on as ``lifted``.

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
        self.input = LinearOfParts(n_inputs, n_hidden)
        self.residual = nn.ModuleList(nn.Linear(n_hidden, n_hidden) for _ in range(n_layers - 1))
        self.output = nn.Linear(n_hidden, n_output)

    def lift(self, first: Tensor) -> Tensor:
        """Share of the first input in the input layer, ``(..., n_hidden)``."""
        return functional.linear(first, self.input.weights[0], self.input.bias)

    def forward(self, lifted: Tensor, *others: Tensor | Repeated) -> Tensor:
        """Output ``(..., n_output)`` from a lifted first input and the other inputs."""
        hidden = functional.leaky_relu(self.input(others, lifted) if others else lifted)
        for layer in self.residual:
            hidden = hidden + functional.leaky_relu(layer(hidden))
        weight, bias = self.output.weight, self.output.bias
        if not torch.is_autocast_enabled(hidden.device.type):
            return functional.linear(hidden, weight, bias)
        # In mixed precision too, distributions have the precision of the weights. The bias, near -9
        # for a log rate, comes after: on top of it a product keeps two digits.
        return functional.linear(hidden, weight).to(weight.dtype) + bias


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
