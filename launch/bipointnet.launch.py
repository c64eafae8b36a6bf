"""ros2 launch bipointnet_ros bipointnet.launch.py cloud_topic:=/velodyne_points rviz:=true
Several LiDARs: namespace:=front,rear cloud_topic:=/front/points,/rear/points

The arguments and the node's facts are plain data in bipointnet_ros.ros.launching; here they only become launch actions.
"""

import os

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from bipointnet_ros.core import share
from bipointnet_ros.ros import launching


def generate_launch_description():
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in launching.ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=_actions)])


def _actions(context):
    given = {name: LaunchConfiguration(name).perform(context) for name in launching.ARGUMENTS}
    actions = [SetEnvironmentVariable(n, v) for n, v in launching.transport_profile(os.environ).items()]
    actions += [_node(spec) for spec in launching.node_specs(given)]
    if launching.truth("rviz", given["rviz"]):
        actions.append(_rviz(given))
    if given["bag"]:
        actions.append(ExecuteProcess(cmd=["ros2", "bag", "play", given["bag"], "--clock"], output="screen"))
    return actions


def _node(spec):
    return Node(
        package=spec.package,
        executable=spec.executable,
        name=spec.name,
        namespace=spec.namespace,
        parameters=[spec.params_file, spec.parameters],
        remappings=list(spec.remappings),
        ros_arguments=["--log-level", spec.log_level],
        output="screen",
        emulate_tty=True,
    )


def _rviz(given):
    frame = ["-f", given["fixed_frame"]] if given["fixed_frame"] else []
    return Node(
        package="rviz2",
        executable="rviz2",
        arguments=["-d", str(share.path("config/bipointnet.rviz")), *frame],
        remappings=list(launching.rviz_remappings(given["namespace"])),
        parameters=[{"use_sim_time": launching.uses_sim_time(given)}],
    )
