"""The command: what it prints, what it writes, and one line with status 2 for whatever is wrong."""

import json
import subprocess
import sys

import fabricate
import numpy as np
import pytest

from bipointnet_ros import cli
from bipointnet_ros.core import model_file
from bipointnet_ros.core.blueprint import Grid, cell_classifier, cell_segmenter, vanilla

CLASSES = ("ground", "structure", "vehicle")


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A folder with a segmenter, a classifier, a cloud, objects and scenes, in which the command runs."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    segmenter = fabricate.model(cell_segmenter(("height", "range"), 3, Grid(0.2, (4, 12)), width=64), points=500)
    segmenter.training["seed"] = 7
    object.__setattr__(segmenter, "classes", CLASSES)
    model_file.write("seg.safetensors", segmenter)
    model_file.write("cls.safetensors", fabricate.model(vanilla(2, (64, 64, 128, 64, 64)), points=32))
    xyz = rng.uniform(-20, 20, (4000, 3)).astype(np.float32)
    np.save("cloud.npy", xyz)
    label = rng.integers(0, 3, 4000).astype(np.uint8)
    np.savez("scenes.npz", xyz=xyz, offsets=[0, 1500, 4000], label=label, classes=np.array(CLASSES))
    points = rng.normal(size=(6, 32, 3)).astype(np.float32)
    np.savez("objects.npz", points=points, labels=np.arange(6) % 2, classes=np.array(["class0", "class1"]))
    return tmp_path


def run(capsys, *arguments):
    """Exit status, standard output, standard error."""
    try:
        status = cli.main(list(arguments))
    except SystemExit as stop:
        status = stop.code
    return (status, *capsys.readouterr())


def test_label_writes_files_and_one_line(work, capsys):
    status, out, err = run(capsys, "label", "cloud.npy", "--model", "seg.safetensors", "--out", "new")
    assert (status, err) == (0, "") and len(out.splitlines()) == 1
    assert "4000 points" in out and "new/cloud.labels.npz" in out
    assert (work / "new/cloud.labels.npz").is_file() and (work / "new/cloud.labeled.ply").is_file()


def test_label_defaults_to_the_current_folder_and_speaks_json(work, capsys):
    status, out, err = run(capsys, "label", "cloud.npy", "--model", "seg.safetensors", "--json", "--backend", "numpy")
    answer = json.loads(out)
    assert (status, err) == (0, "") and answer["points"] == 4000 and sum(answer["labels"].values()) == 4000
    assert list(answer["labels"]) == ["unknown", *CLASSES]
    assert answer["written"] == ["cloud.labels.npz", "cloud.labeled.ply"]
    with np.load("cloud.labels.npz") as written:
        things = {int(i) for i in written["instance"]} - {0}
    assert things == {thing["instance"] for thing in answer["objects"]}
    for thing in answer["objects"]:
        assert thing["name"] == "vehicle" and len(thing["centre"]) == len(thing["size"]) == 3


def test_parameters_of_the_node_are_taken_as_ros2_takes_them(work, capsys):
    near = ("-p", "range_max:=10.0", "--param", "ego_max:=[1.0, 2.0, 3.0]", "-p", "ego_min:=[-1.0, -2.0, -3.0]")
    for form in (near, (*near, "-p", "track:=false", "-p", "split:=cloud")):
        status, out, err = run(capsys, "label", "cloud.npy", "--model", "seg.safetensors", "--json", *form)
        assert (status, err) == (0, "")
        distance = np.linalg.norm(xyz := np.load("cloud.npy"), axis=1)
        ego = (np.abs(xyz) <= [1.0, 2.0, 3.0]).all(1)
        assert json.loads(out)["labels"]["unknown"] == ((distance > 10.0) | (distance < 0.5) | ego).sum()


def test_eval_of_scenes_ends_with_json(work, capsys):
    status, out, err = run(capsys, "eval", "--data", "scenes.npz", "--model", "seg.safetensors")
    table, _, last = out.rstrip("\n").rpartition("\n")
    scores = json.loads(last)
    assert (status, err) == (0, "")
    keys = "task model backend n overall_accuracy mean_class_accuracy ms_per_cloud iou miou coverage rule_miou"
    assert set(keys.split()) <= set(scores) and scores["n"] == 2
    assert all(name in table for name in (*CLASSES, "miou", "not averaged"))
    assert 0 < scores["overall_accuracy"] < 1 and scores["coverage"] > 0.99


def test_eval_of_several_sets_puts_them_side_by_side(work, capsys):
    arrays = dict(np.load("scenes.npz"))
    box = {"boxes": np.float32([[5, 0, 0, 4, 2, 1, 0]]), "box_frame": [1], "box_class": [2]}
    np.savez("boxed.npz", **arrays, **box)
    status, out, err = run(capsys, "eval", "--data", "scenes.npz", "boxed.npz", "--model", "seg.safetensors")
    lines = out.splitlines()
    sets = json.loads(lines[-1])["sets"]
    assert (status, err) == (0, "") and list(sets) == ["scenes", "boxed"]
    assert "boxes" not in sets["scenes"] and {row["class"] for row in sets["boxed"]["boxes"]} == {"vehicle", "person"}
    assert lines[-4].startswith("set ") and lines[-3].startswith("scenes ") and lines[-2].startswith("boxed ")
    assert "rule_miou" in lines[-4] and "vehicle" in lines[-4]


def test_eval_of_objects_as_json_only(work, capsys):
    status, out, err = run(capsys, "eval", "--data", "objects.npz", "--model", "cls.safetensors", "--json")
    scores = json.loads(out)
    assert (status, err) == (0, "") and scores["n"] == 6 and set(scores["accuracy"]) == {"class0", "class1"}
    assert 0 <= scores["overall_accuracy"] <= 1 and scores["ms_per_cloud"] > 0


def test_info(work, capsys):
    status, out, err = run(capsys, "info", "seg.safetensors")
    assert (status, err) == (0, "")
    facts = ("segmentation", "1 ground, 2 structure, 3 vehicle", "voxels of 0.2 m", "0.8, 2.4 m", "scratch", "seed: 7")
    for fact in (*facts, "licence: Apache-2.0"):
        assert fact in out


def test_info_of_a_classifier_over_cells(work, capsys):
    model_file.write("objects.safetensors", fabricate.model(cell_classifier(("x", "near_line"), 2, Grid(0.2, (3,)))))
    status, out, err = run(capsys, "info", "objects.safetensors")
    assert (status, err) == (0, "") and "voxels of 0.2 radii, cells of 0.6 radii" in out and "near_line" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", "required"),
        ("lable", "invalid choice: 'lable'"),
        ("label", "FILE"),
        ("label none.npy --model seg.safetensors", "'none.npy': No such file"),
        ("label cloud.las --model seg.safetensors", ".npy, .npz, .pcd, .ply, .bin"),
        ("label seg.safetensors --model seg.safetensors", "expected a cloud"),
        ("label cloud.npy --model none.safetensors", "no model 'none.safetensors'"),
        ("label cloud.npy --model cloud.npy", "not a usable model"),
        ("label cloud.npy --model seg.safetensors --backend mmx", "'mmx'"),
        ("label cloud.npy cloud.npy --model seg.safetensors", "2 inputs"),
        ("label cloud.npy --model seg.safetensors --out cloud.npy", "cannot write"),
        ("label . --model seg.safetensors --bag new", "not a bag"),
        ("label cloud.npy --model seg.safetensors --bag new", "not a bag"),
        ("label cloud.npy --model seg.safetensors --topic /points", "--topic"),
        ("label a.mcap b.mcap --model seg.safetensors --bag new", "expected one bag with --bag, got 2"),
        ("label a.mcap --model seg.safetensors --bag new --out here", "not allowed with"),
        ("label old.bag --model seg.safetensors", "rosbags-convert"),
        ("eval --model seg.safetensors", "--data"),
        ("eval --data cloud.npy --model seg.safetensors", "cloud.npy"),
        ("eval --data objects.npz --model seg.safetensors", "expected scenes"),
        ("eval --data scenes.npz --model cls.safetensors", "expected objects"),
        ("label cloud.npy --model seg.safetensors -p range_mx:=9.0", "did you mean 'range_max'"),
        ("label cloud.npy --model seg.safetensors -p range_max=9.0", "expected NAME:=VALUE, got 'range_max=9.0'"),
        ("label cloud.npy --model seg.safetensors -p range_max:=far", "range_max must be a number, got 'far'"),
        ("eval --data scenes.npz --model seg.safetensors -p further_looks:=9", "further_looks must be -1.0 to 7.0"),
        ("info", "MODEL"),
        ("info none", "no model 'none'"),
    ],
)
def test_whatever_is_wrong_is_one_line_and_status_2(work, capsys, arguments, words):
    status, out, err = run(capsys, *arguments.split())
    assert status == 2 and out == ""
    assert err.startswith("bipointnet") and err.count("\n") == 1 and words in err


def test_bags_are_read_and_written(work, capsys):
    bagged = pytest.importorskip("bagged", reason="needs the rosbags library")
    xyz = np.load("cloud.npy")
    bagged.write(work / "drive", [(xyz, xyz[:, 0])] * 2, topics=("/front", "/rear"))
    status, out, err = run(capsys, "label", "drive", "--model", "seg.safetensors", "--topic", "/rear", "--json")
    answers = [json.loads(line) for line in out.splitlines()]
    assert (status, err) == (0, "") and [a["points"] for a in answers] == [4000, 4000]
    assert answers[1]["file"] == "drive[1] /rear" and answers[1]["written"][0] == "drive.000001.labels.npz"
    status, out, err = run(capsys, "label", "drive", "--model", "seg.safetensors", "--topic", "/rear", "--bag", "new")
    assert (status, err) == (0, "") and out.count("wrote new\n") == 2 and (work / "new/metadata.yaml").is_file()
    for arguments, words in (((), "/front, /rear"), (("--topic", "/rear", "--bag", "new"), "'new' exists")):
        status, out, err = run(capsys, "label", "drive", "--model", "seg.safetensors", *arguments)
        assert status == 2 and words in err and err.count("\n") == 1


def test_a_process_of_its_own_and_a_reader_that_leaves(work):
    command = [sys.executable, "-m", "bipointnet_ros.cli"]
    done = subprocess.run([*command, "info", "none"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "Traceback" not in done.stderr and done.stderr.count("\n") == 1
    script = f"{sys.executable} -u -m bipointnet_ros.cli info seg.safetensors | head -n 1"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("fabricated") and done.stderr == ""


def test_progress_is_drawn_on_a_terminal_only(capsys, monkeypatch):
    cli._Progress()(1, 2)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    bar = cli._Progress()
    bar._last -= 1
    bar(1, 2)
    bar(2, 2)
    out, err = capsys.readouterr()
    assert out == "" and "1/2" in err and "2/2, 0 s left" in err and err.endswith("\n")
