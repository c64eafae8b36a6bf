"""What stands in a simulated world: its parts, numbered thing by thing."""

from __future__ import annotations

from bipointnet_ros.training.shapes import Shape

OBJECTS = ("car", "large", "pedestrian", "cycle", "pole", "vegetation", "other")


class Things:
    """shapes: the parts of all things; kinds[k - 1]: what thing number k is, index into OBJECTS."""

    def __init__(self, rng):
        self.rng, self.shapes, self.kinds = rng, [], []

    def add(self, kind: str, parts: list[Shape], x, y, z, yaw: float):
        """Set a thing down."""
        self.kinds.append(OBJECTS.index(kind))
        self.shapes += [part.placed(float(x), float(y), float(z), yaw, len(self.kinds)) for part in parts]
