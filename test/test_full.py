"""The full-precision twin against the same network in plain torch: outputs, gradients, and evaluation mode."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from bipointnet_ros.core.blueprint import Grid, cell_segmenter, vanilla  # noqa: E402
from bipointnet_ros.training import models  # noqa: E402
from bipointnet_ros.training.norm import settle  # noqa: E402

FINE, COARSE = np.array([0, 3, 4, 9, 40, 60, 61], np.int32), np.array([0, 9, 60, 61], np.int32)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def dense_layer(x, stage):
    """Linear, BatchNorm of the batch, ReLU."""
    norm = stage.norm
    y = torch.nn.functional.batch_norm(x @ stage.weight.T, None, None, norm.gain, norm.bias, True, 0.0, norm.eps)
    return torch.relu(y)


def dense_max(x, offsets, spread=True):
    parts = [x[a:b].max(0, keepdim=True).values for a, b in zip(offsets, offsets[1:])]
    return torch.cat([p.expand(b - a, -1) if spread else p for p, a, b in zip(parts, offsets, offsets[1:])])


def dense_segmenter(net, x):
    s = net.stages
    x = dense_layer(x, s["point0"])
    x = dense_layer(torch.cat([x, dense_max(x, FINE)], 1), s["point1"])
    x = dense_layer(torch.cat([x, dense_max(x, COARSE)], 1), s["point2"])
    return s["head"][1](x)


def check(net, output, dense):
    torch.testing.assert_close(output, dense, rtol=1e-4, atol=1e-4)
    upstream, parameters = torch.randn_like(dense), list(net.parameters())
    ours = torch.autograd.grad((output * upstream).sum(), parameters, retain_graph=True)
    theirs = torch.autograd.grad((dense * upstream).sum(), parameters)
    for a, b in zip(ours, theirs):
        assert float((a - b).norm()) <= 1e-3 * float(b.norm()) + 1e-4


def test_twin_of_a_segmenter_is_the_same_network_with_relu_and_maxima_over_cells():
    net = models.build(cell_segmenter(("a", "b", "c"), 5, Grid(0.1, (2, 6)), 16), "full")
    x = torch.randn(61, 3)
    check(net, net(x, [FINE, COARSE]), dense_segmenter(net, x))


def test_twin_of_a_classifier_pools_each_cloud():
    net = models.build(vanilla(7, (8, 9, 30, 12, 10)), "full")
    s, clouds = net.stages, torch.randn(5, 40, 3)
    s["head2"][0].p = 0.0
    x = dense_layer(dense_layer(clouds.reshape(-1, 3), s["encoder0"]), s["encoder1"])
    x = dense_layer(x, s["encoder2"]).reshape(5, 40, -1).max(1).values
    check(net, net(clouds), s["head2"][1](dense_layer(dense_layer(x, s["head0"]), s["head1"])))


def test_evaluation_mode_uses_the_settled_statistics():
    net = models.build(cell_segmenter(("a", "b", "c"), 5, Grid(0.1, (2, 6)), 16), "full")
    x = torch.randn(61, 3)
    settle(net, [(x, [FINE, COARSE])] * 2)
    trained = net.train()(x, [FINE, COARSE])
    torch.testing.assert_close(net.eval()(x, [FINE, COARSE]), trained, rtol=0.1, atol=0.1)  # var of n and of n - 1
