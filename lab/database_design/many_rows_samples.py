"""Export learners in a process of its own, and say how much memory and time that took.

python -m lab.database_design.many_rows_samples NAME ROWS

NAME is a function of lab.database_design.many_rows. Linux only: the peak comes from /proc.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from pathlib import Path

SELF = Path("/proc/self")


def memory(name: str) -> int:
    """Return a number of this process in bytes: VmRSS now, VmHWM the peak."""
    (found,) = re.findall(rf"{name}:\s+(\d+) kB", (SELF / "status").read_text())
    return int(found) * 1024


def run(name: str, rows: int) -> dict[str, float]:
    """Export the first learners; return the peak above the start, and the seconds."""
    from lab.academy.models import Learner
    from lab.database_design import many_rows

    function = getattr(many_rows, name)
    with Path(os.devnull).open("w") as out:
        function(Learner.objects.order_by("pk").filter(pk__lte=1), out)  # connects
        (SELF / "clear_refs").write_text("5")  # the peak begins anew
        before, start = memory("VmRSS"), time.perf_counter()
        function(Learner.objects.order_by("pk").filter(pk__lte=rows), out)
        return {
            "bytes": memory("VmHWM") - before,
            "seconds": time.perf_counter() - start,
        }


if __name__ == "__main__":
    import django

    django.setup()
    print(json.dumps(run(sys.argv[1], int(sys.argv[2]))))
