"""The split input layer is the ordinary one."""

import torch
from torch.nn import functional

from cradle.nn.blocks import GaussianMLP, Repeated, ResidualMLP, linear_of_parts


def test_lifting_equals_one_layer_over_the_concatenation():
    torch.manual_seed(0)
    mlp = ResidualMLP((5, 3, 2), 4, 7, 3)
    x, a, b = torch.randn(6, 5), torch.randn(2, 6, 3), torch.randn(2, 6, 2)
    hidden = functional.leaky_relu(mlp.input(torch.cat([x.expand(2, -1, -1), a, b], -1)))
    for layer in mlp.residual:
        hidden = hidden + functional.leaky_relu(layer(hidden))
    torch.testing.assert_close(mlp(mlp.lift(x), a, b), mlp.output(hidden))


def test_gaussian_scale_is_positive_for_extreme_outputs():
    mlp = GaussianMLP((2,), 3, 4, 1)
    with torch.no_grad():
        mlp.mlp.output.bias.fill_(-1e4)
    normal = mlp(mlp.lift(torch.zeros(1, 2)))
    assert (normal.scale > 0).all()


def test_parts_that_cells_share_are_mapped_like_those_that_are_repeated():
    parts = torch.randn(1, 5, 3), torch.randn(4, 1, 2), torch.randn(1, 1, 6)
    weight, bias = torch.randn(7, 11), torch.randn(7)
    repeated = [part.expand(4, 5, -1) for part in parts]
    expected = torch.nn.functional.linear(torch.cat(repeated, dim=-1), weight, bias)
    for given in (parts, repeated):
        torch.testing.assert_close(linear_of_parts(given, weight, bias), expected)


def test_repeated_and_mixed_rows_are_mapped_like_those_written_out():
    few = torch.randn(2, 3, 4)
    repeated = Repeated(few, torch.tensor([2, 0, 0, 1, 2]))
    mixed = Repeated(few, torch.rand(2, 5, 3))
    torch.testing.assert_close(repeated.full(), few[:, [2, 0, 0, 1, 2]])
    torch.testing.assert_close(mixed.full(), torch.einsum("knm,kmw->knw", mixed.of_row, few))
    state, weight = torch.randn(2, 5, 6), torch.randn(7, 14)
    side_by_side = torch.cat([state, repeated.full(), mixed.full()], dim=-1)
    expected = functional.linear(side_by_side, weight)
    torch.testing.assert_close(linear_of_parts((state, repeated, mixed), weight), expected)
