"""What the node uses of tf2_ros where it is not installed: transforms from a topic, each valid until it is cleared."""

import time

from geometry_msgs.msg import TransformStamped

TOPIC = "/tf_stand_in"


class TransformException(Exception):
    pass


class Buffer:
    def __init__(self):
        self.known = {}

    def clear(self):
        self.known.clear()

    def set_transform(self, transform, authority):
        self.known[transform.header.frame_id, transform.child_frame_id] = transform

    def lookup_transform(self, target_frame, source_frame, time, timeout):
        self._wait((target_frame, source_frame), timeout)
        return self.known[target_frame, source_frame]

    def _wait(self, frames, timeout):
        end = time.monotonic() + timeout.nanoseconds / 1e9
        while frames not in self.known:
            if time.monotonic() > end:
                raise TransformException(f"'{frames[1]}' and '{frames[0]}' are not connected")
            time.sleep(0.01)


class TransformListener:
    def __init__(self, buffer, node):
        self._node = node
        self._subscription = node.create_subscription(TransformStamped, TOPIC, self._hear, 100)
        self._buffer = buffer

    def _hear(self, msg):
        self._buffer.set_transform(msg, "")

    def unregister(self):
        self._node.destroy_subscription(self._subscription)
