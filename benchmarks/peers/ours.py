"""This engine, in its worst case: limits that no point reaches in the pooling layer."""

from __future__ import annotations

from bipointnet_ros import bench
from bipointnet_ros.core import kernels, model_file
from bipointnet_ros.core.network import Network

SUFFIX = ".safetensors"


def save(path, clouds: int, rows: int):
    model_file.write(path, bench.worst_case(rows))


def forward(path, clouds, threads: int, backend: str = "auto"):
    network = Network(model_file.read(path), kernels.choose(backend), threads)
    return lambda: network.classify(clouds)
