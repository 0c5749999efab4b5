"""Every fault of the machine, in full: each call that changes a file fails, each state that a power cut leaves is opened. Prints a table."""

from __future__ import annotations

import time

from faults.machine import CASES, run


def main() -> None:
    print(f"{'case':<22}{'faults':>8}{'went on':>9}{'ended':>7}{'lost, doubled or half done':>28}{'seconds':>9}")
    for case in CASES:
        started = time.monotonic()
        found = run(case)
        print(f"{case:<22}{found['faults']:>8,}{found['survived']:>9,}{found['ended']:>7,}{found['wrong']:>28}{time.monotonic() - started:>9.0f}", flush=True)
    for case in CASES:
        started = time.monotonic()
        found = run(f"power-{case}")
        print(f"{'power cut in ' + case:<22}{found['images']:>8,}{'':>16}{found['wrong']:>28}{time.monotonic() - started:>9.0f}", flush=True)


if __name__ == "__main__":
    main()
