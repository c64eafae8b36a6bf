"""Objects as RViz markers: a box and a name each; pure functions (no rclpy here)."""

from __future__ import annotations

from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

_TEXT_HEIGHT = 0.6  # m
_NAMESPACES = (("boxes", Marker.CUBE), ("names", Marker.TEXT_VIEW_FACING))


def markers(header, objects, colours, lifetime: float, gone=()) -> MarkerArray:
    """A CUBE in ``boxes`` and a TEXT_VIEW_FACING in ``names`` per object, id = instance.

    objects: core.segments.Object. colours: (K + 1, 3) uint8 by label. lifetime: s, 0 = for ever. gone: instances of the
    array before that are no more; each gets a DELETE in both namespaces.
    """
    seconds = int(lifetime)
    duration = Duration(sec=seconds, nanosec=int((lifetime - seconds) * 1e9))
    array = [Marker(header=header, ns=ns, id=i, action=Marker.DELETE) for i in gone for ns, _ in _NAMESPACES]
    for one in objects:
        array += (_box(header, one, colours, duration), _name(header, one, colours, duration))
    return MarkerArray(markers=array)


def _box(header, one, colours, duration) -> Marker:
    length, width, height = (float(v) for v in one.size)
    x, y, z, w = (float(v) for v in one.quaternion())
    return _marker(
        header, one, _NAMESPACES[0], duration,
        pose=Pose(position=_point(one.centre), orientation=Quaternion(x=x, y=y, z=z, w=w)),
        scale=Vector3(x=length, y=width, z=height),
        color=_colour(colours[one.label], 0.4),
    )  # fmt: skip


def _name(header, one, colours, duration) -> Marker:
    position = _point(one.centre)
    position.z += float(one.size[2]) / 2 + _TEXT_HEIGHT
    return _marker(
        header, one, _NAMESPACES[1], duration,
        pose=Pose(position=position),
        scale=Vector3(z=_TEXT_HEIGHT),
        color=_colour(colours[one.label], 1.0),
        text=f"{one.name} {one.confidence:.0%}",
    )  # fmt: skip


def _marker(header, one, kind, duration, **rest) -> Marker:
    ns, shape = kind
    return Marker(header=header, ns=ns, id=int(one.instance), type=shape, action=Marker.ADD, lifetime=duration, **rest)


def _point(xyz) -> Point:
    x, y, z = (float(v) for v in xyz)
    return Point(x=x, y=y, z=z)


def _colour(rgb, alpha) -> ColorRGBA:
    red, green, blue = (float(v) / 255 for v in rgb)
    return ColorRGBA(r=red, g=green, b=blue, a=alpha)
