"""The split input layer is the ordinary one."""

import torch
from torch.nn import functional

from cradle.nn.blocks import GaussianMLP, LinearOfParts, Repeated, ResidualMLP, dropout


def whole(linear: LinearOfParts) -> torch.nn.Linear:
    """The one linear map over the concatenated parts."""
    weight = torch.cat(linear.weights, dim=1)
    plain = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=linear.bias is not None)
    plain.load_state_dict(linear.state_dict())
    return plain


def test_lifting_equals_one_layer_over_the_concatenation():
    torch.manual_seed(0)
    mlp = ResidualMLP((5, 3, 2), 4, 7, 3)
    x, a, b = torch.randn(6, 5), torch.randn(2, 6, 3), torch.randn(2, 6, 2)
    hidden = functional.leaky_relu(whole(mlp.input)(torch.cat([x.expand(2, -1, -1), a, b], -1)))
    for layer in mlp.residual:
        hidden = hidden + functional.leaky_relu(layer(hidden))
    torch.testing.assert_close(mlp(mlp.lift(x), a, b), mlp.output(hidden))


def test_mixed_precision_keeps_the_digits_of_a_large_bias():
    """Log rates are near -9, where bfloat16 tells apart steps of 0.06 only."""
    torch.manual_seed(0)
    mlp, offset = ResidualMLP((5, 3), 4, 7, 1), torch.full((6, 4), -9.0)
    path = LinearOfParts((5, 3), 4, bias=False)
    x, other = torch.randn(6, 5), torch.randn(6, 3)
    with torch.no_grad():
        mlp.output.bias.fill_(-9.0)
        exact = mlp(mlp.lift(x), other), path((x, other), offset)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = mlp(mlp.lift(x), other), path((x, other), offset)
    for whole_value, value in zip(exact, mixed, strict=True):
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, whole_value, atol=0.02, rtol=0)


def test_gaussian_scale_is_positive_for_extreme_outputs():
    mlp = GaussianMLP((2,), 3, 4, 1)
    with torch.no_grad():
        mlp.mlp.output.bias.fill_(-1e4)
    normal = mlp(mlp.lift(torch.zeros(1, 2)))
    assert (normal.scale > 0).all()


def test_parts_that_cells_share_are_mapped_like_those_that_are_repeated():
    parts = torch.randn(1, 5, 3), torch.randn(4, 1, 2), torch.randn(1, 1, 6)
    linear = LinearOfParts((3, 2, 6), 7)
    repeated = [part.expand(4, 5, -1) for part in parts]
    expected = whole(linear)(torch.cat(repeated, dim=-1))
    for given in (parts, repeated):
        torch.testing.assert_close(linear(given), expected)
    offset = torch.randn(4, 5, 7)
    torch.testing.assert_close(linear(parts, offset), expected - linear.bias + offset)


def test_repeated_and_mixed_rows_are_mapped_like_those_written_out():
    few = torch.randn(2, 3, 4)
    repeated = Repeated(few, torch.tensor([2, 0, 0, 1, 2]))
    mixed = Repeated(few, torch.rand(2, 5, 3))
    torch.testing.assert_close(repeated.full(), few[:, [2, 0, 0, 1, 2]])
    torch.testing.assert_close(mixed.full(), torch.einsum("knm,kmw->knw", mixed.of_row, few))
    state, linear = torch.randn(2, 5, 6), LinearOfParts((6, 4, 4), 7, bias=False)
    side_by_side = torch.cat([state, repeated.full(), mixed.full()], dim=-1)
    torch.testing.assert_close(linear((state, repeated, mixed)), whole(linear)(side_by_side))


def test_parts_start_and_are_stored_as_one_linear_map():
    torch.manual_seed(0)
    linear = LinearOfParts((3, 2), 7)
    torch.manual_seed(0)
    plain = torch.nn.Linear(5, 7)
    assert linear.state_dict().keys() == plain.state_dict().keys()
    torch.testing.assert_close(linear.state_dict(), plain.state_dict())
    other = torch.nn.Linear(5, 7)
    linear.load_state_dict(other.state_dict())
    torch.testing.assert_close(torch.cat(linear.weights, dim=1), other.weight)


def test_dropout_hides_a_share_and_keeps_the_mean():
    torch.manual_seed(0)
    hidden = dropout(torch.ones(301, 1003), 0.3)
    kept = hidden[hidden != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / 0.7))
    n = hidden.numel()
    assert abs(len(kept) / n - 0.7) < 5 * (0.7 * 0.3 / n) ** 0.5
    for axis in (0, 1):  # neither cells nor genes share their fate
        rate = (hidden != 0).float().mean(axis)
        expected = (0.7 * 0.3 / hidden.shape[axis]) ** 0.5
        assert 0.9 < rate.std() / expected < 1.1
    assert (dropout(torch.ones(5, 3), 0.0) == 1).all()
