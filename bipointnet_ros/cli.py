"""The bipointnet command: arguments in, lines out. 0 = done; 2 = usage or bad input, said in one line."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

from bipointnet_ros import bench, dataset, evaluation, offline, wording
from bipointnet_ros.arrays import FileError
from bipointnet_ros.core.config import Config, ConfigError, assigned
from bipointnet_ros.core.kernels import BackendError
from bipointnet_ros.core.model_file import ModelFileError
from bipointnet_ros.core.pipeline import CloudError
from bipointnet_ros.files import SUFFIXES
from bipointnet_ros.view import View, ViewError

_REFUSALS = (FileError, ConfigError, BackendError, ModelFileError, CloudError, ViewError)


def main(arguments=None) -> int:
    """Run one command; the answer is its exit status."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except _REFUSALS as error:
        print(f"bipointnet {options.command}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def _natural(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a number from 0, got '{text}'")
    return int(text)


def _parser() -> _Parser:
    parser = _Parser(
        prog="bipointnet", description="Label, evaluate and describe with packed 1-bit models; no ROS needed."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="{label,view,eval,info,bench}")
    defaults = Config()
    kinds = f"{' '.join(SUFFIXES)}, a folder of these, or a rosbag2"
    label = commands.add_parser("label", help=f"label clouds: {kinds}")
    label.add_argument("files", nargs="+", metavar="FILE", help=kinds)
    label.add_argument("--topic", default="", help="of the clouds in a bag, if it has several")
    where = label.add_mutually_exclusive_group()
    where.add_argument("--out", default=".", metavar="DIR", help="folder for STEM.labels.npz and STEM.labeled.ply (.)")
    where.add_argument("--bag", metavar="NEW", help=f"of a bag: write it anew, with {offline.LABELED_TOPIC} in it")
    label.set_defaults(run=_label)
    show = commands.add_parser("view", help="show clouds by class, objects and times in a viewer (needs rerun-sdk)")
    show.add_argument(
        "sources", nargs="+", metavar="SOURCE", help=f"{kinds}; or a live topic, as {offline.LABELED_TOPIC}"
    )
    show.add_argument("--topic", default="", help="of the clouds in a bag, if it has several")
    show.add_argument("--save", metavar="FILE.rrd", help="write what would be shown, instead of opening a window")
    show.add_argument("--count", type=_natural, default=0, help="clouds to show; 0 = all, of a topic until Ctrl-C")
    show.set_defaults(run=_view)
    evaluate = commands.add_parser("eval", help="score a model on labelled data")
    evaluate.add_argument(
        "--data",
        required=True,
        nargs="+",
        metavar="F.npz",
        help='objects or scenes (docs/lidar.md, "Your own scans"); a table each',
    )
    evaluate.set_defaults(run=_evaluate)
    for command in (label, show, evaluate):
        command.add_argument(
            "--model", default=defaults.model, help=f"path or name of a shipped model ({defaults.model})"
        )
        command.add_argument("--backend", default=defaults.backend, help=f"kernels to use ({defaults.backend})")
        command.add_argument(
            *("-p", "--param"),
            action="append",
            default=[],
            metavar="NAME:=VALUE",
            help="a parameter of the node (docs/parameters.md), as -p gravity_pitch:=0.1; may be repeated",
        )
    for command in (label, evaluate):
        command.add_argument("--json", action="store_true", help="print JSON only")
    info = commands.add_parser("info", help="what a packed model holds")
    info.add_argument("model", metavar="MODEL")
    info.set_defaults(run=_info)
    speed = commands.add_parser("bench", help="how fast this machine is, by backend, threads and size of cloud")
    speed.add_argument("--json", action="store_true", help="print JSON only")
    speed.add_argument("--quick", action="store_true", help="few sizes and few calls: that it works, not how fast")
    speed.set_defaults(run=_bench)
    return parser


def _config(options, **defaults) -> Config:
    """What the options ask for; ConfigError."""
    config = Config(model=options.model, backend=options.backend, **defaults)
    return config.replace(**dict(map(assigned, options.param)))


def _label(options) -> int:
    pipe = offline.pipeline(_config(options))
    for one in _labelled(pipe, options):
        summary = wording.summary(one, pipe.model.classes)
        print(json.dumps(summary) if options.json else wording.sentence(summary), flush=True)
    return 0


def _labelled(pipe, options):
    if options.bag is None:
        return offline.label(pipe, options.files, options.out, options.topic)
    if len(options.files) > 1:
        raise FileError(f"expected one bag with --bag, got {len(options.files)} inputs: label them one by one")
    return offline.label_bag(pipe, options.files[0], options.bag, options.topic, _not_copied)


def _not_copied(topics) -> None:
    sentence = f"not copied, for neither the bag nor rosbags defines the type: {', '.join(topics)}"
    print(f"bipointnet label: {sentence}", file=sys.stderr)


def _view(options) -> int:
    def pipeline():
        return offline.pipeline(_config(options))

    topics = [source for source in options.sources if source.startswith("/") and not os.path.exists(source)]
    if topics:
        return _live(options, topics[0], pipeline)
    view = View(options.save)
    offline.show(pipeline(), options.sources, view, options.topic, options.count)
    print(f"{view.shown} cloud(s)" + (f": rerun {options.save}" if options.save else " shown"))
    return 0


def _live(options, topic: str, pipeline) -> int:
    if len(options.sources) > 1:
        raise FileError(f"expected one live topic, or files, got '{topic}' among {len(options.sources)} sources")
    try:
        from bipointnet_ros.ros import viewer
    except ImportError as error:
        told = f"'{topic}' is no file, and a live topic needs ROS 2 ({error})"
        raise FileError(f"{told}: source its setup.bash, or give files") from None
    return viewer.run(topic, View(options.save), pipeline, options.count)


def _evaluate(options) -> int:
    pipe = offline.pipeline(_config(options, threads=1))
    sets = {}
    for path in options.data:
        scores = sets[Path(path).stem] = evaluation.evaluate(pipe, dataset.read(path), _Progress())
        if not options.json:
            print("\n".join([*([f"{path}:"] if options.data[1:] else []), *wording.table(scores), ""]))
    if options.data[1:] and not options.json:
        print("\n".join(wording.side_by_side(sets)))
    print(json.dumps({"sets": sets} if options.data[1:] else scores))
    return 0


class _Progress:
    """A bar with the remaining time on standard error, where that is a terminal."""

    def __init__(self):
        self._start = self._last = time.monotonic()

    def __call__(self, done: int, of: int) -> None:
        now = time.monotonic()
        if not sys.stderr.isatty() or now - self._last < 0.1 and done < of:
            return
        self._last, filled = now, 40 * done // of
        left = (now - self._start) / done * (of - done)
        bar = "#" * filled + "." * (40 - filled)
        print(f"\r[{bar}] {done}/{of}, {left:.0f} s left ", end="" if done < of else "\n", file=sys.stderr, flush=True)


def _info(options) -> int:
    print("\n".join(wording.description(offline.describe(options.model))))
    return 0


def _bench(options) -> int:
    rows = list(bench.rows(bench.QUICK if options.quick else bench.Effort(), _Progress()))
    answer = {"machine": bench.machine(), "rows": rows}
    print(json.dumps(answer) if options.json else "\n".join(wording.speeds(answer)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
