"""Torch layers: straight-through sign, LSR, EMA, and the packed-speed layers against dense autograd."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from bipointnet_ros.core.aggregation import delta  # noqa: E402
from bipointnet_ros.core.blueprint import Grid, cell_segmenter  # noqa: E402
from bipointnet_ros.training import layers, models  # noqa: E402
from bipointnet_ros.training.binarizers import METHODS, sign  # noqa: E402
from bipointnet_ros.training.norm import BatchNorm, settle  # noqa: E402
from bipointnet_ros.training.recipe import Recipe  # noqa: E402

TOLERANCE = 2e-4


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def relative(a, b):
    return float((a - b).detach().norm() / b.detach().norm().clamp_min(1e-12))


def dense_norm(y, norm, alpha):
    """alpha y through torch's own BatchNorm of the batch."""
    return torch.nn.functional.batch_norm(alpha * y, None, None, norm.gain, norm.bias, True, 0.0, norm.eps)


def gradients(output, upstream, inputs):
    return torch.autograd.grad((output * upstream).sum(), inputs, allow_unused=True)


def mixed_gains(norm):
    with torch.no_grad():
        norm.gain.copy_(torch.randn(len(norm.gain)))
        norm.gain[:3] = torch.tensor([0.0, -1.0, -0.01])
        norm.bias.copy_(0.3 * torch.randn(len(norm.bias)))


def test_batch_norm_scale_and_shift_equal_torch_and_statistics_are_those_of_the_bare_product():
    norm, y, alpha = BatchNorm(6), 5 * torch.randn(40, 6) + 2, torch.tensor(0.2)
    mixed_gains(norm)
    var, mean = torch.var_mean(y, 0, correction=0)
    scale, shift = norm.batch(mean, var, len(y), alpha)
    torch.testing.assert_close(y * scale + shift, dense_norm(y, norm, alpha))
    torch.testing.assert_close(norm.mean, 0.1 * y.mean(0))
    torch.testing.assert_close(norm.var, 0.9 + 0.1 * y.var(0))
    other = BatchNorm(6)
    other.load_state_dict(norm.state_dict() | {"mean": torch.zeros(6), "var": torch.ones(6)})
    torch.testing.assert_close(other.normalise(y, alpha), dense_norm(y, norm, alpha))
    torch.testing.assert_close(other.mean, norm.mean)
    torch.testing.assert_close(other.var, norm.var)


@pytest.mark.parametrize("rows", [20, 700])  # statistics from the product, and from the moments of its inputs
def test_binary_layer_equals_dense_autograd(rows):
    layer, x = layers.Binary(48, 31), torch.randn(rows, 48, requires_grad=True)
    mixed_gains(layer.norm)
    z = layer(x)
    dense = dense_norm(sign(x) @ layer.linear.signs().T, layer.norm, layer.linear.alpha())
    upstream = torch.randn_like(z)
    parameters = [x, layer.linear.weight, layer.norm.gain, layer.norm.bias]
    assert relative(z, dense) < TOLERANCE
    for ours, theirs in zip(gradients(z, upstream, parameters), gradients(dense, upstream, parameters)):
        assert relative(ours, theirs) < TOLERANCE


@pytest.mark.parametrize("aggregation", layers.AGGREGATIONS)
@pytest.mark.parametrize("inputs", [16, 128, 200])
def test_pooled_layer_equals_dense_autograd(inputs, aggregation):
    """Where several rows attain the maximum, the gradient goes to the first of them."""
    layer = layers.Pool(inputs, 40, aggregation)
    mixed_gains(layer.norm)
    offsets = np.array([0, 256, 300, 1301], np.int32)
    x = torch.randn(offsets[-1], inputs, requires_grad=True)
    out = layer(x, offsets)
    y = sign(x) @ layer.linear.signs().T
    z = dense_norm(y, layer.norm, layer.linear.alpha())
    rising = torch.where(layer.norm.gain >= 0, y, -y)
    groups = [slice(a, b) for a, b in zip(offsets[:-1], offsets[1:])]
    dense = torch.stack([pool_dense(z[g], rising[g], aggregation) for g in groups])
    upstream = torch.randn_like(out)
    parameters = [x, layer.linear.weight, layer.norm.gain, layer.norm.bias]
    assert relative(out, dense) < TOLERANCE
    for ours, theirs in zip(gradients(out, upstream, parameters), gradients(dense, upstream, parameters)):
        assert relative(ours, theirs) < TOLERANCE


def pool_dense(z, rising, aggregation):
    """The arg row by exact integers: equal products normalise to values that differ by rounding only."""
    if aggregation == "ema-avg":
        return z.mean(0)
    largest = z.gather(0, rising.argmax(0)[None])[0]
    return largest + (delta(len(z)) if aggregation == "ema-max" else 0.0)


def pointwise(method):
    return models.build(Recipe(widths=(16, 24, 32, 24, 16)).blueprint(5), method), (torch.rand(64, 12, 3),)


def over_cells(method):
    bounds = [np.arange(0, 2001, step, dtype=np.int32) for step in (4, 20)]
    return models.build(cell_segmenter("abc", 4, Grid(0.1, (2, 4)), 24), method), (torch.randn(2000, 3), bounds)


@pytest.mark.parametrize("network", [pointwise, over_cells])
@pytest.mark.parametrize("method", METHODS)
def test_evaluation_mode_answers_as_training_mode_once_its_statistics_are_those_of_the_batch(method, network):
    net, batch = network(method)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, BatchNorm):  # far from the start, where a scale that is lost could hide
                module.gain.uniform_(0.2, 3.0)
                module.bias.uniform_(-0.5, 0.5)
        settle(net, [batch])
        trained, judged = net.train()(*batch), net.eval()(*batch)
    alike = (trained - judged).abs() < 0.1 * trained.std()  # a value near 0 may change its sign: sample variance
    assert alike.float().mean() > 0.8
