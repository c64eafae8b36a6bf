"""The node's state as diagnostic_msgs, for rqt and diagnostic aggregators (no rclpy here)."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


def diagnostics(stamp, name: str, level: bytes, message: str, values: dict) -> DiagnosticArray:
    """One status of the node called name; stamp: builtin_interfaces/Time, values: text by key."""
    pairs = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
    array = DiagnosticArray(status=[DiagnosticStatus(level=level, name=name, message=message, values=pairs)])
    array.header.stamp = stamp
    return array


def values(snapshot, pipeline) -> dict[str, str]:
    """The keys that /diagnostics promises; pipeline None = no model is loaded."""
    s = snapshot
    out = {
        "rate_hz": f"{s.rate:.2f}",
        "latency_p50_ms": f"{s.latency[0]:.1f}",
        "latency_p95_ms": f"{s.latency[1]:.1f}",
        "age_p50_ms": f"{s.age[0]:.1f}",
        "age_p95_ms": f"{s.age[1]:.1f}",
        "received": str(s.received),
        "answered": str(s.answered),
        "dropped": str(sum(s.dropped.values())),
        "in_work": str(s.in_work),
    }
    out.update((f"dropped_{reason}", str(count)) for reason, count in s.dropped.items())
    out.update(points=str(s.points), objects=str(s.objects))
    if pipeline is not None:
        out.update(model=pipeline.config.model, backend=pipeline.backend_name, threads=str(pipeline.threads))
        out.update(classes=", ".join(pipeline.model.classes))
    out.update((f"stage_{name}_ms", f"{ms:.2f}") for name, ms in s.stages.items())
    return out
