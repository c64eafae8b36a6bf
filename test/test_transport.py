"""What is said when clouds do not come."""

from __future__ import annotations

import os

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytestmark = pytest.mark.ros

from bipointnet_ros.ros.transport import small_shared_memory  # noqa: E402


def test_a_small_shared_memory_is_told(monkeypatch):
    sizes = {"/dev/shm": 64 * 2**20}
    monkeypatch.setattr(os, "statvfs", lambda folder: os.statvfs_result((4096, 4096, sizes[folder] // 4096, *[0] * 7)))
    assert "/dev/shm has 67 MB" in small_shared_memory() and "--shm-size" in small_shared_memory()
    sizes["/dev/shm"] = 2**30
    assert small_shared_memory() == ""


def test_no_shared_memory_at_all_is_nothing_to_tell():
    assert small_shared_memory("/no/such/folder") == ""
