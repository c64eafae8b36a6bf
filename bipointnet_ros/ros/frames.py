"""Answers in another frame than their clouds: tf2_ros, which is imported only when ``output_frame`` is set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rclpy.clock import JumpThreshold
from rclpy.duration import Duration
from rclpy.time import Time
from std_msgs.msg import Header

_PATIENCE = Duration(seconds=0.1)  # for a transform that arrives later than the cloud, on top of the inference
_BACK = JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True)


class FrameError(ValueError):
    """There is no tf2_ros, or no transform to the output frame at the time of a cloud."""


@dataclass(frozen=True)
class Move:
    """From a cloud's frame to that of header: rotation (3, 3) @ xyz + translation (3,) [m], float64."""

    header: Header
    rotation: np.ndarray
    translation: np.ndarray


class Frames:
    """The way from any frame to ``frame`` at any recent time."""

    def __init__(self, node, frame: str):
        try:
            import tf2_ros
        except ImportError:
            raise FrameError(
                f"output_frame '{frame}' needs tf2_ros, which is not installed: "
                "install ros-$ROS_DISTRO-tf2-ros-py, or set output_frame to ''"
            ) from None
        self._frame, self._tf2 = frame, tf2_ros
        self._buffer = tf2_ros.Buffer()
        self._listener = tf2_ros.TransformListener(self._buffer, node)
        # after a jump back (a bag that is looped) what the buffer holds is the future, and it would refuse the present
        clear = lambda _: self._buffer.clear()  # noqa: E731
        self._jump = node.get_clock().create_jump_callback(_BACK, post_callback=clear)

    def move(self, header: Header) -> Move | None:
        """From the frame of header, at its stamp; None if it is the output frame itself. FrameError if tf cannot tell.

        Waits a little for what tf does not know yet, so not to be called where tf's own callbacks run.
        """
        if header.frame_id == self._frame:
            return None
        try:
            found = self._buffer.lookup_transform(
                self._frame, header.frame_id, Time.from_msg(header.stamp), timeout=_PATIENCE
            ).transform
        except (self._tf2.TransformException, ValueError) as error:  # ValueError: a stamp before 1970
            raise FrameError(f"no transform from '{header.frame_id}' to '{self._frame}': {error}") from None
        q, t = found.rotation, found.translation
        return Move(
            Header(stamp=header.stamp, frame_id=self._frame),
            rotation(np.array([q.x, q.y, q.z, q.w])),
            np.array([t.x, t.y, t.z]),
        )

    def destroy(self) -> None:
        self._jump.unregister()
        self._listener.unregister()


def rotation(quaternion: np.ndarray) -> np.ndarray:
    """(x, y, z, w), of any length but 0 -> (3, 3) float64."""
    x, y, z, w = quaternion / np.linalg.norm(quaternion)
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.eye(3) + 2.0 * (w * cross + cross @ cross)
