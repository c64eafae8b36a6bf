"""A node as a process: signals end it in order, wrong arguments are one sentence."""

from __future__ import annotations

import signal
import sys
import threading

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

_SIGNALS = {signal.SIGINT, signal.SIGTERM}


def run(name: str, make, args=None) -> int:
    """Spin the node that ``make()`` answers until SIGINT, SIGTERM or its ``finished`` (a threading.Event) is set.

    Exit status: the node's ``status``, or 2 with one sentence on standard error if the arguments or parameters are
    wrong. The node's ``start()`` is called before spinning and ``end()`` after it.
    """
    # Blocked in every thread, they arrive in sigwait and never inside a callback: rclpy's own handler would shut the
    # context down before the node could end in order.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
        node = make()
    except (ValueError, RuntimeError) as error:  # rcl's own errors are RuntimeErrors
        print(f"{name}: {str(error).splitlines()[0]}", file=sys.stderr)
        rclpy.try_shutdown()
        return 2
    try:
        _spin(node)
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    return node.status


def _spin(node):
    wake = node.create_guard_condition(lambda: None)

    def wait():
        signal.sigwait(_SIGNALS)
        node.finished.set()
        wake.trigger()

    threading.Thread(target=wait, name="signals", daemon=True).start()
    node.start()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        while not node.finished.is_set():
            executor.spin_once()
    except ExternalShutdownException:
        return
    node.end()
