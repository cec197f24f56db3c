"""Shows where the processes of a busy portal spend their time, with py-spy.

``python -m benchmarks.profile --database sqlite --seconds 15`` keeps two workers busy and looks at a worker with its job
processes, and at a web process. It prints the functions that take most, and keeps the stacks, folded, for flame graphs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks import seed
from benchmarks.effort import QUICK
from benchmarks.figures import throughput
from benchmarks.figures.memory import children
from benchmarks.rig import Rig, site, wait_for
from tests.support import reaper

WORKERS = 2
RATE = 200
"""Looks a second."""

_LINES = 30


def main() -> None:
    """Profile a busy portal."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description="Profile a busy portal.")
    parser.add_argument("--database", choices=["postgresql", "sqlite"], default="postgresql")
    parser.add_argument("--runs", type=int, default=1_000, help="how many action runs the tables hold")
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--out", type=Path, default=Path("var/profile"), help="a folder for the folded stacks")
    asked = parser.parse_args()
    reaper.watch_over_this_process()
    asked.out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        site(Path(folder), seed.fill) as place,
        place.rig(asked.database, asked.runs) as rig,
    ):
        for name, file in _profiled(rig, asked.seconds, asked.out):
            _show(name, file.read_text().splitlines())
            print(f"stacks: {file}")


def _profiled(rig: Rig, seconds: int, out: Path) -> list[tuple[str, Path]]:
    seeded = rig.number(throughput.ACTIVE)
    with rig.web() as web, rig.workers(WORKERS) as supervisor:
        effort = replace(QUICK, rounds=1, seconds=seconds + 5)
        load = threading.Thread(target=throughput.load, args=[rig, web.address, effort])
        load.start()
        wait_for(lambda: rig.number(throughput.ACTIVE) - seeded > throughput.BACKLOG / 2)
        watched = [
            ("a worker and its job processes", out / f"worker-{rig.kind}.txt", children(supervisor)[0]),
            ("a web process", out / f"web-{rig.kind}.txt", children(web.pid)[0]),
        ]
        spies = [_spy(pid, seconds, file) for _, file, pid in watched]
        for spy in spies:
            if spy.wait():
                print("py-spy failed: it has to be allowed to trace processes", file=sys.stderr)
        load.join()
    return [(name, file) for name, file, _ in watched if file.exists()]


def _spy(pid: int, seconds: int, file: Path) -> subprocess.Popen[bytes]:
    program = Path(sys.executable).with_name("py-spy")
    options = ["--pid", str(pid), "--subprocesses", "--duration", str(seconds), "--rate", str(RATE)]
    return subprocess.Popen(
        [program, "record", *options, "--format", "raw", "--output", file],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _show(name: str, stacks: Sequence[str]) -> None:
    """Print which functions take most, with what they call and on their own."""
    whole: Counter[str] = Counter()
    own: Counter[str] = Counter()
    for line in stacks:
        frames, _, times = line.rpartition(" ")
        functions = [frame.rpartition(":")[0] or frame for frame in frames.split(";")]
        for function in set(functions):
            whole[function] += int(times)
        own[functions[-1]] += int(times)
    looks = sum(own.values()) or 1
    print(f"\n{name}: {looks} looks that found it at work\n")
    for title, counted in (("with what they call", whole), ("on their own", own)):
        print(f"  {title}")
        for function, found in counted.most_common(_LINES):
            print(f"    {100 * found / looks:5.1f} %  {function}")


if __name__ == "__main__":
    main()
