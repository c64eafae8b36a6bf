"""What the launch file starts, as plain facts: importable without launch, so that a test can start the same thing."""

from __future__ import annotations

import os
from dataclasses import dataclass

from bipointnet_ros.core import share

PACKAGE, EXECUTABLE, NAME = "bipointnet_ros", "bipointnet_node", "bipointnet"
TRUTHS = {"true": True, "false": False}
# launch argument -> default, description; "" = as the parameter file says
ARGUMENTS = {
    "cloud_topic": ("points", "topic of the clouds; one for each namespace, separated by commas, or one for all"),
    "params_file": ("", "parameters; empty = config/bipointnet.yaml"),
    "model": ("", "path or name of the model; empty = as the parameter file says"),
    "rviz": ("false", "start RViz: true or false"),
    "use_sim_time": ("", "take the time from /clock: true or false; empty = true with a bag, else false"),
    "bag": ("", "rosbag2 to play, with its clock; empty = none"),
    "namespace": ("", "namespace of the node; several LiDARs: several, separated by commas, and one node in each"),
    "autostart": ("", "configure and activate by itself: true or false; empty = as the parameter file says"),
    "fixed_frame": ("", "RViz' fixed frame; empty = that of config/bipointnet.rviz"),
    "log_level": ("info", "debug, info, warn, error or fatal"),
}
# Jazzy and older read the first, later ones the second and warn of the first
_PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
_OLDER = ("humble", "iron", "jazzy")

_LOCAL = ("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")


@dataclass(frozen=True)
class NodeSpec:
    """A node as launch_ros.actions.Node takes it; parameters: a file and then values that override it."""

    package: str
    executable: str
    name: str
    namespace: str
    params_file: str
    parameters: dict
    remappings: tuple[tuple[str, str], ...]
    log_level: str

    def arguments(self) -> list[str]:
        """The command line that launch_ros gives the executable."""
        out = ["--ros-args", "-r", f"__node:={self.name}"]
        out += ["-r", f"__ns:=/{self.namespace}"] if self.namespace else []
        out += ["--params-file", self.params_file]
        for name, value in self.parameters.items():
            out += ["-p", f"{name}:={str(value).lower() if isinstance(value, bool) else value}"]
        for source, target in self.remappings:
            out += ["-r", f"{source}:={target}"]
        return [*out, "--log-level", self.log_level]


def node_specs(arguments: dict[str, str]) -> list[NodeSpec]:
    """The nodes for values of ``ARGUMENTS``, the others at their defaults: one in each namespace.

    ValueError for an unknown or wrong argument.
    """
    given = complete(arguments)
    namespaces, topics = ([word.strip() for word in given[name].split(",")] for name in ("namespace", "cloud_topic"))
    if len(topics) == 1:
        topics *= len(namespaces)
    if len(topics) != len(namespaces) or len(set(namespaces)) != len(namespaces):
        raise ValueError(
            "cloud_topic must be one topic, or one for each namespace, and no namespace twice, "
            f"got {len(topics)} topics for '{given['namespace']}'"
        )
    return [_node_spec(given, namespace, topic) for namespace, topic in zip(namespaces, topics)]


def _node_spec(given: dict[str, str], namespace: str, cloud_topic: str) -> NodeSpec:
    parameters = {"use_sim_time": uses_sim_time(given)}
    if given["model"]:
        parameters["model"] = given["model"]
    if given["autostart"]:
        parameters["autostart"] = truth("autostart", given["autostart"])
    return NodeSpec(
        package=PACKAGE,
        executable=EXECUTABLE,
        name=NAME,
        namespace=namespace.strip("/"),
        params_file=given["params_file"] or str(share.path("config/bipointnet.yaml")),
        parameters=parameters,
        remappings=(("points", cloud_topic),),
        log_level=given["log_level"],
    )


def complete(arguments: dict[str, str]) -> dict[str, str]:
    """All arguments with their values; ValueError names an unknown one."""
    for name in arguments:
        if name not in ARGUMENTS:
            raise ValueError(f"unknown launch argument '{name}': expected some of {', '.join(ARGUMENTS)}")
    return {name: arguments.get(name, default) for name, (default, _) in ARGUMENTS.items()}


def uses_sim_time(given: dict[str, str]) -> bool:
    """Whether time comes from /clock: as told, else with a bag."""
    return truth("use_sim_time", given["use_sim_time"]) if given["use_sim_time"] else bool(given["bag"])


def rviz_remappings(namespace: str) -> tuple[tuple[str, str], ...]:
    """From the topics of config/bipointnet.rviz to those of the node in its namespace, of several in the first."""
    first = namespace.split(",")[0].strip(" /")
    prefix = f"/{first}" if first else ""
    return tuple((f"/{NAME}/{topic}", f"{prefix}/{NAME}/{topic}") for topic in ("labeled_points", "markers"))


def truth(name: str, value: str) -> bool:
    """A launch argument of true or false."""
    if value.lower() not in TRUTHS:
        raise ValueError(f"{name} must be true or false, got '{value}'")
    return TRUTHS[value.lower()]


def transport_profile(environment) -> dict[str, str]:
    """Variables that make Fast DDS carry large clouds, by ROS_DISTRO; none if the user has chosen a profile already."""
    if any(environment.get(name) for name in _PROFILE_VARIABLES):
        return {}
    distribution = environment.get("ROS_DISTRO")
    older, newer = distribution in (None, *_OLDER), distribution not in _OLDER
    variables = [name for name, wanted in zip(_PROFILE_VARIABLES, (older, newer)) if wanted]
    return dict.fromkeys(variables, str(share.path("config/fastdds_large_clouds.xml")))


def private_domain(domain: int) -> dict[str, str]:
    """Variables that keep ROS processes on this machine and in a domain of their own (demo and tests)."""
    local = ("ROS_LOCALHOST_ONLY", "1") if os.environ.get("ROS_DISTRO") == "humble" else _LOCAL
    return {"ROS_DOMAIN_ID": str(domain), **dict([local])}
