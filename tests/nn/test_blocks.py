"""The split input layer is the ordinary one."""

import torch
from torch.nn import functional

from cradle.nn.blocks import GaussianMLP, ResidualMLP


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
