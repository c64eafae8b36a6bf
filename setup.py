from setuptools import Extension, find_packages, setup

setup(
    name="bipointnet_ros",
    version="0.1.0",
    packages=find_packages(include=["bipointnet_ros", "bipointnet_ros.*"]),
    ext_modules=[
        Extension("bipointnet_ros.native._engine", sorted(__import__("glob").glob("bipointnet_ros/native/*.c")))
    ],
)
