"""Many clouds from one path: folders, drives in one file; what does not fit is refused."""

import numpy as np
import pytest

from bipointnet_ros.arrays import FileError
from bipointnet_ros.recordings import clouds


def test_a_drive_is_split_and_in_metres(tmp_path):
    """Three clouds of 4, 0 and 5 points in centimetres."""
    rng = np.random.default_rng(0)
    arrays = {"xyz_cm": rng.integers(-3000, 3000, (9, 3)).astype(np.int16), "offsets": np.array([0, 4, 4, 9], np.int32)}
    np.savez(tmp_path / "drive.npz", **arrays, intensity=np.arange(9, dtype=np.uint8), stamp=np.arange(3.0))
    got = list(clouds(tmp_path / "drive.npz"))
    assert [len(c.xyz) for c in got] == [4, 0, 5] and [c.name for c in got] == [f"drive.00000{i}" for i in range(3)]
    np.testing.assert_array_equal(np.concatenate([c.xyz for c in got]), arrays["xyz_cm"] / np.float32(100))
    np.testing.assert_array_equal(got[2].intensity, np.arange(4, 9))


def test_a_folder_is_read_by_name(tmp_path):
    for name, n in (("b", 2), ("a", 3)):
        np.save(tmp_path / f"{name}.npy", np.ones((n, 4), np.float32))
    (tmp_path / "notes.txt").write_text("not a cloud")
    assert [(c.name, len(c.xyz)) for c in clouds(tmp_path)] == [("a", 3), ("b", 2)]


def test_an_empty_folder_and_a_missing_file(tmp_path):
    for path in (tmp_path, tmp_path / "none.pcd"):
        with pytest.raises(FileError):
            list(clouds(path))


@pytest.mark.parametrize("offsets", ([0, 4, 3, 9], [0, 4, 10], [1, 9], [9], [[0, 9]], [0.0, 9.0]), ids=str)
def test_wrong_offsets_are_refused(tmp_path, offsets):
    np.savez(tmp_path / "d.npz", xyz=np.zeros((9, 3), np.float32), offsets=np.array(offsets))
    with pytest.raises(FileError, match="offsets that rise from 0 to 9"):
        list(clouds(tmp_path / "d.npz"))
