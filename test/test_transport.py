"""What is said when clouds do not come."""

from __future__ import annotations

import inspect
import os
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytestmark = pytest.mark.ros

from bipointnet_ros.ros import transport  # noqa: E402
from bipointnet_ros.ros.transport import small_shared_memory  # noqa: E402


def test_a_small_shared_memory_is_told(monkeypatch):
    sizes = {"/dev/shm": 64 * 2**20}
    monkeypatch.setattr(os, "statvfs", lambda folder: os.statvfs_result((4096, 4096, sizes[folder] // 4096, *[0] * 7)))
    assert "/dev/shm has 67 MB" in small_shared_memory() and "--shm-size" in small_shared_memory()
    sizes["/dev/shm"] = 2**30
    assert small_shared_memory() == ""


def test_the_remedy_is_that_of_the_middleware(monkeypatch):
    for middleware, remedy in (
        ("rmw_fastrtps_cpp", "Fast DDS profile config/fastdds_large_clouds.xml"),
        ("rmw_cyclonedds_cpp", "raise net.core.rmem_max and set CYCLONEDDS_URI to config/cyclonedds_large_clouds.xml"),
        ("rmw_zenoh_cpp", "see how rmw_zenoh_cpp is told"),
    ):
        monkeypatch.setattr(transport, "get_rmw_implementation_identifier", lambda: middleware)  # noqa: B023
        said = transport.lost_clouds("/points", 0.42)
        assert said.startswith("about 42% of the clouds on '/points' do not arrive") and remedy in said
    monkeypatch.setattr(os, "statvfs", None)  # only Fast DDS is asked about: others do not use /dev/shm
    assert small_shared_memory() == ""


def test_the_files_that_the_remedies_name_are_there_and_well_formed():
    folder = Path(__file__).resolve().parents[1] / "config"
    for name in re.findall(r"config/(\w+\.xml)", inspect.getsource(transport)):
        assert ElementTree.parse(folder / name)
    (buffer,) = (e for e in ElementTree.parse(folder / "cyclonedds_large_clouds.xml").iter() if e.attrib.get("max"))
    assert buffer.tag.endswith("}SocketReceiveBufferSize")
    assert "min" not in buffer.attrib  # Cyclone would not start where the kernel gives less


def test_no_shared_memory_at_all_is_nothing_to_tell():
    assert small_shared_memory("/no/such/folder") == ""
