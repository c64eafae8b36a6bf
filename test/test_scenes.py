"""Training on scans: augmentation, things set down, batches that mix sensors, a run that learns, stops and goes on."""

import json
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from bipointnet_ros.core.blueprint import Grid, cell_segmenter  # noqa: E402
from bipointnet_ros.evaluation import FEWEST_POINTS  # noqa: E402
from bipointnet_ros.training import augmentation, data, export, judge, paste, run, scan, scenes, train, train_scenes  # noqa: E402
from bipointnet_ros.training.scan import Scan  # noqa: E402

CLASSES = ("ground", "vegetation", "structure", "vehicle", "person", "pole")
INPUTS = ("height", "column_top", "around_plane")
TINY = train_scenes.Recipe(epochs=3, steps=8, rate=1e-2, width=16, inputs=INPUTS, things=3)


def street(seed=0, n=3000):
    """Ground, a wall, cars, a person and a tree's crown, as labelled scan around a sensor at the origin."""
    rng = np.random.default_rng(seed)
    parts = [
        (0, np.c_[rng.uniform(-25, 25, (n, 2)), np.zeros(n)]),
        (2, np.c_[rng.uniform(-25, 25, n // 2), np.full(n // 2, 20.0), rng.uniform(0, 6, n // 2)]),
        (1, rng.normal([12, 12, 5], [1, 1, 0.7], (200, 3))),
        (4, rng.uniform([5, -5, 0], [5.4, -4.6, 1.7], (40, 3))),
    ]
    parts += [(3, rng.uniform([x, -8, 0.2], [x + 4, -6.2, 1.5], (150, 3))) for x in (-15, 0, 8)]
    xyz = np.concatenate([p for _, p in parts]) + rng.normal(0, 0.01, (sum(len(p) for _, p in parts), 3))
    label = np.repeat([k for k, _ in parts], [len(p) for _, p in parts]).astype(np.uint8)
    return Scan(xyz.astype(np.float32), rng.random(len(xyz)).astype(np.float32), label)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two scene files, of a dense and of a sparse sensor without intensity."""
    folder = tmp_path_factory.mktemp("scenes")
    for name, step, held in (("dense", 1, True), ("sparse", 3, False)):
        scans = [street(seed)[::step] for seed in range(4)]
        arrays = {
            "xyz": np.concatenate([s.xyz for s in scans]),
            "label": np.concatenate([s.label for s in scans]),
            "offsets": np.cumsum([0, *(len(s.xyz) for s in scans)]),
            "classes": np.array(CLASSES),
        }
        if held:
            arrays["intensity"] = np.concatenate([s.intensity for s in scans])
        np.savez(folder / f"{name}.npz", **arrays)
    return [str(folder / "dense.npz"), str(folder / "sparse.npz")]


# ------------------------------------------------------------------------------------------------------- augmentation


def test_augmented_scans_are_sound_and_differ():
    rng, plain = np.random.default_rng(0), street()
    banks = paste.things([plain], CLASSES)
    seen = [augmentation.augmented(plain, rng, banks, 5) for _ in range(80)]
    assert all(len(s.xyz) == len(s.label) > 500 and s.xyz.dtype == np.float32 for s in seen)
    assert all(np.isfinite(s.xyz).all() for s in seen)
    assert all(s.intensity is None or len(s.intensity) == len(s.xyz) for s in seen)
    assert 10 < sum(s.intensity is None for s in seen) < 40
    assert len({len(s.xyz) for s in seen}) > 10


def test_moved_keeps_shapes_up_to_scale():
    xyz = street().xyz
    for seed in range(10):
        moved = augmentation.moved(xyz, np.random.default_rng(seed))
        ratio = np.linalg.norm(moved[1:] - moved[:-1], axis=1) / np.linalg.norm(xyz[1:] - xyz[:-1], axis=1)
        assert 0.85 < ratio.min() <= ratio.max() < 1.15


def test_opened_cuts_what_a_flat_sensor_does_not_see():
    plain, rng = street(), np.random.default_rng(0)
    tops = [augmentation.opened(plain, rng).xyz[:, 2].max() for _ in range(40)]
    assert min(tops) < 0.8 * max(tops)


def test_a_large_scan_is_cut_to_a_sector():
    large = Scan(*(np.repeat(a, 10, 0) for a in (street().xyz, street().intensity, street().label)))
    sizes = [len(augmentation.sector(large, np.random.default_rng(s), 20_000).xyz) for s in range(10)]
    assert max(sizes) <= 20_001 and min(sizes) < 0.6 * max(sizes)


# ------------------------------------------------------------------------------------------------------ things set down


def test_things_are_found_by_class():
    banks = paste.things([street(s) for s in range(3)], CLASSES)
    labels = [set(np.concatenate([t.points.label for t in bank])) for bank in banks]
    assert labels == [{3}, {4}, {1}]
    assert len(banks[0]) == 9 and len(banks[1]) == 3
    assert all(t.falls == (t.points.label[0] == 1) for bank in banks for t in bank)


def test_pasted_things_stand_on_the_ground_at_their_own_distance():
    plain = street()
    plain = plain[plain.label != 4]
    persons = [paste.things([street(s)], ("ground", "x", "y", "z", "person"), ("person",)) for s in range(3)]
    rng, met = np.random.default_rng(0), 0
    for _ in range(30):
        more = paste.pasted(plain, persons[0], rng, 1)
        new = more.xyz[more.label == 4]
        if len(new) == 0:
            continue
        met += 1
        assert len(new) == 40 and abs(new[:, 2].min()) < 0.2 and 1.3 < new[:, 2].max() < 1.9
        assert np.hypot(*new[:, :2].T).mean() == pytest.approx(np.hypot(5.2, 4.8), abs=0.1)
        assert len(more.xyz) <= len(plain.xyz) + 40
    assert met > 5


def test_what_a_thing_hides_is_gone():
    wall = np.c_[np.full(500, 10.0), np.linspace(-5, 5, 500), np.full(500, 1.0)].astype(np.float32)
    thing = np.random.default_rng(0).uniform([4.8, -0.5, 0], [5.2, 0.5, 1.7], (100, 3)).astype(np.float32)
    hidden = paste._hidden(wall, thing, 1.8)
    assert hidden[np.abs(wall[:, 1]) < 0.8].all() and not hidden[np.abs(wall[:, 1]) > 1.3].any()
    assert not paste._hidden(wall * np.float32(0.3), thing, 1.8).any()  # in front of it


# ------------------------------------------------------------------------------------------------------------ batches


def test_cells_of_a_batch_never_mix_scans():
    blueprint = cell_segmenter(("height",), 6, Grid(0.2, (4, 12, 36)), 8)
    one, two = street(1), street(2)[::3]
    batch = scenes.batch([one, two], blueprint)
    alone = [scenes.batch([s], blueprint) for s in (one, two)]
    cut, seen = len(alone[0].label), batch.first
    np.testing.assert_array_equal(seen.features, np.concatenate([a.first.features for a in alone]))
    assert batch.label.dtype == np.int64 and len(batch.label) == len(seen.features)
    for k in range(3):
        assert cut in seen.offsets[k] and seen.offsets[k][-1] == len(seen.features)
        np.testing.assert_array_equal(seen.offsets[k][seen.offsets[k] >= cut] - cut, alone[1].first.offsets[k])


def test_other_views_show_the_same_rows_in_other_cells():
    blueprint = cell_segmenter(("height", "column_top"), 6, Grid(0.2, (4, 12, 36)), 8)
    one, two, rng = street(1), street(2)[::3], np.random.default_rng(0)
    batch, plain = scenes.batch([one, two], blueprint, rng, views=3), scenes.batch([one, two], blueprint)
    np.testing.assert_array_equal(batch.first.features, plain.first.features)
    assert len(batch.again) == 2 and not plain.again
    for view in batch.again:
        np.testing.assert_array_equal(np.sort(view.row), np.arange(len(batch.label)))
        back = view.features[np.argsort(view.row)]
        column = {name: k for k, name in enumerate(blueprint.inputs)}
        height, top = (np.abs(back - batch.first.features)[:, column[name]] for name in ("height", "column_top"))
        assert height.max() < 1e-5 and top.max() > 0.1
        assert view.offsets[2][-1] == len(batch.label)
        cut = np.flatnonzero(np.diff(view.row >= len(scenes.batch([one], blueprint).label))) + 1
        assert len(cut) == 1 and all(cut[0] in runs for runs in view.offsets)  # no cell holds rows of both scans


def test_blur_moves_whole_inputs_of_half_of_the_scans_and_the_same_in_every_view():
    rng = np.random.default_rng(0)
    values = (rng.normal(size=(4000, 3)) * [1.0, 10.0, 0.0]).astype(np.float32)
    added = [scenes.blurred(values, 0.5, rng) for _ in range(200)]
    assert 70 < sum(not d.any() for d in added) < 130
    moved = np.array([d.mean(0) for d in added if d.any()])
    within = np.array([d.std(0) for d in added if d.any()])
    assert moved[:, 0].std() == pytest.approx(0.5 / 3**0.5, rel=0.3) == moved[:, 1].std() / 10.0
    assert within[:, 0].mean() == pytest.approx(0.5 * 0.25, rel=0.3) and not within[:, 2].any()
    blueprint = cell_segmenter(("height", "column_top"), 6, Grid(0.2, (4, 12, 36)), 8)
    views = [scenes.batch([street(1)], blueprint, np.random.default_rng(seed), 0.5, views=2) for seed in range(6)]
    plain = scenes.batch([street(1)], blueprint).first.features
    height = blueprint.inputs.index("height")
    assert 0 < sum((batch.first.features != plain).any() for batch in views) < 6
    for batch in views:
        (other,) = batch.again
        back = other.features[np.argsort(other.row)]
        np.testing.assert_allclose(back[:, height], batch.first.features[:, height], atol=1e-4)


def test_every_step_mixes_the_sets_and_shows_each_scan_before_any_repeats():
    stream = scenes.mixed([["a", "b", "c"], ["x", "y"]], [1, 2], np.random.default_rng(0))
    steps = [next(stream) for _ in range(3)]
    assert all([i for i, _ in step] == [0, 1, 1] for step in steps)
    assert {step[0][1] for step in steps} == {"a", "b", "c"}
    assert all({step[1][1], step[2][1]} == {"x", "y"} for step in steps)


def test_rare_classes_weigh_more():
    weight = train_scenes.class_weights([[street()]], [1], 6)
    share = np.bincount(street().label, minlength=6) / len(street().label)
    assert weight[4] > weight[1] > weight[0] and (weight * share).sum() == pytest.approx(1.0)


# ---------------------------------------------------------------------------------------------------------------- runs


def test_a_run_learns_and_packs(files, tmp_path):
    fresh = train_scenes.start(tmp_path / "run", files, (1, 2), files[:1], TINY)
    train.finish(fresh, every=3)
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert len(rows) == 3 and rows[-1]["loss"] < rows[0]["loss"]
    assert rows[-1]["dense_iou"]["ground"] > 0.8
    lines = []
    _, model = export.export(tmp_path / "run", tmp_path / "small.safetensors", say=lines.append)
    assert model.classes == CLASSES and model.blueprint.inputs == ("column_top", "around_plane", "height")  # by level
    assert sum("1.000000 of the bits equal torch's" in line for line in lines) == 4


def test_the_classes_that_count_in_a_file_count_in_every_nth_of_its_scans(files, tmp_path):
    """6,000 points of structure count; in the one scan of four that is looked at they are 1,500."""
    seen = train_scenes.start(tmp_path, files, (1, 1), files[:1], TINY, stride=4).scores()
    assert seen["dense"] == pytest.approx((seen["dense_iou"]["ground"] + seen["dense_iou"]["structure"]) / 2, abs=1e-3)


@pytest.mark.parametrize("recipe", [TINY, replace(TINY, average=0.9, blur=0.3)], ids=["plain", "averaged"])
def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(files, tmp_path, recipe):
    whole = train_scenes.start(tmp_path / "whole", files, (1, 1), [], recipe)
    train.finish(whole)
    train_scenes.start(tmp_path / "parts", files, (1, 1), [], recipe).save()
    first = train_scenes.start(tmp_path / "parts", files, (1, 1), [], recipe)
    first.train_epoch()
    first.save()
    rest = train_scenes.start(tmp_path / "parts", files, (1, 1), [], recipe)
    assert rest.epoch == 1
    train.finish(rest)
    ours, theirs = (run.load(tmp_path / name)[0].state_dict() for name in ("whole", "parts"))
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    same = all(torch.equal(a, b) for a, b in zip(rest.net.parameters(), rest.result.parameters()))
    assert same == (recipe is TINY)


def test_averaged_weights_are_judged_with_statistics_of_their_own(files, tmp_path):
    one = train_scenes.start(tmp_path, files, (1, 1), files[:1], replace(TINY, average=0.9, epochs=4))
    for _ in range(3):
        one.train_epoch()
    assert one.scores()["val_accuracy"] > 0.3
    layer = one.result.stages["point1"].norm
    assert layer.batches > 0 and not torch.equal(layer.mean, one.net.stages["point1"].norm.mean)


def test_a_run_starts_from_another_ones_weights_and_full_precision_is_no_model(files, tmp_path):
    train.finish(train_scenes.start(tmp_path / "first", files, (1, 1), [], TINY))
    again = train_scenes.start(tmp_path / "again", files, (1, 1), [], replace(TINY, start=str(tmp_path / "first")))
    ours, theirs = again.net.state_dict(), run.load(tmp_path / "first")[0].state_dict()
    assert again.epoch == 0 and all(torch.equal(ours[key], theirs[key]) for key in theirs)
    twin = train_scenes.start(tmp_path / "twin", files, (1, 1), [], replace(TINY, method="full"))
    train.finish(twin)
    with pytest.raises(export.ExportError, match="got Full"):
        export.export(tmp_path / "twin", tmp_path / "never.safetensors")


def by_hand(going, batch, *views) -> float:
    """T^2 KL of a run's answers from the mean of its teacher's in these views, T = 2."""
    logits = torch.zeros(len(batch.label), len(CLASSES))
    with torch.no_grad():
        ours = going.net(torch.from_numpy(batch.first.features), batch.first.offsets)
        for view in views:
            logits[view.row] += going.teacher(torch.from_numpy(view.features), view.offsets) / len(views)
    ours, theirs = (torch.softmax(v / 2.0, 1) for v in (ours, logits))
    return 4.0 * (theirs * (theirs / ours).log()).sum(1).mean().item()


def test_batches_are_made_ahead_in_their_order_and_an_error_comes_through():
    def made():
        yield from (1, 2, 3)
        raise ValueError("no fourth")

    seen = []
    with pytest.raises(ValueError, match="no fourth"):
        for one in scenes.ahead(made()):
            seen.append(one)
    assert seen == [1, 2, 3]
    assert list(scenes.ahead(iter((1, 2)))) == [1, 2] and list(scenes.ahead(iter(()))) == []


def test_a_teacher_answers_with_the_mean_of_its_views(files, tmp_path):
    train.finish(train_scenes.start(tmp_path / "twin", files, (1, 1), [], replace(TINY, method="full", epochs=1)))
    taught = replace(TINY, teacher=str(tmp_path / "twin"), distil=1.0, views=3, blur=0.3, epochs=1)
    going = train_scenes.start(tmp_path / "taught", files, (1, 1), [], taught)
    train.finish(going)
    taught = next(going.taught(0, 1))
    batch = taught[0]
    assert len(batch.again) == 2
    assert going.loss(*taught).item() == pytest.approx(by_hand(going, batch, batch.first, *batch.again), rel=1e-4)
    assert going.loss(*taught).item() != pytest.approx(by_hand(going, batch, batch.first), rel=1e-4)


def test_a_twin_teaches_a_run_of_the_same_inputs(files, tmp_path):
    twin = train_scenes.start(tmp_path / "twin", files, (1, 1), [], replace(TINY, method="full"))
    train.finish(twin)
    taught = replace(TINY, teacher=str(tmp_path / "twin"), distil=1.0)
    going = train_scenes.start(tmp_path / "taught", files, (1, 1), [], taught)
    batch, answer = next(going.taught(0, 1))
    before = going.loss(batch, answer).item()
    train.finish(going)
    assert 0.0 < going.loss(batch, answer).item() < 0.7 * before
    assert going.loss(batch, answer).item() == pytest.approx(by_hand(going, batch, batch.first), rel=1e-4)
    assert next(twin.taught(0, 1))[1] is None
    with pytest.raises(data.DataError, match="a teacher of the same inputs"):
        train_scenes.start(tmp_path / "other", files, (1, 1), [], replace(taught, inputs=INPUTS[:2]))


def test_a_twin_is_judged_as_its_training_judges_it(files, tmp_path, capsys):
    twin = train_scenes.start(tmp_path / "twin", files, (1, 1), files[:1], replace(TINY, method="full"))
    train.finish(twin)
    capsys.readouterr()
    assert judge.main([str(tmp_path / "twin"), "--data", *files[:1]]) == 0
    last = json.loads((tmp_path / "twin" / "log.jsonl").read_text().splitlines()[-1])
    assert f"mIoU {last['dense']:.4f}, ground {last['dense_iou']['ground']:.3f} of " in capsys.readouterr().out
    plain, _ = run.load(tmp_path / "twin")
    scans, _ = scan.load(files[0])
    dark = [replace(one, intensity=None) for one in scans]
    for options, some, again in ((["--no-intensity"], dark, 0), (["--looks", "3"], scans, 3)):
        assert judge.main([str(tmp_path / "twin"), "--data", *files[:1], *options]) == 0
        found = train_scenes.confusion(plain, CLASSES, some, again)
        assert f"mIoU {found.mean(found.iou(), FEWEST_POINTS):.4f}, " in capsys.readouterr().out
    assert judge.main([str(tmp_path / "none"), "--data", *files[:1]]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_further_looks_add_up_row_by_row(files):
    """What tells rows apart by their height alone, which no border of a cell changes, answers the same by any looks."""

    class Heights(torch.nn.Module):
        blueprint = cell_segmenter(("height",), len(CLASSES), Grid(0.2, (4, 12, 36)), 16)

        def forward(self, rows, offsets):
            return -(rows - torch.linspace(-1.0, 1.0, len(CLASSES))).abs()

    scans, _ = scan.load(files[0])
    once, often = (train_scenes.confusion(Heights(), CLASSES, scans, again) for again in (0, 3))
    assert (once.counts == often.counts).all() and (once.counts.sum(0) > 0).sum() > 2


def test_another_recipe_is_refused(files, tmp_path):
    train_scenes.start(tmp_path, files, (1, 1), [], TINY)
    with pytest.raises(data.DataError, match="expected the recipe of .* choose another --run folder"):
        train_scenes.start(tmp_path, files, (1, 1), [], train_scenes.Recipe(seed=1))


@pytest.mark.parametrize("item", ["a.npz", "a.npz:", "a.npz:0", ":3"])
def test_a_set_without_count_is_one_sentence(item, tmp_path, capsys):
    assert train_scenes.main([item, "--run", str(tmp_path)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and "expected FILE:COUNT" in lines[0]


def test_objects_are_no_scans(tmp_path):
    points = np.zeros((2, 9, 3), np.float32)
    np.savez(tmp_path / "o.npz", points=points, labels=np.zeros(2, int), classes=np.array(["a"]))
    with pytest.raises(data.DataError, match="expected scenes"):
        scan.load(tmp_path / "o.npz")
