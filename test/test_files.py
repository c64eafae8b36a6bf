"""Clouds in every format read right, broken files refused with one sentence, and what we write read back."""

from pathlib import Path

import numpy as np
import pytest

from bipointnet_ros import files
from bipointnet_ros.arrays import FileError
from bipointnet_ros.core.pipeline import Result

DATA = Path(__file__).parent / "data"
RNG = np.random.default_rng(0)
XYZ = RNG.normal(size=(50, 3)).astype(np.float32)
INTENSITY = RNG.random(50).astype(np.float32)
PCD = """VERSION 0.7
FIELDS {f}
SIZE {s}
TYPE {t}
COUNT {c}
WIDTH {n}
HEIGHT 1
VIEWPOINT 0 0 0 1 0 0 0
POINTS {n}
DATA {d}
"""


def pcd(body: bytes, n, f="x y z", s="4 4 4", t="F F F", c="1 1 1", d="binary") -> bytes:
    return PCD.format(f=f, s=s, t=t, c=c, n=n, d=d).encode() + body


def check(path, intensity=INTENSITY):
    xyz, found = files.read_cloud(path)
    assert xyz.dtype == np.float32 and xyz.flags.c_contiguous
    np.testing.assert_array_equal(xyz, XYZ)
    if intensity is None:
        assert found is None
    else:
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, intensity)


def refused(path, *words):
    with pytest.raises(FileError) as caught:
        files.read_cloud(path)
    sentence = str(caught.value)
    assert "\n" not in sentence and len(sentence) < 400 and Path(path).name in sentence
    for word in words:
        assert word in sentence


def test_npy_columns_fields_and_order(tmp_path):
    path = tmp_path / "cloud.npy"
    np.save(path, XYZ.astype(np.float64))
    check(path, None)
    np.save(path, np.asfortranarray(np.column_stack([XYZ, INTENSITY])))
    check(path)
    fields = np.zeros(50, [("intensity", "<f8"), ("z", "<f4"), ("y", ">f4"), ("x", "<f4")])
    fields["x"], fields["y"], fields["z"] = XYZ.T
    fields["intensity"] = INTENSITY
    np.save(path, fields)
    check(path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path, save):
    path = tmp_path / "cloud.npz"
    save(path, xyz=XYZ, intensity=INTENSITY, other=np.array(["text"]))
    check(path)
    save(path, points=XYZ)
    check(path, None)


def test_kitti_bin(tmp_path):
    path = tmp_path / "000000.bin"
    path.write_bytes(np.column_stack([XYZ, INTENSITY]).astype("<f4").tobytes())
    check(path)
    path.write_bytes(b"")
    assert files.read_cloud(path)[0].shape == (0, 3)


@pytest.mark.parametrize("encoding", ["ascii", "binary", "compressed"])
def test_pcd_of_another_writer(encoding):
    xyz, intensity = files.read_cloud(DATA / f"open3d_{encoding}.pcd")
    np.testing.assert_allclose(
        xyz[[0, -1]], [[0.680766, 1.059143, 0.230594], [0.820798, 0.845340, 0.063956]], atol=1e-6
    )
    assert xyz.shape == (400, 3)
    np.testing.assert_array_equal(intensity, np.arange(400) % 7)
    np.testing.assert_array_equal(xyz, files.read_cloud(DATA / "open3d_binary.pcd")[0])


def test_pcd_with_other_fields_types_counts_and_padding(tmp_path):
    kinds = [("intensity", "u1"), ("_", "u1", (3,)), ("z", "<f4"), ("x", "<f8"), ("y", "<f4"), ("shape", "<i2", (5,))]
    rows = np.zeros(50, kinds)
    rows["x"], rows["y"], rows["z"] = XYZ.T
    rows["intensity"] = np.arange(50)
    path = tmp_path / "cloud.pcd"
    header = {"f": "intensity _ z x y shape", "s": "1 1 4 8 4 2", "t": "U U F F F I", "c": "1 3 1 1 1 5"}
    path.write_bytes(b"# a comment\n" + pcd(rows.tobytes(), 50, **header))
    check(path, np.arange(50))


def test_pcd_ascii_with_nan(tmp_path):
    path = tmp_path / "cloud.pcd"
    path.write_bytes(pcd(b"1 2.5 nan\n-1e3 0 7\n", 2, d="ascii"))
    np.testing.assert_array_equal(files.read_cloud(path)[0], [[1, 2.5, np.nan], [-1000, 0, 7]])


def test_pcd_lzf_repeats_what_it_just_wrote(tmp_path):
    """Ten zeros from one literal and one copy at distance 1; 26 more by the long form (7 + 17 + 2)."""
    packed = bytes([0, 0]) + bytes([7 << 5, 0, 0]) + bytes([7 << 5, 17, 0])
    body = np.array([len(packed), 36], "<u4").tobytes() + packed
    path = tmp_path / "cloud.pcd"
    path.write_bytes(pcd(body, 3, d="binary_compressed"))
    np.testing.assert_array_equal(files.read_cloud(path)[0], np.zeros((3, 3)))


PLY_KINDS = {"f4": "float", "f8": "double", "u1": "uchar", "i2": "int16", "u4": "uint"}
PLY_XYZ = (("x", "f4"), ("y", "f4"), ("z", "f4"))


def ply(
    body: bytes, n, properties=(("x", "f4"), ("y", "f4"), ("z", "f4")), form="binary_little_endian", before="", after=""
):
    lines = ["ply", f"format {form} 1.0", "comment end_header is a word", *before.split("/"), f"element vertex {n}"]
    lines += [f"property {PLY_KINDS.get(kind, kind)} {name}" for name, kind in properties]
    return "\n".join([*filter(None, [*lines, *after.split("/")]), "end_header\n"]).encode() + body


PLY_XYZI = (("red", "u1"), ("z", "f4"), ("x", "f8"), ("scalar_Intensity", "f4"), ("y", "f4"), ("ring", "i2"))
BEFORE = "element camera 2/property double view/property uchar kind"
AFTER = "element face 1/property list uchar int vertex_indices"


@pytest.mark.parametrize("form", ["binary_little_endian", "binary_big_endian", "ascii"])
@pytest.mark.parametrize(("before", "after"), [("", ""), (BEFORE, AFTER)], ids=["alone", "among others"])
def test_ply_with_other_properties_and_elements(tmp_path, form, before, after):
    order = ">" if form == "binary_big_endian" else "<"
    rows = np.zeros(50, [(name, order + kind) for name, kind in PLY_XYZI])
    rows["x"], rows["y"], rows["z"] = XYZ.T
    rows["scalar_Intensity"], rows["ring"] = INTENSITY, np.arange(50)
    if form == "ascii":
        body = "".join(" ".join(repr(v.item()) for v in row) + "\n" for row in rows).encode()
        skipped = b"1.5 2\n-3 4\n" if before else b""
    else:
        body, skipped = rows.tobytes(), b"\xff" * 18 if before else b""
    path = tmp_path / "cloud.ply"
    path.write_bytes(ply(skipped + body + b"3 0 1 2\n", 50, PLY_XYZI, form, before, after))
    check(path)


def test_ply_of_another_system(tmp_path):
    header, body = ply(b"", 50).replace(b"\n", b"\r\n"), XYZ.tobytes()
    (tmp_path / "cloud.ply").write_bytes(header + body)
    check(tmp_path / "cloud.ply", None)


HOSTILE_PLY = {
    "empty": b"",
    "not a ply": b"hello, world",
    "no end": b"ply\nformat ascii 1.0\nelement vertex 1\n" + b"comment x\n" * 20_000,
    "no format": ply(XYZ.tobytes(), 50).replace(b"format", b"former"),
    "unknown format": ply(XYZ.tobytes(), 50, form="zstd"),
    "truncated": ply(XYZ.tobytes()[:-1], 50),
    "truncated, ascii": ply(b"1 2 3 4 5", 2, form="ascii"),
    "absurd count": ply(XYZ.tobytes(), 999_999_999_999),
    "absurd count, ascii": ply(b"1 2 3\n", 999_999_999_999, form="ascii"),
    "absurd count before": ply(XYZ.tobytes(), 50, before="element a 999999999999/property double b"),
    "too long a number": ply(XYZ.tobytes(), "9" * 5000),
    "negative count": ply(XYZ.tobytes(), -50),
    "words": ply(b"1 2 three\n", 1, form="ascii"),
    "unknown type": ply(XYZ.tobytes(), 50, (("x", "f4"), ("y", "half"), ("z", "f4"))),
    "no type": ply(XYZ.tobytes(), 50).replace(b"property float x", b"property x"),
    "no vertex": ply(XYZ.tobytes(), 50).replace(b"vertex", b"point"),
    "no properties": ply(XYZ.tobytes(), 50, ()),
    "no x": ply(XYZ.tobytes(), 50, (("a", "f4"), ("y", "f4"), ("z", "f4"))),
    "x twice": ply(XYZ.tobytes(), 50, (("x", "f4"), ("x", "f4"), ("z", "f4"))),
    "a list of x": ply(XYZ.tobytes(), 50, (("x", "list uchar float"), ("y", "f4"), ("z", "f4"))),
    "a list before": ply(XYZ.tobytes(), 50, before="element face 1/property list uchar int i"),
    "property first": ply(XYZ.tobytes(), 50, before="property float x"),
}


@pytest.mark.parametrize("case", HOSTILE_PLY)
def test_hostile_ply(tmp_path, case):
    path = tmp_path / "hostile.ply"
    path.write_bytes(HOSTILE_PLY[case])
    refused(path)


LZF = np.array([4, 36], "<u4").tobytes()
HOSTILE_PCD = {
    "no DATA line": b"VERSION 0.7\nFIELDS x y z\n",
    "no newline": b"x" * 200_000,
    "truncated": pcd(XYZ.tobytes()[:-1], 50),
    "absurd count": pcd(XYZ.tobytes(), 999_999_999_999),
    "absurd count, ascii": pcd(b"1 2 3\n", 999_999_999_999, d="ascii"),
    "too long a number": pcd(XYZ.tobytes(), "9" * 5000),
    "negative count": pcd(XYZ.tobytes(), -50),
    "words": pcd(b"1 2 three\n", 1, d="ascii"),
    "unknown encoding": pcd(XYZ.tobytes(), 50, d="zstd"),
    "unknown type": pcd(XYZ.tobytes(), 50, t="F F X"),
    "unknown size": pcd(XYZ.tobytes(), 50, s="4 4 3"),
    "absurd size": pcd(XYZ.tobytes(), 50, c="1 1 999999999"),
    "fewer sizes": pcd(XYZ.tobytes(), 50, s="4 4"),
    "no x": pcd(XYZ.tobytes(), 50, f="a y z"),
    "three x a point": pcd(b"\0" * 2000, 50, c="3 1 1"),
    "LZF without sizes": pcd(b"\0\0", 3, d="binary_compressed"),
    "LZF too short": pcd(LZF + b"\0\0\0\0", 3, d="binary_compressed"),
    "LZF before its beginning": pcd(LZF + b"\x20\xff\0\0", 3, d="binary_compressed"),
    "LZF ends inside a code": pcd(LZF + b"\0\0\0\xe0", 3, d="binary_compressed"),
    "LZF bomb": pcd(np.array([4, 2**31], "<u4").tobytes() + b"\0\0\xe0\0", 2**27, d="binary_compressed"),
    "empty": b"",
}


@pytest.mark.parametrize("case", HOSTILE_PCD)
def test_hostile_pcd(tmp_path, case):
    path = tmp_path / "hostile.pcd"
    path.write_bytes(HOSTILE_PCD[case])
    refused(path)


def npy_header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


HOSTILE_NPY = {
    "empty": b"",
    "not numpy": b"hello, world, this is text",
    "header cut": npy_header("{'descr': '<f4', 'fortran_order': False, 'shape': (5, 3)}\n")[:30],
    "data cut": npy_header("{'descr': '<f4', 'fortran_order': False, 'shape': (5, 3)}\n") + b"\0" * 59,
    "absurd shape": npy_header("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999, 3)}\n") + b"\0" * 60,
    "negative shape": npy_header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 3)}\n") + b"\0" * 60,
    "no bytes an item": npy_header("{'descr': '<U0', 'fortran_order': False, 'shape': (99999999999999, 3)}\n"),
    "deep header": npy_header("(" * 5000),
    "objects": npy_header("{'descr': '|O', 'fortran_order': False, 'shape': (5, 3)}\n") + b"\0" * 200,
    "version 9": b"\x93NUMPY\x09\x00" + b"\0" * 100,
    "code": npy_header("{'descr': __import__('os'), 'fortran_order': False, 'shape': (5, 3)}\n"),
}


@pytest.mark.parametrize("case", HOSTILE_NPY)
def test_hostile_npy(tmp_path, case):
    path = tmp_path / "hostile.npy"
    path.write_bytes(HOSTILE_NPY[case])
    refused(path)


@pytest.mark.parametrize("shape", [(5,), (5, 2), (5, 7), (2, 5, 3)])
def test_npy_of_another_shape(tmp_path, shape):
    np.save(tmp_path / "cloud.npy", np.zeros(shape))
    refused(tmp_path / "cloud.npy", "(N, 3) or (N, 4)")


@pytest.mark.parametrize("write", ["npy", "npz", "pcd", "ply", "bin"])
def test_damaged_files_give_a_file_error_or_a_cloud(tmp_path, write):
    """300 flips and cuts of a good file of each kind: a cloud or a FileError, nothing else."""
    good = tmp_path / f"good.{write}"
    if write == "npy":
        np.save(good, XYZ)
    elif write == "npz":
        np.savez_compressed(good, xyz=XYZ, intensity=INTENSITY)
    elif write == "pcd":
        good.write_bytes((DATA / "open3d_compressed.pcd").read_bytes())
    elif write == "ply":
        good.write_bytes(ply(XYZ.tobytes(), 50))
    else:
        good.write_bytes(np.column_stack([XYZ, INTENSITY]).tobytes())
    data, rng, refusals = good.read_bytes(), np.random.default_rng(1), 0
    bad = tmp_path / f"bad.{write}"
    for i in range(300):
        damaged = bytearray(data[: rng.integers(len(data))] if i % 3 == 0 else data)
        for at in rng.integers(len(damaged), size=i % 5) if damaged else ():
            damaged[at if i % 2 else at % 200 % len(damaged)] = rng.integers(256)
        bad.write_bytes(damaged)
        try:
            assert files.read_cloud(bad)[0].shape[1] == 3
        except FileError as error:
            refusals += 1
            assert "\n" not in str(error)
    assert refusals > 50


def test_missing_and_unknown_files(tmp_path):
    for suffix in ("npy", "npz", "pcd", "ply", "bin"):
        refused(tmp_path / f"none.{suffix}", "No such file")
    refused(tmp_path / "cloud.las", ".npy, .npz, .pcd, .ply, .bin")
    np.savez(tmp_path / "cloud.npz", cloud=XYZ)
    refused(tmp_path / "cloud.npz", "'xyz'")
    np.savez(tmp_path / "cloud.npz", xyz=XYZ, intensity=INTENSITY[:-1])
    refused(tmp_path / "cloud.npz", "intensity (50)")
    (tmp_path / "cloud.bin").write_bytes(b"\0" * 33)
    refused(tmp_path / "cloud.bin", "33 bytes")
    (tmp_path / "folder.npy").mkdir()
    refused(tmp_path / "folder.npy")


def result(n: int) -> Result:
    label = np.array([0, 1, 2] * n, np.uint16)[:n]
    confidence = np.linspace(0, 1, n, dtype=np.float32)
    return Result(label, np.arange(n, dtype=np.uint32), confidence, (), {}, n)


def test_labels_written_are_read_back(tmp_path):
    answer = result(50)
    npz, coloured = files.write_labels(
        tmp_path / "new" / "folder", "scan.7", XYZ, INTENSITY, answer, ("ground", "vehicle")
    )
    assert (npz.name, coloured.name) == ("scan.7.labels.npz", "scan.7.labeled.ply")
    check(npz)
    check(coloured)
    with np.load(npz) as arrays:
        assert arrays["classes"].tolist() == ["ground", "vehicle"]
        for name in ("label", "instance", "confidence"):
            assert arrays[name].dtype == getattr(answer, name).dtype
            np.testing.assert_array_equal(arrays[name], getattr(answer, name))


def test_ply_says_what_it_holds(tmp_path):
    _, path = files.write_labels(tmp_path, "scan", XYZ, None, result(50), ("ground", "vehicle"))
    header, _, body = path.read_bytes().partition(b"end_header\n")
    lines = header.decode().splitlines()
    assert lines[:3] == ["ply", "format binary_little_endian 1.0", "element vertex 50"]
    kinds = {"float": "<f4", "uchar": "u1", "ushort": "<u2", "uint": "<u4"}
    rows = np.frombuffer(body, [(name, kinds[kind]) for _, kind, name in (line.split() for line in lines[3:])])
    np.testing.assert_array_equal(np.stack([rows["x"], rows["y"], rows["z"]], 1), XYZ)
    np.testing.assert_array_equal(rows["label"], result(50).label)
    np.testing.assert_array_equal(rows["instance"], result(50).instance)
    colour = {(int(r["label"]), int(r["red"]), int(r["green"]), int(r["blue"])) for r in rows}
    assert colour == {(0, 120, 120, 120), (1, 140, 108, 78), (2, 235, 80, 60)}


def test_an_unwritable_folder_is_one_sentence(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileError, match="cannot write to"):
        files.write_labels(tmp_path / "file", "scan", XYZ, None, result(50), ("ground", "vehicle"))
