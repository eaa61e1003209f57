"""`make features`: which items of the inventory have a test that names them, area by area.

It reads the markers by collecting the tests without running them; a test's cases count one by one.
"""

from __future__ import annotations

import contextlib
import io
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

INVENTORY = Path(__file__).with_name("inventory.tsv")


class _Collector:
    def __init__(self) -> None:
        self.tests: dict[int, list[str]] = defaultdict(list)

    def pytest_collection_finish(self, session: Any) -> None:
        for item in session.items:
            for marker in item.iter_markers("feature"):
                for number in marker.args:
                    self.tests[number].append(item.nodeid)


def main() -> int:
    """Print the report."""
    areas: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for line in INVENTORY.read_text().splitlines():
        item, area, title, name = line.split("\t")
        areas[f"{area}. {title}"].append((int(item), name))
    collector = _Collector()
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        outcome = pytest.main(["--collect-only", "-qq", "--no-header"], plugins=[collector])
    if outcome != pytest.ExitCode.OK:  # a report of the tests that could be read would look like less was done
        print(f"the tests could not all be collected, so there is no report:\n{said.getvalue()}")
        return 1
    done = 0
    for heading, items in areas.items():
        tested = [n for n, _ in items if n in collector.tests]
        done += len(tested)
        print(f"\n{heading}: {len(tested)} of {len(items)}")
        for number, name in items:
            count = len(collector.tests.get(number, ()))
            print(f"  {'x' if count else ' '} {number:>3} {name}{f'  ({count} tests)' if count else ''}")
    total = sum(len(items) for items in areas.values())
    print(f"\n{done} of {total} items have a test")
    unknown = sorted(set(collector.tests) - {n for items in areas.values() for n, _ in items})
    if unknown:
        print(f"tests name items that do not exist: {unknown}")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
