"""The parameter files and the table of parameters say what core.config says."""

from __future__ import annotations

from pathlib import Path

import pytest

from bipointnet_ros import manual
from bipointnet_ros.core.config import Config, parameters

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", manual.files())
def test_written_files_are_current(name):
    assert (ROOT / name).read_text() == manual.files()[name], "run python -m bipointnet_ros.manual"


@pytest.mark.parametrize("use", manual.USES)
def test_a_parameter_file_holds_every_parameter_with_its_type_and_only_the_stated_changes(use):
    yaml = pytest.importorskip("yaml")
    values = yaml.safe_load((ROOT / f"config/{use}.yaml").read_text())["/**"]["ros__parameters"]
    assert list(values) == [p.name for p in parameters()]
    for p in parameters():
        kind = list if isinstance(p.default, tuple) else type(p.default)
        assert type(values[p.name]) is kind, f"{p.name}: ROS would refuse a {type(values[p.name]).__name__}"
        assert kind is not list or all(type(v) is float for v in values[p.name])
    changes = {p.name for p in parameters() if getattr(Config(**values), p.name) != p.default}
    assert changes == set(manual.USES[use][1])


def test_every_parameter_has_a_comment():
    lines = manual.yaml("bipointnet").splitlines()
    for p in parameters():
        place = next(i for i, line in enumerate(lines) if line.startswith(f"    {p.name}:"))
        assert lines[place - 1].startswith("    # ")
        assert p.description.split(",")[0].split(";")[0][:40] in manual.page()
