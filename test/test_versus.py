"""make bench, as far as it needs no other engine: our layers one by one, turns, and the page."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
import versus  # noqa: E402
from peers import ours, vanilla  # noqa: E402
from versus_page import page  # noqa: E402

from bipointnet_ros.core import kernels  # noqa: E402

BACKENDS = [name for name in kernels.available() if name != "numpy"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_layer_of_a_forward_is_timed_alone(backend):
    calls = list(versus.bound(kernels.choose(backend), np.random.default_rng(0), 70))
    assert len(calls) == len(vanilla.macs(70))
    for call in calls:
        call()


def test_our_engine_runs_the_same_network(tmp_path):
    clouds = np.random.default_rng(0).normal(size=(2, 70, 3)).astype(np.float32)
    paths = versus.saved({}, tmp_path, 2, 70)
    assert ours.forward(paths["ours"], clouds, 1)().shape == vanilla.logits(clouds).shape
    assert sum(vanilla.macs(1024).values()) == 1024 * (3 * 64 + 64 * 128 + 128 * 1024) + 1024 * 512 + 512 * 256 + 10240


def test_calls_take_turns():
    made = []
    spent = versus.in_turn({name: lambda name=name: made.append(name) for name in "ab"}, 0.0, 1)
    assert made[:3] == ["a", "b", "a"] and made.index("b", 2) > 2
    assert all(0 < row["ms_min"] <= row["ms_median"] for row in spent.values())


def measured(engines: dict) -> dict:
    rows = [{"engine": e, "threads": 1, "points": 1024, "batch": 1, "ms_min": ms} for e, ms in engines.items()]
    scan = [{"engine": e, "threads": 1, "ms_min": ms, "ns_per_point": 1.0} for e, ms in engines.items()]
    return {
        "machine": {"board": "B"},
        "missing": {"LiteRT fp32": "No module named 'ai_edge_litert'"},
        "rows": rows,
        "layers": [{"backend": "neon", "layer": "3-64", "us": 2.0, "gmacs_per_second": 5.0}],
        "segmentation": {"points": 10, "rows": 5, "engines": scan},
        "memory": [{"engine": "neon", "points": 1024, "model_bytes": 9, "library": 2**20, "forward": 2**21}],
    }


def test_the_page_compares_with_the_best_of_each_kind_and_names_who_is_missing():
    text = page(measured({"neon": 0.2, "one 1.0 fp32": 4.0, "two 2.0 fp32": 3.0, "two 2.0 int8": 2.5}))
    assert "| 1,024 | 1 | 1 | 0.2 | 4 | 3 | 2.5 | 15.0 | 12.5 |" in text
    assert "| neon | 1 | 0.2 | 1 | 15.0 |" in text
    assert "**Missing: LiteRT fp32**" in text and "| neon | 9 | 1.0 | 2.0 |" in text


def test_without_peers_the_page_says_so():
    assert "| 1,024 | 1 | 1 | 0.2 | missing | missing |" in page(measured({"neon": 0.2}))
