"""Resident memory of one engine in a process of its own: python memory.py MODULE MODEL ROWS [BACKEND] -> bytes, JSON.

``library`` is what importing it takes, ``forward`` the growth from there to the peak while one cloud is answered.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parents[1]


def resident(which: str = "VmRSS") -> int:
    return int(re.search(rf"{which}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024


def main(module: str, model: str, rows: str, *backend: str):
    cloud = np.random.default_rng(1).normal(size=(1, int(rows), 3)).astype(np.float32)
    bare = resident()
    engine = importlib.import_module(f"peers.{module}")
    imported = resident()
    call = engine.forward(Path(model), cloud, 1, *backend)
    for _ in range(3):
        call()
    print(json.dumps({"library": imported - bare, "forward": resident("VmHWM") - imported}))


if __name__ == "__main__":
    sys.path[:0] = [str(FOLDER), str(FOLDER.parent)]
    main(*sys.argv[1:])
