import numpy as np
import pytest

from bipointnet_ros.core.aggregation import BUCKETS, bucket, bucket_deltas, delta

# Table of -Phi^-1(0.5^(1/N)) for the sizes of the authors' code and others (BiPointNet, section 3.2).
KNOWN = {20: 1.82416, 32: 2.02511, 128: 2.54907, 256: 2.78168, 1024: 3.20442, 2048: 3.39881, 8192: 3.76103}


@pytest.mark.parametrize("n, value", KNOWN.items())
def test_delta_equals_the_closed_form(n, value):
    assert delta(n) == pytest.approx(-value, abs=6e-6)


def test_delta_leaves_the_sign_one_full_bit():
    rng = np.random.default_rng(0)
    for n in (1, 7, 100):
        positive = (rng.normal(size=(20000, n)).max(1) + delta(n) >= 0).mean()
        assert positive == pytest.approx(0.5, abs=0.015)


def test_bucket_is_the_floor_of_log2():
    counts = np.array([1, 2, 3, 4, 7, 8, 1023, 1024, 2**15, 2**20])
    assert bucket(counts).tolist() == [0, 1, 1, 2, 2, 3, 9, 10, 15, 15]
    assert len(bucket_deltas()) == BUCKETS and bucket_deltas()[10] == np.float32(delta(1024))


def test_empty_group_is_refused():
    with pytest.raises(ValueError, match="at least one point"):
        delta(0)
