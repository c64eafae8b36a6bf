"""bipointnet bench: its rows, its worst case, and that calls are measured in turn."""

import json

import fabricate
import numpy as np
import pytest

from bipointnet_ros import bench, cli
from bipointnet_ros.core import kernels
from bipointnet_ros.core.blueprint import vanilla
from bipointnet_ros.core.network import Network

KEYS = ["name", "backend", "threads", "points", "batch", "ms_min", "ms_median"]


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Clouds of 70 points and a scan of 600, once each, on a machine of two cores."""
    rng = np.random.default_rng(0)
    xyz = rng.uniform((-20, -20, 0), (20, 20, 3), (600, 3)).astype(np.float32)
    np.savez(tmp_path / "scan.npz", xyz=xyz, offsets=[0, 600], classes=np.array(["ground"]))
    monkeypatch.setattr(bench.share, "path", lambda name: tmp_path / "scan.npz")
    monkeypatch.setattr(bench, "physical_cores", lambda: 2)
    monkeypatch.setattr(bench, "QUICK", bench.Effort((70,), (1, 2), 0.0, 1))


def test_json_has_a_row_for_every_backend_size_and_number_of_threads(small, capsys):
    assert cli.main(["bench", "--quick", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert list(answer) == ["machine", "rows"] and answer["machine"]["cores"] == 2
    seen = {(r["name"], r["backend"], r["threads"], r["points"], r["batch"]) for r in answer["rows"]}
    assert len(seen) == len(answer["rows"])
    for row in answer["rows"]:
        assert list(row) == KEYS and 0 < row["ms_min"] <= row["ms_median"]
    for backend in kernels.available():
        for threads in (1, 2) if backend != "numpy" else (1,):
            assert (bench.SCAN, backend, threads, 600, 1) in seen
            assert (f"{bench.SCAN}: network", backend, threads, 600, 1) in seen
            for batch in (1, 2) if backend != "numpy" else (1,):
                assert (bench.VANILLA, backend, threads, 70, batch) in seen


def test_the_table_has_a_line_for_every_row(small, capsys):
    assert cli.main(["bench", "--quick"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "cores 2" in lines[0] and len(lines) == 2 + len(list(bench.rows(bench.QUICK)))


def test_progress_comes_to_its_end(small):
    told = []
    list(bench.rows(bench.QUICK, lambda done, of: told.append((done, of))))
    assert told == [(i, 6) for i in range(1, 7)]


@pytest.mark.parametrize("backend", kernels.available())
def test_in_the_worst_case_no_point_fires_in_the_pooling_layer(backend):
    """So the logits are those of an empty code, whatever the cloud; another model's are not."""
    clouds = np.random.default_rng(0).normal(size=(2, 300, 3)).astype(np.float32)
    worst, other = (Network(m, kernels.choose(backend)) for m in (bench.worst_case(300), _other()))
    a, b = worst.classify(clouds)
    assert np.array_equal(a, b)
    a, b = other.classify(clouds)
    assert not np.array_equal(a, b)


def _other():
    return fabricate.model(vanilla(bench.CLASSES), points=300)


def test_calls_are_made_in_turn_until_each_has_had_enough(monkeypatch):
    made, now = [], [0.0]
    monkeypatch.setattr(bench.time, "perf_counter", lambda: now[0])

    def call(name, seconds):
        def run():
            made.append(name)
            now[0] += seconds

        return run

    effort = bench.Effort((), (), 0.25, 2)
    times = bench.measured({"slow": call("slow", 1.0), "fast": call("fast", 0.1)}, effort)
    assert times == {"slow": pytest.approx([1000, 1000]), "fast": pytest.approx([100, 100, 100])}
    assert made == ["slow", "fast"] * 3 + ["fast"]  # the first of each warms up


def test_a_call_of_no_time_ends():
    assert len(bench.measured({"nothing": lambda: None}, bench.Effort(seconds=60))["nothing"]) == bench.MOST_CALLS
