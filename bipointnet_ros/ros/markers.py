"""Objects as RViz markers: a box and a name each; pure functions (no rclpy here)."""

from __future__ import annotations

from copy import copy

from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Quaternion, Vector3
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
    # A copy that shares what all have is many times as fast as a new one, which makes ten messages of its own.
    box, name = (
        Marker(header=header, ns=ns, type=shape, action=Marker.ADD, lifetime=duration) for ns, shape in _NAMESPACES
    )
    clear, full = ([_colour(rgb, alpha) for rgb in colours] for alpha in (0.4, 1.0))
    name.scale = Vector3(z=_TEXT_HEIGHT)
    for one in objects:
        array += (_box(copy(box), one, clear[one.label]), _name(copy(name), one, full[one.label]))
    return MarkerArray(markers=array)


def _box(marker, one, colour) -> Marker:
    length, width, height = one.size.tolist()
    x, y, z, w = one.quaternion()
    marker.id, marker.color = int(one.instance), colour
    marker.pose = copy(marker.pose)
    marker.pose.position, marker.pose.orientation = _point(one.centre), Quaternion(x=x, y=y, z=z, w=w)
    marker.scale = Vector3(x=length, y=width, z=height)
    return marker


def _name(marker, one, colour) -> Marker:
    marker.id, marker.color = int(one.instance), colour
    marker.pose = copy(marker.pose)
    marker.pose.position = _point(one.centre)
    marker.pose.position.z += float(one.size[2]) / 2 + _TEXT_HEIGHT
    marker.text = f"{one.name} {one.confidence:.0%}"
    return marker


def _point(xyz) -> Point:
    x, y, z = xyz.tolist()
    return Point(x=x, y=y, z=z)


def _colour(rgb, alpha) -> ColorRGBA:
    red, green, blue = (float(v) / 255 for v in rgb)
    return ColorRGBA(r=red, g=green, b=blue, a=alpha)
