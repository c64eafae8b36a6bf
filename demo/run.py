"""make demo: one process plays a real drive, the node labels it in another, this one listens, measures and draws.

Real DDS between the three, in a domain of their own on this machine. Exit status 0, or 1 if the node dies or nothing is
answered, and with --strict also if an answer is missing or p95 is over 150 ms.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from bipointnet_ros import render
from bipointnet_ros.core import share
from bipointnet_ros.ros import launching

HERE = Path(__file__).resolve().parent
NODE, PLAYER = "/bipointnet", "/player"
TITLE = "A real drive through the ROS 2 node: PandaSet, one Hesai Pandar64, {points:,} points labelled in {ms:.0f} ms"
EGO = {
    "ego_min": [-2.2, -1.0, -0.5],
    "ego_max": [2.2, 1.0, 2.0],
}  # m: the car itself, as its sensor sees it
P95_BAR = 150.0  # ms
_STOPPED = threading.Event()  # by a signal: an exception out of its handler could get lost in a callback of ROS
_PATIENCE = 30.0  # s for the node to start, and for the last answers
_COLUMNS = (
    *("time s", "sent", "received", "answered", "dropped", "lost", "back"),
    *("p50 ms", "p95 ms", "p99 ms", "Mpoints/s", "backend"),
)


class DemoError(RuntimeError):
    """The demo cannot go on; one sentence."""


class Child:
    """One of the two processes; what it writes goes to a file and is shown if it dies."""

    def __init__(self, module: str, *arguments: str):
        self._log = tempfile.NamedTemporaryFile("w+", prefix=f"{module.rsplit('.', 1)[1]}-", suffix=".log")
        command = [sys.executable, "-m", module, *arguments]
        # a session of its own: Ctrl-C comes to this process, which ends the others in order
        self.process = subprocess.Popen(command, stdout=self._log, stderr=subprocess.STDOUT, start_new_session=True)

    def text(self) -> str:
        self._log.seek(0)
        return self._log.read()

    def alive(self) -> bool:
        return self.process.poll() is None

    def end(self) -> int:
        """SIGINT, then, if that is not enough, SIGKILL; the exit status."""
        if self.alive():
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


class Table:
    """Rows while it runs: a table that is redrawn on a terminal, a line every few seconds elsewhere."""

    def __init__(self, quiet: bool):
        self._quiet, self._terminal = quiet, sys.stdout.isatty()
        self._next = 0.0

    def head(self):
        self._print("  ".join(f"{name:>9}" for name in _COLUMNS))

    def row(self, elapsed: float, values, last=False):
        if self._terminal and not self._quiet:
            print("\r\033[K" + self._text(values), end="\n" if last else "", flush=True)
        elif last or elapsed >= self._next:
            self._next = elapsed + 5.0
            self._print(self._text(values))

    def _text(self, values) -> str:
        return "  ".join(f"{v:>9.1f}" if isinstance(v, float) else f"{v:>9}" for v in values)

    def _print(self, text):
        if not self._quiet:
            print(text, flush=True)


def main() -> int:
    options = _options()
    environment = launching.private_domain(100 + os.getpid() % 100) | launching.transport_profile(os.environ)
    os.environ.update(environment)
    for number in (signal.SIGINT, signal.SIGTERM):  # the other two processes must not be left behind
        signal.signal(number, lambda *_: _STOPPED.set())
    from probe import Probe  # the domain must be known before ROS is loaded

    children, probe = [], None
    try:
        node = _start(children, "bipointnet_ros.ros.node", *_node_arguments(options))
        probe = Probe(NODE)
        report = _run(options, children, node, probe)
    except (DemoError, ValueError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        statuses = [child.end() for child in reversed(children)]
        if probe is not None:
            probe.close()
    return _verdict(options, report, statuses)


def _options():
    parser = argparse.ArgumentParser(prog="demo", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=25, help="how long the drive is played (25)")
    parser.add_argument("--rate", type=float, default=10.0, help="clouds per second (10)")
    parser.add_argument("--model", default="lidar", help="name or path of the model (lidar)")
    parser.add_argument("--backend", default="auto", help="kernels of the engine (auto)")
    parser.add_argument("--clouds", default="", help="another file or folder of clouds")
    parser.add_argument("--out", type=Path, default=HERE, help="where the pictures go (demo/)")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument(
        "--strict", action="store_true", help="fail unless every answer came back and p95 is under 150 ms"
    )
    return parser.parse_args()


def _node_arguments(options) -> list[str]:
    parameters = {"model": options.model, "backend": options.backend, "reliability": "reliable"}
    parameters |= {} if options.clouds else EGO
    return ["--ros-args", *(word for name, value in parameters.items() for word in ("-p", f"{name}:={value}"))]


def _start(children, module, *arguments) -> Child:
    children.append(Child(module, *arguments))
    return children[-1]


def _run(options, children, node, probe) -> dict:
    _wait(probe, node, lambda: probe.said(NODE)[0] == "active", "the node to listen")
    probe.watch_markers()
    clouds = options.clouds or str(share.path("demo/drive"))
    count = max(1, round(options.seconds * options.rate))
    playing = ("--loop", "--count", str(count), "--rate", str(options.rate))
    player = _start(children, "bipointnet_ros.ros.player", clouds, *playing)
    elapsed = _watch(options, node, player, probe)
    sent = _sent(player)
    _wait(probe, node, lambda: len(probe.latencies) >= sent, "the last answers", patience=3.0, needed=False)
    _wait(probe, node, _settled(probe), "the node's counts", patience=5.0, needed=False)
    report = _report(probe, sent, elapsed)
    Table(options.json).row(elapsed, _row(report, elapsed), last=True)
    if report["back"]:
        report["pictures"] = _draw(options, probe, report)
    return report


def _watch(options, node, player, probe) -> float:
    """Show a row whenever the node reports, until the player has ended; seconds from the first answer on."""
    table, start, last, sent_before = Table(options.json), None, None, 0
    table.head()
    while player.alive():
        _check(node)
        probe.spin(0.05)
        if start is None and probe.latencies:
            start = time.monotonic()
        _, values = probe.said(NODE)
        if start is not None and values is not last:
            sent, last = int(probe.said(PLAYER)[1].get("sent", 0)), values
            elapsed = max(time.monotonic() - start, 1.0 / options.rate)
            report = _report(probe, sent, elapsed)
            report["lost"] = max(0, sent_before - report["received"])  # the newest may still be on their way
            table.row(elapsed, _row(report, elapsed))
            sent_before = sent
    _check(node)
    return time.monotonic() - (start or time.monotonic())


def _wait(probe, node, condition, what, patience=_PATIENCE, needed=True):
    end = time.monotonic() + patience
    while not condition():
        _check(node)
        probe.spin(0.05)
        if time.monotonic() > end:
            if needed:
                raise DemoError(f"waited {patience:.0f} s in vain for {what}; it said:\n{node.text()}")
            return


def _settled(probe):
    """Whether the node has counted since now, with nothing in work."""
    old = probe.said(NODE)[1]
    return lambda: probe.said(NODE)[1] is not old and probe.said(NODE)[1].get("in_work") == "0"


def _check(node):
    """KeyboardInterrupt once a signal has come, DemoError once the node has ended or cannot work."""
    if _STOPPED.is_set():
        raise KeyboardInterrupt
    if not node.alive():
        raise DemoError(f"the node ended with status {node.process.returncode}; it said:\n{node.text()}")
    if "waiting unconfigured" in (text := node.text() if node.alive() else ""):
        raise DemoError(f"the node could not be configured; it said:\n{text}")


def _sent(player) -> int:
    last = player.text().strip().splitlines()[-1:] or [""]
    if player.process.returncode != 0 or not last[0].startswith("sent "):
        raise DemoError(f"the player failed with status {player.process.returncode}; it said:\n{player.text()}")
    return int(last[0].split()[1])


def _report(probe, sent, elapsed) -> dict:
    values = probe.said(NODE)[1]
    counts = {name: int(values.get(name, 0)) for name in ("received", "answered", "dropped")}
    p50, p95, p99 = probe.percentiles()
    return {
        "sent": sent,
        **counts,
        "lost": max(0, sent - counts["received"]),
        "back": len(probe.latencies),
        "latency_ms": {"p50": round(p50, 1), "p95": round(p95, 1), "p99": round(p99, 1)},
        "points_per_second": round(probe.points / max(elapsed, 1e-3)),
        **{name: values.get(name, "") for name in ("model", "backend", "threads", "classes")},
        "node_latency_p50_ms": float(values.get("latency_p50_ms", "nan")),
    }


def _row(report, elapsed):
    counts = [report[name] for name in ("sent", "received", "answered", "dropped", "lost", "back")]
    return [elapsed, *counts, *report["latency_ms"].values(), report["points_per_second"] / 1e6, report["backend"]]


def _draw(options, probe, report) -> list[str]:
    classes = report["classes"].split(", ")
    xyz, label, objects = probe.picture()
    title = TITLE.format(points=len(xyz), ms=report["node_latency_p50_ms"])
    pictures = []
    for draw in (render.birds_eye, render.perspective):
        path = options.out / f"{draw.__name__}.png"
        draw(path, xyz, label, objects, classes, title=title, sensor="our car")
        pictures.append(str(path))
    return pictures


def _verdict(options, report, statuses) -> int:
    bars = {
        "an answer came back for every cloud sent": report["back"] == report["sent"],
        f"p95 is under {P95_BAR:.0f} ms": report["latency_ms"]["p95"] < P95_BAR,
        "the node and the player ended with status 0": not any(statuses),
    }
    if options.json:
        print(json.dumps(report))
    else:
        print()
        for bar, held in bars.items():
            print(f"  {'yes' if held else 'NO ':4} {bar}")
        print(*(f"  see  {path}" for path in report.get("pictures", ())), sep="\n")
    if not report["back"] or any(statuses):
        return 1
    return int(options.strict and not all(bars.values()))


if __name__ == "__main__":
    sys.exit(main())
