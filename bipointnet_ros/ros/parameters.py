"""ROS parameters from core.config, the only place where a default stands."""

from __future__ import annotations

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.exceptions import ParameterException

from bipointnet_ros.core.config import Config, ConfigError, Parameter, parameters, unknown_parameter

NAMES = tuple(p.name for p in parameters())
FIXED = tuple(p.name for p in parameters() if not p.live)
_WRITE = {float: "write 2.0, not 2", tuple: "write [0.0, 0.0, 0.0], not [0, 0, 0]", int: "write 2, not 2.0 or '2'"}
_A = {
    float: "a number with a point",
    tuple: "three numbers with points",
    int: "an integer",
    str: "a text",
    bool: "true or false",
}


def declare(node) -> Config:
    """Declare every parameter on the node and answer their values; ConfigError, one sentence, for a wrong one."""
    given = getattr(node, "_parameter_overrides", {})  # the only way rclpy offers to what the user wrote
    for p in parameters():
        default = list(p.default) if isinstance(p.default, tuple) else p.default
        try:
            node.declare_parameter(p.name, default, _descriptor(p))
        except ParameterException:
            raise ConfigError(_wrong(p, given[p.name].value if p.name in given else default)) from None
    return Config(**{name: node.get_parameter(name).value for name in NAMES})


def unknown(node) -> list[str]:
    """A sentence for each value given at the start to a parameter that the node does not have; ROS ignores these."""
    given = getattr(node, "_parameter_overrides", {})
    ours = (n for n in given if not node.has_parameter(n) and not n.startswith("qos_overrides."))
    return [unknown_parameter(name) for name in sorted(ours)]


def follow(node, changed, apply) -> None:
    """Let parameters be set at run time, all or nothing.

    changed(values by name) answers what will be in force, or raises ValueError with the sentence for the caller;
    apply(that) is called once the parameters are set.
    """
    accepted = []
    late = getattr(node, "add_post_set_parameters_callback", None)  # Humble lacks it: there valid is applied at once

    def validate(changes):
        try:
            accepted[:] = [changed({p.name: p.value for p in changes if p.name in NAMES})]
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        if late is None:
            apply(accepted.pop())
        return SetParametersResult(successful=True)

    node.add_on_set_parameters_callback(validate)
    if late is not None:
        late(lambda _: apply(accepted.pop()))


def _wrong(p: Parameter, value) -> str:
    """The sentence for a value that rclpy refused: of a wrong type, or out of range."""
    kind = type(p.default)
    if kind is float and isinstance(value, float) or kind is int and type(value) is int:
        try:
            Config(**{p.name: value})
        except ConfigError as error:
            return str(error)
    advice = f": {_WRITE[kind]}" if kind in _WRITE else ""
    return f"{p.name} must be {_A[kind]}, got {value!r}{advice}"


def _descriptor(p: Parameter) -> ParameterDescriptor:
    unit = f" [{p.unit}]" if p.unit else ""
    live = "" if p.live else " (read at configure)"
    descriptor = ParameterDescriptor(description=f"{p.description}{unit}{live}")
    if p.choices:
        descriptor.additional_constraints = "one of " + ", ".join(p.choices)
    if type(p.default) is int:
        descriptor.integer_range = [IntegerRange(from_value=int(p.low), to_value=int(p.high), step=0)]
    if type(p.default) is float:
        descriptor.floating_point_range = [FloatingPointRange(from_value=p.low, to_value=p.high, step=0.0)]
    return descriptor
