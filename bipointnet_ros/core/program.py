"""Many bound calls as one native call, shared out to threads that wait for it (native/program.h)."""

from __future__ import annotations

import ctypes
import weakref

import numpy as np

from bipointnet_ros.core import library

OPERATIONS = ("lift", "layer", "layer_spans", "distinct", "limits", "dense", "merge", "logits")  # enum bpn_operation
_STEP = np.dtype([("operation", np.int32), ("level", np.int32), ("arguments", np.uint64, 16)])
_ALIGNED = 64  # bytes


class Pool:
    """Threads made once, which sleep when there is nothing to do; they end with the pool.

    ``threads``: how many share the work, the caller's included; fewer than asked for where the system gives no more.
    """

    def __init__(self, threads: int):
        native = library.opened()
        room = np.zeros(native.bpn_pool_bytes(threads) + _ALIGNED, np.uint8)
        self.address = -(-library.address(room) // _ALIGNED) * _ALIGNED
        self.threads = native.bpn_pool_start(self.address, threads)
        weakref.finalize(self, _stop, native, self.address, room)


def _stop(native, address, room):
    """``room`` lives until its threads have ended."""
    native.bpn_pool_stop(address)


class Program:
    """``calls``: bound calls of a native backend, each with the level that its units have; called without arguments.

    cuts (levels, pieces + 1) int32: piece i does the units cuts[level, i]:cuts[level, i + 1] of each call, in order.
    Units are groups of a lift or layer, cells of limits, coarser groups of a merge, rows of a dense or logits. No piece
    may need what another one writes. The answer does not depend on the number of threads.
    """

    def __init__(self, table: int, calls, cuts: np.ndarray, pool: Pool | None):
        self._calls = [call for call, _ in calls]  # they hold the arrays
        self._steps = np.zeros(len(calls), _STEP)
        for step, (call, level) in zip(self._steps, calls):
            step["operation"], step["level"] = OPERATIONS.index(call.operation), level
            step["arguments"][: len(call.args)] = [a or 0 for a in call.args]
        self._cuts, self._pool = np.ascontiguousarray(cuts, np.int32), pool
        pointers = (table, library.address(self._steps), library.address(self._cuts))
        self._program = library.Program(*pointers, len(calls), self._cuts.shape[1] - 1)
        self._run = library.opened().bpn_pool_run

    def __call__(self):
        self._run(self._pool and self._pool.address, ctypes.byref(self._program))
