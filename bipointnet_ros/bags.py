"""rosbag2 recordings (sqlite3 or MCAP) in and out without ROS, by the rosbags library, which is imported when needed.

A bag is read as untrusted input: whatever the library raises becomes a FileError of one sentence.
"""

from __future__ import annotations

import dataclasses
import shutil
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path

import numpy as np

from bipointnet_ros.arrays import MAX_BYTES, FileError

CLOUD = "sensor_msgs/msg/PointCloud2"
_STORAGES = (".db3", ".mcap")
_VERSION = 8  # of the bags that are written: the newest that Humble, too, reads as it is


def is_bag(path) -> bool:
    """Whether the path is a bag by its name: a folder with metadata.yaml, one of its files, or a bag of ROS 1."""
    path = Path(path)
    return (path / "metadata.yaml").is_file() or path.suffix in (*_STORAGES, ".bag")


class Bag:
    """The clouds on one topic of a bag; iterating reads them from the file, (time [ns], PointCloud2) each.

    ``topic`` may be empty if the bag has one topic of clouds. ``rate`` [Hz] is that of the clouds, or None. FileError.
    """

    def __init__(self, path, topic: str = ""):
        self.path = Path(path)
        with _told(self.path), _reader(self.path) as reader:
            self.topic = _chosen(self.path, reader.connections, topic)
            self._count = sum(c.msgcount for c in reader.connections if _is(c, self.topic))
            seconds = reader.duration / 1e9
        self.rate = (self._count - 1) / seconds if self._count > 1 and seconds > 0 else None

    def __len__(self) -> int:
        return self._count

    def __iter__(self):
        with _told(self.path), _reader(self.path) as reader:
            for _, time, data in reader.messages([c for c in reader.connections if _is(c, self.topic)]):
                yield time, _cloud(data)


class LabeledBag:
    """A context in which a bag is copied message by message, and what is made of its clouds is added."""

    def __init__(self, bag: Bag, path, topic: str):
        self.left_out: tuple[str, ...] = ()  # topics of types that neither the bag nor the library defines
        self.bag, self._path, self._topic, self._stack = bag, Path(path), topic, ExitStack()

    def __enter__(self) -> LabeledBag:
        if self._path.exists():
            raise FileError(f"expected a new name for the labelled bag, but '{self._path}' exists: choose another")
        try:
            with _told(self._path, "write"):
                self._reader = self._stack.enter_context(_reader(self.bag.path))
                self._writer = self._stack.enter_context(_writer(self._path, self.bag.path))
                self._connect()
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(self, kind, error, trace):
        """Half a bag is of no use: it is removed."""
        whole = False
        try:
            with _told(self._path, "write"):
                self._stack.__exit__(kind, error, trace)
            whole = kind is None
        finally:
            if not whole:
                shutil.rmtree(self._path, ignore_errors=True)

    def clouds(self):
        """(time [ns], PointCloud2) of each cloud, once it is copied; all other messages are copied on the way."""
        with _told(self.bag.path):
            for connection, time, data in self._reader.messages():
                if connection.id in self._copies:
                    self._put(self._copies[connection.id], time, data)
                if _is(connection, self.bag.topic):
                    yield time, _cloud(data)

    def write(self, time: int, msg) -> None:
        """Add an answer of the class of the clouds, at a cloud's time [ns]."""
        plain = dataclasses.replace(msg, data=np.frombuffer(msg.data, np.uint8))
        self._put(self._answers, time, _types().serialize_cdr(plain, CLOUD))

    def _put(self, connection, time, data):
        with _told(self._path, "write"):
            self._writer.write(connection, time, data)

    def _connect(self):
        """The topics of the copy; a type that nobody defines cannot be declared."""
        types, self._copies, left_out = _types(), {}, []
        for c in self._reader.connections:
            if c.topic == self._topic:
                raise FileError(f"'{self.bag.path}' has '{self._topic}' already: label the bag that it was made of")
            known = {"msgdef": c.msgdef.data, "rihs01": c.digest} if c.digest and c.msgdef.data else {}
            if not known and c.msgtype not in types.types:
                left_out.append(f"{c.topic} ({c.msgtype})")
                continue
            profiles = c.ext.offered_qos_profiles
            self._copies[c.id] = self._writer.add_connection(
                c.topic, c.msgtype, typestore=types, offered_qos_profiles=profiles, **known
            )
        self._answers = self._writer.add_connection(self._topic, CLOUD, typestore=types)
        self.left_out = tuple(left_out)


@contextmanager
def _told(path: Path, what: str = "read"):
    """Turn whatever the library raises over a broken bag into a FileError."""
    try:
        yield
    except FileError:
        raise
    except OSError as error:
        raise FileError(f"cannot {what} '{path}': {error.strerror or error}") from None
    except Exception as error:  # struct, sqlite, yaml, zstd, lz4, assertions, ...: it checks little
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise FileError(f"cannot {what} the bag '{path}': {reason}") from None


def _library():
    try:
        import rosbags.rosbag2
        import rosbags.typesys
    except ImportError as error:
        raise FileError(f"bags need the rosbags library ({error}): pip install rosbags") from None
    return rosbags


def _reader(path: Path):
    if not is_bag(path):
        raise FileError(f"expected a rosbag2 (a folder with metadata.yaml, .db3, .mcap), but '{path}' is not a bag")
    if path.suffix == ".bag":
        to = path.with_suffix("")
        raise FileError(
            f"expected a rosbag2, got '{path}' of ROS 1: convert it with 'rosbags-convert --src {path} --dst {to}'"
        )
    return _library().rosbag2.Reader(path)


def _writer(path: Path, like: Path):
    """A writer of the storage that another bag has."""
    plugin = _library().rosbag2.StoragePlugin
    mcap = like.suffix == ".mcap" or like.is_dir() and any(like.glob("*.mcap*"))
    return _library().rosbag2.Writer(path, version=_VERSION, storage_plugin=plugin.MCAP if mcap else plugin.SQLITE3)


@lru_cache
def _types():
    """Definitions of the standard messages; of PointCloud2 all distributions have the same."""
    typesys = _library().typesys
    return typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)


def _cloud(data):
    if len(data) > MAX_BYTES:
        raise FileError(f"expected messages of at most {MAX_BYTES} bytes, got {len(data)}")
    return _types().deserialize_cdr(data, CLOUD)


def _is(connection, topic: str) -> bool:
    return connection.topic == topic and connection.msgtype == CLOUD


def _chosen(path: Path, connections, topic: str) -> str:
    """The topic that is asked for, or the only one that carries clouds."""
    clouds = sorted({c.topic for c in connections if c.msgtype == CLOUD})
    if topic in clouds:
        return topic
    held = ", ".join(sorted({f"{c.topic} ({c.msgtype})" for c in connections}))[:400] or "no topic at all"
    if topic:
        raise FileError(f"expected clouds ({CLOUD}) on '{topic}' in '{path}', found {held}: choose another --topic")
    if not clouds:
        hint = "record the driver's clouds, too (packets are not clouds yet)"
        raise FileError(f"expected a topic of {CLOUD} in '{path}', found {held}: {hint}")
    if len(clouds) > 1:
        raise FileError(f"expected one topic of clouds in '{path}', found {', '.join(clouds)}: choose with --topic")
    return clouds[0]
