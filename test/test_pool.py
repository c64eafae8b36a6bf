"""Threads that share a forward: the same answer, no processor time while idle, an end, and a life after fork."""

from __future__ import annotations

import gc
import multiprocessing
import subprocess
import sys
import threading
import time
from pathlib import Path

import fabricate
import numpy as np
import pytest

from bipointnet_ros.core import kernels
from bipointnet_ros.core.blueprint import vanilla
from bipointnet_ros.core.network import Network

ROOT = Path(__file__).resolve().parents[1]
TASKS = Path("/proc/self/task")
NATIVE = [name for name in kernels.available() if name != "numpy"]

pytestmark = pytest.mark.skipif(not NATIVE, reason="the engine is not built")


def network(threads):
    return Network(fabricate.model(vanilla(5, (8, 70, 90, 33, 20)), seed=1), kernels.choose(NATIVE[0]), threads)


def clouds(count, n=600):
    return np.random.default_rng(count).normal(size=(count, n, 3)).astype(np.float32)


@pytest.mark.parametrize("threads", [2, 3, 7])
@pytest.mark.parametrize(("count", "n"), [(1, 1), (1, 4100), (2, 1500), (5, 600), (33, 64), (100, 1)])
def test_any_number_of_threads_gives_the_same_answer(threads, count, n):
    batch, several = clouds(count, n), network(threads)
    want = network(1).classify(batch).copy()
    for _ in range(5):
        np.testing.assert_array_equal(several.classify(batch).view(np.uint32), want.view(np.uint32))


@pytest.mark.skipif(not TASKS.exists(), reason="needs /proc")
def test_threads_end_with_their_network():
    before = len(list(TASKS.iterdir()))
    held = network(4)
    assert held.threads == 4 and len(list(TASKS.iterdir())) == before + 3
    held.classify(clouds(8))
    del held
    gc.collect()
    deadline = time.monotonic() + 10
    while len(list(TASKS.iterdir())) > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(list(TASKS.iterdir())) == before


@pytest.mark.skipif(not TASKS.exists(), reason="needs /proc")
def test_an_idle_pool_takes_no_processor_time():
    held = network(4)
    held.classify(clouds(8))
    time.sleep(0.05)
    start = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - start < 0.1
    assert held.threads == 4


def test_a_child_of_fork_answers_alone():
    """The threads stay behind: it neither waits for them nor ends them."""
    held, batch = network(3), clouds(8)
    want = held.classify(batch).copy()
    context = multiprocessing.get_context("fork")
    receive, send = context.Pipe(duplex=False)

    def child():
        send.send(held.classify(batch))

    process = context.Process(target=child)
    process.start()
    assert receive.poll(30), "the child hangs"
    np.testing.assert_array_equal(receive.recv(), want)
    process.join(30)
    assert process.exitcode == 0
    np.testing.assert_array_equal(held.classify(batch), want)


def test_the_interpreter_ends_with_a_pool_alive():
    script = f"import sys; sys.path.insert(0, {str(ROOT / 'test')!r})\nfrom test_pool import *\n"
    script += "held = network(3); held.classify(clouds(8))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and not done.stderr, done.stderr


def test_other_python_threads_run_meanwhile():
    """The lock of the interpreter is released."""
    held, batch, ticks, over = network(2), clouds(64), [], threading.Event()

    def tick():
        while not over.is_set():
            ticks.append(0)
            time.sleep(0.0005)

    thread = threading.Thread(target=tick)
    thread.start()
    for _ in range(100):
        held.classify(batch)
    over.set()
    thread.join()
    assert len(ticks) > 10


def test_pools_of_several_python_threads_do_not_meet():
    batch, wrong = clouds(9), []
    want = network(1).classify(batch).copy()

    def use():
        own = network(3)
        wrong.extend(not np.array_equal(own.classify(batch), want) for _ in range(200))

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wrong) == 800 and not any(wrong)
