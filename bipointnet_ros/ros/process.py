"""A node as a process: signals end it in order, wrong arguments are one sentence."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import sys
import threading

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

_SIGNALS = {signal.SIGINT, signal.SIGTERM}
_TOO_MANY = 100  # failures of callbacks in a row


def run(name: str, make, args=None) -> int:
    """Spin the node that ``make()`` answers until SIGINT, SIGTERM or its ``finished`` (a threading.Event) is set.

    Exit status: the node's ``status``, or 2 with one sentence on standard error if the arguments or parameters are
    wrong. The node's ``start()`` is called before spinning and ``end()`` after it.
    """
    arrival, descriptor = _watched()
    try:
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
        node = make()
    except (ValueError, RuntimeError) as error:  # rcl's own errors are RuntimeErrors
        print(f"{name}: {str(error).splitlines()[0]}", file=sys.stderr)
        rclpy.try_shutdown()
        return 2
    gc.freeze()  # what is imported by now stays: looking through it costs 30 ms of one scan in a hundred
    try:
        with _waking(node, arrival, descriptor):
            _spin(node)
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    return node.status


def _watched() -> tuple[socket.socket, int]:
    """A socket to which a byte comes with each signal, and the descriptor through which it comes; never closed.

    rclpy's own handler would end the context before the node could end.

    This thread and all that it starts are left alone. Older ones, such as those of a BLAS that numpy has loaded, are
    not, so the signals cannot be awaited by sigwait: whichever thread gets one, Python's handler writes the byte.
    """
    arrival, sender = socket.socketpair()
    sender.setblocking(False)
    for number in _SIGNALS:
        signal.signal(number, lambda *_: None)
    descriptor = sender.detach()
    signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    return arrival, descriptor


@contextlib.contextmanager
def _waking(node, arrival: socket.socket, descriptor: int):
    """A signal finishes the node meanwhile; when this ends, so has the thread that would touch it."""
    wake = node.create_guard_condition(lambda: None)

    def wait():
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        arrival.recv(1)
        node.finished.set()
        wake.trigger()

    thread = threading.Thread(target=wait, name="signals", daemon=True)
    thread.start()
    try:
        yield
    finally:
        with contextlib.suppress(BlockingIOError):  # full of signals
            os.write(descriptor, b"\0")
        thread.join()


def _spin(node):
    node.start()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    if _work(executor, node):
        node.end()


def _work(executor, node) -> bool:
    """Run callbacks until the node is finished; False if somebody else has shut the context down.

    rclpy ends the process when a callback raises, and its own parameter services raise for a malformed request: that
    is told and survived, unless nothing else happens any more.
    """
    failures = 0
    while not node.finished.is_set():
        try:
            executor.spin_once()
            failures = 0
        except ExternalShutdownException:
            return False
        except Exception as error:
            failures += 1
            if failures == _TOO_MANY:
                raise
            node.get_logger().error(f"a request or callback failed, {type(error).__name__}: {error}")
    return True
