"""Objects as vision_msgs/Detection3DArray; importing this raises ImportError where vision_msgs is not installed."""

from __future__ import annotations

from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from vision_msgs.msg import BoundingBox3D, Detection3D, Detection3DArray, ObjectHypothesisWithPose


def detections(header, objects) -> Detection3DArray:
    """One detection per object of core.segments: class by name, score 0..1, box and pose in the header's frame."""
    return Detection3DArray(header=header, detections=[_detection(header, one) for one in objects])


def _detection(header, one) -> Detection3D:
    x, y, z = (float(v) for v in one.centre)
    length, width, height = (float(v) for v in one.size)
    a, b, c, d = one.quaternion()
    pose = Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=a, y=b, z=c, w=d))
    said = ObjectHypothesisWithPose()
    said.hypothesis.class_id, said.hypothesis.score = one.name, float(one.confidence)
    said.pose.pose = pose
    box = BoundingBox3D(center=pose, size=Vector3(x=length, y=width, z=height))
    return Detection3D(header=header, results=[said], bbox=box, id=str(one.instance))
