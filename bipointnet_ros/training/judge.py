"""Judge a run by torch where it cannot be packed: the full-precision twin of a shipped network.

    python -m bipointnet_ros.training.judge RUN --data FILE.npz ... [--no-intensity] [--looks 7]

FILE is what the run was trained for: scenes, or objects whose clouds hold as many points as it takes. One line a file,
the scores by ``bipointnet eval``'s definitions, without its filters.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

from bipointnet_ros.core.blueprint import SEGMENTATION
from bipointnet_ros.core.looks import MOST
from bipointnet_ros.evaluation import FEWEST_POINTS
from bipointnet_ros.training import data, run, scan
from bipointnet_ros.training.command import command
from bipointnet_ros.training.train_scenes import confusion


def accuracy(net, config: dict, objects) -> float:
    """Overall accuracy of a classifier on objects (``bipointnet_ros.dataset.Objects``)."""
    return float((run.predict(net, objects.points[:, : config["points"]]) == objects.labels).mean())


def judged(net, config: dict, path: str, dark: bool = False, again: int = 0) -> str:
    """The scores of a network on a file, as text; scenes perhaps ``dark``, without intensities, with
    ``again`` further looks at every row. DataError, FileError."""
    if net.blueprint.task != SEGMENTATION:
        objects = data.load(path, config["points"])
        return f"overall accuracy {accuracy(net, config, objects):.4f} of {len(objects.labels)}"
    scans, classes = scan.load(path)
    if list(classes) != config["classes"]:
        raise data.DataError(
            f"expected the classes {', '.join(config['classes'])} in '{path}', got {', '.join(classes)}"
        )
    if dark:
        scans = [replace(one, intensity=None) for one in scans]
    found = confusion(net, classes, scans, again)
    each = ", ".join(f"{name} {iou:.3f} of {n}" for name, iou, n in zip(classes, found.iou(), found.true))
    return f"mIoU {found.mean(found.iou(), FEWEST_POINTS):.4f}, {each}"


@command
def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="folder of a training run")
    parser.add_argument("--data", nargs="+", required=True, metavar="FILE", help="NAME_val or NAME_test of prepare.py")
    parser.add_argument("--no-intensity", action="store_true", help="scenes as of a sensor that measures none")
    looks_help = "how often every row of a scene is seen again, in cells that lie elsewhere"
    parser.add_argument("--looks", type=int, choices=range(MOST + 1), default=0, help=looks_help)
    options = parser.parse_args(arguments)
    net, config = run.load(options.run)
    for path in options.data:
        print(f"{path}: {judged(net, config, path, options.no_intensity, options.looks)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
