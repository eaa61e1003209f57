"""Runs pages: `python -m tests.docs.running` reads paths, one a line, and writes what became of each, one JSON a line.

dotdo is imported once; each page runs in a fork of this process, so that two pages may both have an `Order`, and a page that
ends its process ends nothing else. A page has a runtime with a virtual clock, `rt`, which comes to rest between two blocks: what a
block has started goes on until it waits for somebody.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import json
import linecache
import os
import sys
import traceback
import types
from pathlib import Path

from tests.docs import page

SECONDS_MAX = 60.0


async def run(path: Path) -> int:
    """Run the blocks of a page; how many. Raises what the first that fails raises."""
    from dotdo.testing import runtime

    blocks = page.read(path)
    module = types.ModuleType(f"docs_{path.stem.replace('-', '_')}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    _show_source(path, blocks)
    count, printed = 0, io.StringIO()
    async with runtime(clock="virtual") as rt:
        module.__dict__["rt"] = rt
        for block in blocks:
            if block.language == "output":
                _compare(path, block, printed)
            if block.language != "python":
                continue
            code = compile(page.program(block, str(path)), str(path), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
            with contextlib.redirect_stdout(printed):
                running = eval(code, module.__dict__)
                if inspect.isawaitable(running):
                    await running
                await rt.settle()
            count += 1
    return count


def _compare(path: Path, block: page.Block, printed: io.StringIO) -> None:
    found = printed.getvalue()
    printed.seek(0)
    printed.truncate()
    if found != block.text:
        raise AssertionError(f"{path}:{block.line}: the page says\n{block.text}\nbut printed was\n{found}")


def _show_source(path: Path, blocks: list[page.Block]) -> None:
    """Let tracebacks and `inspect` read the page's Python at the lines of the page."""
    lines: list[str] = []
    for block in blocks:
        if block.language == "python":
            lines += ["\n"] * (block.line - 1 - len(lines)) + block.text.splitlines(keepends=True)
    linecache.cache[str(path)] = (sum(map(len, lines)), None, lines, str(path))


def _in_a_child(path: Path, write: int) -> None:
    try:
        count = asyncio.run(asyncio.wait_for(run(path), SECONDS_MAX))
        answer = {"blocks": count, "error": ""}
    except BaseException:
        answer = {"blocks": 0, "error": traceback.format_exc()}
    os.write(write, json.dumps(answer).encode())


def main() -> None:
    """Answer until nobody asks."""
    import dotdo.http
    import dotdo.testing  # noqa: F401  # once, for every page

    for line in sys.stdin:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read)
            _in_a_child(Path(line.strip()), write)
            sys.stderr.flush()
            os._exit(0)
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            answer = pipe.read()
        os.waitpid(child, 0)
        print(answer.decode() or json.dumps({"blocks": 0, "error": f"{line.strip()} ended its process"}), flush=True)


if __name__ == "__main__":
    main()
