"""1-bit point-cloud perception for ROS 2: labels and markers from LiDAR clouds, at sensor rate on small boards."""

__version__ = "0.1.0"
