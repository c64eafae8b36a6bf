"""For pip, colcon build and colcon build --symlink-install: the package, one C extension and the shared data."""

import re
from glob import glob
from pathlib import Path
from zlib import crc32

from setuptools import Extension, find_packages, setup

NAME = "bipointnet_ros"
SHARE = f"share/{NAME}"
NATIVE = f"{NAME}/native"
# glob answers relative paths: they also hold in the build folder of --symlink-install, where the package is a link.
ENGINE = Extension(
    f"{NAME}.native._engine",  # plain C, opened with ctypes: no Python.h
    sources=sorted(glob(f"{NATIVE}/*.c")),
    depends=sorted(glob(f"{NATIVE}/*.h")),
    define_macros=[("BPN_INTERFACE", f"{crc32(Path(NATIVE, 'kernels.h').read_bytes())}u")],  # core/library.py asks
    extra_compile_args=["-O3", "-std=c11", "-ffp-contract=off", "-fno-math-errno", "-fno-wrapv", "-pthread"],
    extra_link_args=["-pthread"],
)
DATA = ("models/*.safetensors", "models/*.npz", "models/*.md", "config/*", "launch/*.launch.py", "demo/drive/*")

setup(
    name=NAME,
    version=re.search("<version>(.*)</version>", Path("package.xml").read_text()).group(1),
    description="1-bit point-cloud perception for ROS 2: labels and markers from LiDAR clouds",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={f"{NAME}.training": ["*.json"]},
    ext_modules=[ENGINE],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (SHARE, ["package.xml", "LICENSE"]),
        *((f"{SHARE}/{pattern.rpartition('/')[0]}", sorted(glob(pattern))) for pattern in DATA),
    ],
    install_requires=["numpy>=1.21"],
    extras_require={
        "bags": ["rosbags~=0.11.9"],
        "view": ["rerun-sdk>=0.22"],
        "pictures": ["matplotlib>=3.5"],
        "training": ["torch>=2.1", "matplotlib>=3.5"],
    },
    zip_safe=False,
    entry_points={
        "console_scripts": [
            f"bipointnet = {NAME}.cli:main",
            f"bipointnet_node = {NAME}.ros.node:main",
        ]
    },
)
