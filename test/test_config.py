import pytest

from bipointnet_ros.core.config import Config, ConfigError, parameters


def test_defaults_are_valid_and_described():
    Config()
    for parameter in parameters():
        assert len(parameter.description) > 10, parameter.name
        if type(parameter.default) in (int, float, tuple):
            assert parameter.low is not None and parameter.high is not None, parameter.name


def test_integer_for_a_number_and_list_for_a_box_are_taken():
    config = Config().replace(range_max=100, ego_min=[-1, -1, -1], ego_max=[1, 1, 1])
    assert config.range_max == 100.0 and type(config.range_max) is float
    assert config.ego_max == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"bakend": "avx2"}, "did you mean 'backend'"),
        ({"points": -1}, "points must be 0 to 1000000, got -1"),
        ({"points": 1.5}, "points must be an integer"),
        ({"threads": True}, "threads must be an integer"),
        ({"range_min": float("nan")}, "range_min must be 0.0 to 1000.0 m, got nan"),
        ({"range_min": 300.0}, "range_min must be less than range_max"),
        ({"ego_min": [1, 2]}, "three numbers"),
        ({"ego_min": "abc"}, "three numbers"),
        ({"region_min": [0, 0, 0], "region_max": [1, 1, 0]}, "region_min must be less than region_max"),
        ({"sampling": "grid"}, "sampling must be one of auto, random, voxel, farthest"),
        ({"model": 3}, "model must be a string"),
        ({"autostart": 1}, "autostart must be true or false"),
        ({"min_confidence": 1.01}, "0.0 to 1.0"),
    ],
)
def test_bad_value_is_one_sentence(changes, words):
    with pytest.raises(ConfigError) as error:
        Config().replace(**changes)
    assert words in str(error.value) and "\n" not in str(error.value)
