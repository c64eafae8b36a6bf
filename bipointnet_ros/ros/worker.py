"""One thread and one place to wait: the newest cloud wins, and what has begun is finished."""

from __future__ import annotations

import threading


class Worker:
    """Calls ``work(item)`` in a thread of its own; an item that waits is replaced by a newer one.

    ``superseded(item)`` is called, in the thread of ``put``, with each item that is replaced, and ``left(item)``, in
    that of ``stop``, with the one that still waits then. ``work`` must not raise.
    """

    def __init__(self, work, superseded, left):
        self._work, self._superseded, self._left = work, superseded, left
        self._waiting = None
        self._running = True
        self._change = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)
        self._thread.start()

    def put(self, item) -> None:
        """Make item the next one; never blocks for longer than it takes to exchange two references."""
        with self._change:
            replaced, self._waiting = self._waiting, item
            self._change.notify()
        if replaced is not None:
            self._superseded(replaced)

    def stop(self, timeout: float | None = None) -> bool:
        """Let the item in work be finished, drop the one that waits; False if it took longer than timeout [s]."""
        with self._change:
            self._running = False
            left, self._waiting = self._waiting, None
            self._change.notify()
        if left is not None:
            self._left(left)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self):
        while True:
            with self._change:
                self._change.wait_for(lambda: self._waiting is not None or not self._running)
                item, self._waiting = self._waiting, None
            if item is None:
                return
            self._work(item)
            del item  # a cloud is megabytes: hold none while waiting
