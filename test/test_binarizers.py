"""Binarizers: forward and backward of each against its equation, by hand."""

import math

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from bipointnet_ros.training import binarizers, teacher  # noqa: E402


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_sign_of_zero_is_plus_one_and_gradient_passes_up_to_one():
    x = torch.tensor([-1.5, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 1.0001], requires_grad=True)
    out = binarizers.sign(x)
    out.backward(torch.arange(1.0, 9.0))
    assert out.tolist() == [-1, -1, -1, 1, 1, 1, 1, 1]
    assert x.grad.tolist() == [0, 2, 3, 4, 5, 6, 7, 0]


def test_lsr_scale_is_the_ratio_of_deviations_of_the_first_batch_only():
    layer = binarizers.BiPointNet(33, 17)
    known = {id(p) for p in layer.parameters()}
    x = 0.7 * torch.randn(500, 33)
    out = layer(x)
    w, a = layer.weight - layer.weight.mean(), x.clamp(-1, 1)
    plain = torch.where(x >= 0, 1.0, -1.0) @ torch.where(w >= 0, 1.0, -1.0).T
    alpha = (a @ w.T).std() / plain.std()
    torch.testing.assert_close(out, alpha * plain)
    layer(3.0 * x)
    torch.testing.assert_close(layer.alpha(), alpha)
    assert {id(p) for p in layer.parameters()} == known and id(layer.log_alpha) in known


def test_weights_are_centred_over_the_whole_matrix():
    layer = binarizers.BiPointNet(5, 4)
    with torch.no_grad():
        layer.weight.copy_(torch.arange(20.0).reshape(4, 5))
    assert layer.signs().flatten().tolist() == [-1.0] * 10 + [1.0] * 10


X = [[0.5, -2.0], [0.25, -0.5]]
W = [[0.5, -0.25], [1.5, -0.75]]
UPSTREAM = [[1.0, 2.0], [4.0, 8.0]]


def by_hand(method):
    """Layer over 2 inputs and 2 outputs with weights W; its output at X and the gradients of UPSTREAM . output."""
    layer, x = binarizers.METHODS[method](2, 2).eval(), torch.tensor(X, requires_grad=True)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(W))
    out = layer(x)
    out.backward(torch.tensor(UPSTREAM))
    return layer, out.tolist(), x.grad.tolist(), layer.weight.grad


def test_bnn_by_hand():
    """Signs of X and W are all (+, -): each product is 2. |x| > 1 and |w| > 1 get no gradient."""
    _, out, to_x, to_w = by_hand("bnn")
    assert out == [[2, 2], [2, 2]]
    assert to_x == [[3, 0], [12, -12]]
    assert to_w.tolist() == [[5, -5], [0, -10]]


def test_xnor_by_hand():
    """alpha = mean |w| = 0.375, 1.125; its own gradient adds (sum of upstream x product) sign(w) / 2."""
    _, out, to_x, to_w = by_hand("xnor")
    assert out == [[0.75, 2.25], [0.75, 2.25]]
    assert to_x == [[0.375 + 2 * 1.125, 0], [4 * 0.375 + 8 * 1.125, -(4 * 0.375 + 8 * 1.125)]]
    assert to_w.tolist() == [[5 * 0.375 + 5, -5 * 0.375 - 5], [10, -10 * 1.125 - 10]]


def test_xnor_plus_starts_at_the_mean_and_learns_it():
    layer = binarizers.XnorPlus(8, 3)
    torch.testing.assert_close(layer.alpha(), layer.weight.abs().mean(1))
    out = layer(torch.randn(5, 8))
    out.sum().backward()
    torch.testing.assert_close(layer.log_alpha.grad, out.detach().sum(0))  # d alpha / d log alpha = alpha


def test_bireal_by_hand():
    """The gradient of an activation is weighted by 2 - 2 |x|: 1, 0, 1.5 and 1."""
    _, out, to_x, _ = by_hand("bireal")
    assert out == [[0.75, 2.25], [0.75, 2.25]]
    assert to_x == [[2.625, 0], [10.5 * 1.5, -10.5]]


def test_irnet_by_hand():
    """Standardised rows are W / 2.582 and W / 8.165, their mean |W^| 0.775 and 0.612: alpha = 2^0 and 2^-1."""
    layer, x = binarizers.IrNet(4, 2), torch.tensor([[0.5, -2.0, 1.0, 0.25]], requires_grad=True)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[4.0, 2.0, 0.0, -2.0], [11.0, 1.0, 1.0, -9.0]]))
    assert layer.alpha().tolist() == [1.0, 0.5]
    assert layer.signs().tolist() == [[1, 1, -1, -1], [1, 1, 1, -1]]
    out = layer(x)
    assert out.tolist() == [[-2.0, 0.0]]
    out.backward(torch.tensor([[1.0, 4.0]]))
    slope = [1.0 - math.tanh(0.1 * v) ** 2 for v in (0.5, -2.0, 1.0, 0.25)]  # progress 0: t = 0.1, k t = 1
    expected = [[(1 + 2) * slope[0], (1 + 2) * slope[1], (-1 + 2) * slope[2], (-1 - 2) * slope[3]]]
    torch.testing.assert_close(x.grad, torch.tensor(expected))
    assert layer.weight.grad.abs().max() > 0.01
    assert layer.weight.grad.sum(1).abs().max() < 1e-6  # balanced: a common shift of a row changes nothing


def test_decaying_gradient_sharpens():
    for progress, slope in ((0.0, 1.0), (0.5, 1.0), (1.0, 10.0)):
        x = torch.zeros(1, requires_grad=True)
        binarizers.decaying_sign(x, progress).backward()
        assert x.grad.item() == pytest.approx(slope)


def test_xnor_in_full_by_hand():
    """K = mean |x| = 1.25 and 0.375 joins alpha, and its own gradient adds (sum of upstream alpha x 2) sign(x) / 2."""
    _, out, to_x, to_w = by_hand("xnor-k")
    assert out == [[0.9375, 2.8125], [0.28125, 0.84375]]
    assert to_x == [[2.625 * 1.25 + 2.625, -2.625], [10.5 * 0.375 + 10.5, -10.5 * 0.375 - 10.5]]
    assert to_w.tolist() == [[0.375 * 2.75 + 2.75, -0.375 * 2.75 - 2.75], [5.5, -1.125 * 5.5 - 5.5]]


def test_dorefa_by_hand():
    """E|W| = 0.75; a = (1, 0) and (0, 0); gradients: of a where 0 <= x <= 1, of the weights as they come."""
    _, out, to_x, to_w = by_hand("dorefa")
    assert out == [[0.75, 0.75], [0, 0]]
    assert to_x == [[2.25, 0], [9, 0]]
    torch.testing.assert_close(to_w, torch.tensor([[1.0, 0.0], [2.0, 0.0]]))


def test_abc_by_hand():
    """mean W = 0.25: b = (+, -); alpha = (0.5 + 0.25 + 1.5 + 0.75) / 4; x counts from the threshold, within 1/2."""
    layer, out, to_x, to_w = by_hand("abc")
    assert layer.alpha().item() == 0.75 and layer.threshold == 0.5
    assert out == [[1.5, 1.5], [1.5, 1.5]]
    assert to_x == [[2.25, 0], [9, -9]]
    assert to_w.tolist() == [[3.75, -3.75], [7.5, -7.5]]


def test_abc_of_three_bases_by_hand():
    """B = (- - + -), (+ - + -), (+ + + -), least squares alpha = 0.3125, 0.375, 0.4375; A = (1, -1), (1, -1) / 3."""
    layer, out, to_x, to_w = by_hand("abc3")
    torch.testing.assert_close(layer.signs(), torch.tensor([[0.5, -0.25], [1.125, -1.125]]))
    torch.testing.assert_close(torch.tensor(out), torch.tensor([[0.75, 2.25], [0.25, 0.75]]))
    torch.testing.assert_close(torch.tensor(to_x), torch.tensor([[5.5, 0.0], [22.0, -20.0]]) / 3.0)
    torch.testing.assert_close(to_w, torch.tensor([[2.625, -2.625], [5.25, -5.25]]))
    torch.testing.assert_close(layer.beta.grad[1], torch.tensor(2.75 + 2.5 + 11.0 + 10.0))  # signs + - + - all count
    assert layer.shift.grad.abs().min() > 0


def test_react_by_hand():
    """Signs as Bi-Real Net; then f(v - 0.5) + 0.1 - 0.2 with slope 0.25."""
    layer, out, to_x, _ = by_hand("react")
    assert out == [[0.75, 2.25], [0.75, 2.25]] and to_x == [[2.625, 0], [10.5 * 1.5, -10.5]]
    with torch.no_grad():
        for parameter, value in ((layer.gamma, 0.5), (layer.zeta, 0.1), (layer.beta, 0.2)):
            parameter.fill_(value)
    values = torch.tensor([[1.0, 0.0]], requires_grad=True)
    after = layer.follow(values)
    torch.testing.assert_close(after, torch.tensor([[0.4, -0.225]]))
    after.sum().backward()
    assert values.grad.tolist() == [[1.0, 0.25]]
    assert layer.slope.grad.tolist() == [0.0, -0.5] and layer.gamma.grad.tolist() == [-1.0, -0.25]
    assert layer.zeta.grad.tolist() == [1.0, 1.0] and layer.beta.grad.tolist() == [-1.0, -1.0]


def test_attention_matching_by_hand():
    """Q = (25, 0) and (0, 4), each of length 1 after division: they are sqrt(2) apart; the second cloud agrees."""
    ours = torch.tensor([[[3.0, 4.0], [0.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]]], requires_grad=True)
    loss = teacher.attention(ours, torch.tensor([[[0.0], [2.0]], [[7.0], [-7.0]]]))
    assert loss.item() == pytest.approx(1.0)
    loss.backward()
    assert ours.grad.isfinite().all()


PACKABLE = [name for name, kind in binarizers.METHODS.items() if not kind.unpackable]


def test_only_two_methods_cannot_be_packed():
    assert set(binarizers.METHODS) - set(PACKABLE) == {"xnor-k", "abc3"}


@pytest.mark.parametrize("method", PACKABLE)
def test_every_method_gives_signs_and_positive_scales(method):
    layer = binarizers.METHODS[method](40, 7)
    layer(torch.randn(30, 40))
    assert set(layer.signs().unique().tolist()) == {-1.0, 1.0} and (layer.alpha() > 0).all()
    assert set(layer.activate(torch.tensor([-3.0, -0.0, 0.0, 0.5])).tolist()) == {-1.0, 1.0}
    assert layer.activate(torch.zeros(1)).item() == 1.0
