#!/bin/sh
# On a Raspberry Pi, a Jetson or any Linux: builds the package, measures it, prints the machine and a row to paste.
#   benchmarks/on_device.sh [--quick]        everything goes into .venv-device; PYTHON chooses the interpreter
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
json=$(mktemp)
trap 'rm -f "$json"' EXIT

[ -x .venv-device/bin/python ] || "$python" -m venv --system-site-packages .venv-device
.venv-device/bin/python -m pip install -q --disable-pip-version-check .
governor=/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor
echo "kernel:      $(uname -srm)"
echo "compiler:    $(${CC:-cc} --version | head -n 1)"
echo "governor:    $(cat $governor 2>/dev/null || echo unknown)"
echo "load before: $(cut -d ' ' -f 1-3 /proc/loadavg)"
(cd / && "$OLDPWD/.venv-device/bin/bipointnet" bench --json "$@") >"$json"
echo "temperature: $(cat /sys/class/thermal/thermal_zone0/temp 2>/dev/null || echo unknown) (thousandths of a degree, after)"
echo
.venv-device/bin/python - "$json" <<'PYTHON'
import json
import sys

answer = json.load(open(sys.argv[1]))
machine, rows = answer["machine"], answer["rows"]
best = next(row["backend"] for row in rows)


def ms(name, points, batch, threads):
    found = [r for r in rows if r["backend"] == best and (r["name"], r["batch"], r["threads"]) == (name, batch, threads)]
    found = [r for r in found if points in (None, r["points"])]
    return f"{found[0]['ms_min']:.3f}" if found else "-"


vanilla, scan = "vanilla, worst case", "lidar scan"
print("| board | cores | backend | date | vanilla, 1,024 points, 1 thread, ms | 2 threads | 32 clouds, 2 threads "
      "| scan, 1 thread | scan, 2 threads |")  # fmt: skip
print("|---" * 9 + "|")
figures = [ms(vanilla, 1024, 1, 1), ms(vanilla, 1024, 1, 2), ms(vanilla, 1024, 32, 2), ms(scan, None, 1, 1)]
print("|", " | ".join([machine["board"], str(machine["cores"]), best, machine["date"], *figures, ms(scan, None, 1, 2)]), "|")
PYTHON
