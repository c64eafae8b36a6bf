import numpy as np
import pytest

from bipointnet_ros.core import bits


def test_bit_i_is_bit_i_mod_64_of_word_i_div_64():
    for i in range(130):
        signs = -np.ones(130)
        signs[i] = 1.0
        want = np.zeros(3, np.uint64)
        want[i // 64] = 1 << (i % 64)
        assert (bits.pack(signs) == want).all()


def test_zero_is_plus_one_and_nan_is_minus_one():
    assert bits.pack(np.array([0.0, -0.0, -1e-30, np.nan, 5.0])).tolist() == [0b10011]


@pytest.mark.parametrize("width", [1, 7, 8, 63, 64, 65, 200])
def test_round_trip_and_clear_padding(width):
    signs = np.random.default_rng(width).choice(np.array([-1, 1], np.int8), (3, 5, width))
    packed = bits.pack(signs)
    assert packed.dtype == np.uint64 and packed.shape == (3, 5, bits.words(width))
    assert (bits.unpack(packed, width) == signs).all()
    if width % 64:
        assert not (packed[..., -1] >> np.uint64(width % 64)).any()


def test_dot_product_is_k_minus_twice_the_popcount():
    a, b = np.random.default_rng(0).choice(np.array([-1, 1]), (2, 100))
    differing = int(np.unpackbits((bits.pack(a) ^ bits.pack(b)).view(np.uint8)).sum())
    assert a @ b == 100 - 2 * differing


def test_unpack_refuses_a_wrong_number_of_words():
    with pytest.raises(ValueError, match="65 bits fill 2 words, got 1"):
        bits.unpack(np.zeros((4, 1), np.uint64), 65)
