"""Stands in for rerun-sdk (170 MB), as far as bipointnet_ros/view.py uses it: what is logged becomes lines of JSON.

It is as strict as the library about names of arguments. RERUN_STANDIN=0.22 makes it lack what that version lacks.
"""

import json
import os

import numpy as np

_OLD = os.environ.get("RERUN_STANDIN") == "0.22"


class RecordingStream:
    def __init__(self, application_id):
        self.path, self.now = None, {}

    def flush(self):
        pass


class _Archetype:
    def __init__(self, **columns):
        self.columns = {name: np.asarray(values).tolist() for name, values in columns.items() if values is not None}


class Points3D(_Archetype):
    def __init__(self, positions, *, radii=None, colors=None, class_ids=None):
        assert np.isfinite(positions).all() and np.shape(positions)[1:] == (3,)
        assert class_ids is None or (len(class_ids) == len(positions) and class_ids.dtype == np.uint16)
        super().__init__(positions=positions, class_ids=class_ids)


class Boxes3D(_Archetype):
    def __init__(self, *, sizes, centers, quaternions, colors, labels, show_labels):
        assert len(sizes) == len(centers) == len(quaternions) == len(colors) == len(labels)
        turned = [q.xyzw for q in quaternions]
        super().__init__(sizes=sizes, centers=centers, quaternions=turned, colors=colors, labels=labels)


class Quaternion:
    def __init__(self, *, xyzw):
        self.xyzw = tuple(xyzw)


class Clear(_Archetype):
    def __init__(self, *, recursive):
        super().__init__()


class AnnotationContext(_Archetype):
    def __init__(self, context):
        super().__init__(names=[name for _, name, _ in context])


class _Scalar(_Archetype):
    def __init__(self, value):
        super().__init__(value=value)


def log(path, entity, *, static=False, recording):
    line = {"path": path, "kind": type(entity).__name__, "at": dict(recording.now), **entity.columns}
    with open(recording.path, "a") as stream:
        stream.write(json.dumps(line) + "\n")


def save(path, *, default_blueprint, recording):
    recording.path = path
    open(path, "w").close()


if _OLD:

    class Scalar(_Scalar):
        pass

    def new_recording(application_id):
        return RecordingStream(application_id)

    def set_time_sequence(timeline, sequence, recording):
        recording.now[timeline] = sequence

    def set_time_seconds(timeline, seconds, recording):
        recording.now[timeline] = seconds

else:

    class Scalars(_Scalar):
        pass

    def set_time(timeline, *, recording, sequence=None, timestamp=None):
        recording.now[timeline] = sequence if timestamp is None else timestamp
