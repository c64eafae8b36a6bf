"""A forward as the engine runs it (its programs, arrays and weights), written down for forward.c to run elsewhere."""

from __future__ import annotations

import struct
from types import SimpleNamespace

import numpy as np

from bipointnet_ros.core import kernels
from bipointnet_ros.core.kernels import Native
from bipointnet_ros.core.network import Network
from bipointnet_ros.core.program import OPERATIONS


class Recorder(Native):
    """A backend whose programs are kept instead of run."""

    def __init__(self):
        super().__init__("recorder", None)
        self.programs = []  # (calls with levels, cuts), in the order in which they were run
        self._prepared = {}  # address of a layout -> its place in the file
        self._layouts, self._weights, self._buffers = [], [], {}

    def pool(self, threads):
        return None

    def program(self, calls, cuts, pool=None):
        return lambda: self.programs.append((calls, np.ascontiguousarray(cuts, np.int32)))

    def _bound(self, operation, *arguments):
        if operation == "prepare":
            weight, outputs, inputs, layout = arguments
            self._prepared[id(layout)] = len(self._layouts)
            self._layouts.append(layout)  # its id stays taken
            self._weights.append(struct.pack("<3i", outputs, inputs, weight.nbytes) + weight.tobytes())
            return lambda: None
        return SimpleNamespace(operation=operation, arguments=arguments)

    def file(self, logits: np.ndarray, expected: np.ndarray) -> bytes:
        """All that was recorded, and which array ends as which bytes."""
        programs = b"".join(map(self._program, self.programs))
        answer = self._argument(logits) + struct.pack("<i", expected.nbytes) + expected.tobytes()
        buffers = b"".join(struct.pack("<q", base.nbytes) + base.tobytes() for _, base in self._buffers.values())
        parts = [(len(self._buffers), buffers), (len(self._weights), b"".join(self._weights))]
        parts += [(len(self.programs), programs)]
        return b"".join(struct.pack("<i", count) + data for count, data in parts) + answer

    def _program(self, program) -> bytes:
        calls, cuts = program
        data = struct.pack("<3i", len(calls), *cuts.shape) + cuts.tobytes()
        for call, level in calls:
            operation = OPERATIONS.index(call.operation)
            data += struct.pack("<3i", operation, level, len(call.arguments))
            data += b"".join(map(self._argument, call.arguments))
        return data

    def _argument(self, a) -> bytes:
        """Kind, index and offset: N nothing, I a number, P prepared weights, B an array within a buffer."""
        if a is None:
            return struct.pack("<2iq", ord("N"), 0, 0)
        if not isinstance(a, np.ndarray):
            return struct.pack("<2iq", ord("I"), a, 0)
        if id(a) in self._prepared:
            return struct.pack("<2iq", ord("P"), self._prepared[id(a)], 0)
        base = a
        while isinstance(base.base, np.ndarray):
            base = base.base
        index, _ = self._buffers.setdefault(id(base), (len(self._buffers), base))
        return struct.pack("<2iq", ord("B"), index, a.ctypes.data - base.ctypes.data)


def recorded(model, run) -> bytes:
    """``run(network)`` answers logits; what it does on one thread, and the answer of this machine's best backend."""
    expected = run(Network(model, kernels.choose(), 1)).copy()
    recorder = Recorder()
    logits = run(Network(model, recorder, 1))
    return recorder.file(logits, expected)
