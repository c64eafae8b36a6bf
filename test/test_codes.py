"""A whole point encoder on packed codes against dense autograd: values, and the gradient of every parameter."""

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from bipointnet_ros.core.blueprint import vanilla  # noqa: E402
from bipointnet_ros.training import codes, layers, models  # noqa: E402
from bipointnet_ros.training.binarizers import METHODS  # noqa: E402

TOLERANCE = 2e-4
WIDTHS = (40, 70, 90, 20, 16)  # none fills its words


def relative(a, b):
    return float((a - b).norm() / b.norm().clamp_min(1e-12))


def encoders(method, aggregation):
    """Twice the same network, with gains of either sign and one of 0; the first batch has set its scales."""
    torch.manual_seed(0)
    net = models.build(vanilla(5, WIDTHS), method, aggregation)
    net(torch.randn(8, 64, 3))
    other = models.build(vanilla(5, WIDTHS), method, aggregation)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith("gain"):
                parameter.copy_(torch.randn(len(parameter)))
                parameter[:2] = torch.tensor([0.0, -1.0])
            if name.endswith("bias"):
                parameter.copy_(0.3 * torch.randn(len(parameter)))
    other.load_state_dict(net.state_dict())
    return net, other


def gradients(net, points, upstream):
    logits = net(points)
    (logits * upstream).sum().backward()
    return logits.detach(), {name: p.grad for name, p in net.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("aggregation", ["ema-max", "max", "ema-avg"])
@pytest.mark.parametrize("method", METHODS)
def test_packed_equals_dense_autograd(method, aggregation, monkeypatch):
    packed_net, dense_net = encoders(method, aggregation)
    points, upstream = torch.randn(9, 131, 3), torch.randn(9, 5)
    monkeypatch.setattr(codes, "CHUNK", 300)  # several chunks, of several clouds each
    logits, packed = gradients(packed_net, points, upstream)
    monkeypatch.setattr(layers.Binary, "activate", lambda layer, x: layer.linear.activate(codes.dense(x)))
    expected, dense = gradients(dense_net, points, upstream)
    assert relative(logits, expected) < TOLERANCE
    assert packed.keys() == dense.keys() and len(packed) >= 15
    for name in packed:
        if name.endswith("log_alpha"):  # in front of BatchNorm: nothing but the rounding of zero
            continue
        assert relative(packed[name], dense[name]) < TOLERANCE, name


@pytest.mark.parametrize("method", METHODS)
def test_signs_stay_packed_where_their_gradient_needs_no_values(method):
    net, _ = encoders(method, "ema-max")
    values = net.stages["encoder0"](torch.randn(20, 3))[0]
    stays = isinstance(net.stages["encoder1"].activate(values), codes.Codes)
    assert stays == (method in ("bipointnet", "bnn", "xnor", "xnor++", "abc", "r2b"))
