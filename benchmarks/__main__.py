"""`make bench`: everything in one run, on one machine.

    python -m benchmarks [--quick] [--only NAME ...] [--ray-actors N] [--json FILE]

Compare the rows of one run with each other, not with another day's: disks and neighbours change. NAME is one of the
measurements below; what hangs on Ray's figures or the disk's has its target only when those are taken too.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console

from benchmarks import calls, declared, documents, doors, events, floor, in_tests, life, plain_ray, recovery, table, writes
from benchmarks.rows import Row, Sheet
from benchmarks.setting import Setting, start_ray

DURABILITY = "full"

MEASUREMENTS: dict[str, Callable[[Setting, Sheet], Iterator[Row]]] = {
    "disk": lambda setting, _: floor.disk(setting),
    "ray": lambda setting, _: plain_ray.calls(setting),
    "calls": calls.from_a_program,
    "entity-to-entity": lambda setting, _: calls.from_an_entity(setting),
    "create": lambda setting, _: writes.create(setting),
    "wake": lambda setting, _: writes.wake(setting),
    "increments": lambda setting, _: writes.increments(setting),
    "steps": lambda setting, _: writes.steps(setting),
    "declared": lambda setting, _: declared.runs(setting),
    "events": lambda setting, _: events.delivery(setting),
    "timers": lambda setting, _: events.timers(setting),
    "documents": lambda setting, _: documents.collection(setting),
    "followed": lambda setting, _: documents.followed(setting),
    "http": lambda setting, _: doors.over_http(setting),
    "live": lambda setting, _: life.live(setting),
    "start": lambda setting, _: life.start(setting),
    "in-tests": lambda setting, _: in_tests.waits(setting),
    "recovery": lambda setting, _: recovery.recovery(setting),
}


def measure(names: list[str], setting: Setting, console: Console) -> Sheet:
    """Take the rows, one measurement after another."""
    sheet = Sheet()
    for name in names:
        started = time.perf_counter()
        for row in MEASUREMENTS[name](setting, sheet):
            sheet.add(row)
        disk = sheet.find(floor.APPENDING)
        if disk is not None and name != "disk":
            disk.rounds.append(floor.sync_once_more(setting))
        console.print(f"{name}: {time.perf_counter() - started:.1f} s", style="dim")
    return sheet


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two rounds, a tenth of the entities: to see that it works")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=list(MEASUREMENTS), help=f"some of: {', '.join(MEASUREMENTS)}")
    parser.add_argument("--ray-actors", type=int, default=20, help="how many plain Ray actors, a process each, stand beside 100 entities")
    parser.add_argument("--json", type=Path, default=Path("bench.json"), help="where the rows go (default: bench.json)")
    options = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 150)
    about = table.circumstances(DURABILITY)
    start_ray()
    with tempfile.TemporaryDirectory(prefix="dotdo-bench-", dir=".") as folder:
        setting = Setting(Path(folder).absolute(), options.quick, options.ray_actors)
        sheet = measure(options.only or list(MEASUREMENTS), setting, console)
        table.show(sheet, about, console)
        table.write(sheet, about, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
