"""A page of the documentation, cut into its blocks.

    ```python          runs; the blocks of a page run in order, as one program in which `await` is allowed everywhere
    ```output          what the blocks since the last `output` have printed, to the letter
    ```console         lines that begin with `$ dotdo` are commands, checked against the command's own parser
    ```py title="..."  Python that is another product's, or of a place that is not here: shown, never run, and listed by the test
    <!-- python        as `python`, but not shown: what a reader need not see

A program's `if __name__ == "__main__":` is taken, and its `asyncio.run(main())` awaited.
"""

from __future__ import annotations

import ast
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

SHOWN_ONLY = {"py", "ts", "js", "text", "bash", "toml", "html", "yaml"}
"""Languages of blocks that nothing is claimed of."""

LANGUAGES = SHOWN_ONLY | {"python", "output", "console"}

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[\w-]*)(?P<rest>[^`\n]*)$")
_HIDDEN = re.compile(r"^<!-- python$")
_COMMAND = re.compile(r"^\$ (?:[A-Z_]+=\S+ )*(dotdo .*)$")
_TITLE = re.compile(r'title="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Block:
    """One block: what it is, what is written above it, and where its text begins (counted from 1)."""

    language: str
    title: str
    line: int
    text: str


def read(path: Path) -> list[Block]:
    """The blocks of a page in order. Raises ValueError for one that is not closed."""
    lines = path.read_text(encoding="utf-8").splitlines()
    blocks, at = [], 0
    while at < len(lines):
        fence, hidden = _FENCE.match(lines[at]), _HIDDEN.match(lines[at])
        if fence is None and hidden is None:
            at += 1
            continue
        closing = "-->" if fence is None else f"{fence['indent']}```"
        end = next((n for n in range(at + 1, len(lines)) if lines[n].rstrip() == closing), None)
        if end is None:
            raise ValueError(f"{path}:{at + 1}: this block is not closed")
        text = textwrap.dedent("\n".join(lines[at + 1 : end]) + "\n")
        title = _TITLE.search(fence["rest"]) if fence else None
        blocks.append(Block(fence["language"] if fence else "python", title[1] if title else "", at + 2, text))
        at = end + 1
    return blocks


def commands(blocks: list[Block]) -> list[tuple[int, str]]:
    """The lines `$ dotdo ...` of console blocks, with their numbers; what is set before a command is left out."""
    return [
        (block.line + n, command[1])
        for block in blocks
        if block.language == "console"
        for n, line in enumerate(block.text.splitlines())
        if (command := _COMMAND.match(line))
    ]


def program(block: Block, filename: str) -> ast.Module:
    """A block of Python as what runs: on its page's lines, what it does when it is a program included."""
    tree = ast.parse("\n" * (block.line - 1) + block.text, filename)
    body: list[ast.stmt] = []
    for statement in tree.body:
        body += statement.body if _is_main_guard(statement) else [statement]
    tree.body = [_awaited(statement) for statement in body]
    return ast.fix_missing_locations(tree)


def _is_main_guard(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and ast.unparse(statement.test) == "__name__ == '__main__'"


def _awaited(statement: ast.stmt) -> ast.stmt:
    """`asyncio.run(main())` as `await main()`, for a page has a loop already."""
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name("asyncio"), attr="run"), args=[call])):
            return ast.copy_location(ast.Expr(ast.copy_location(ast.Await(call), statement)), statement)
    return statement
