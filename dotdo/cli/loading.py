"""The nouns of a program: a file, run as far as it defines things, or the name of a module.

A file is run as `python app.py` would run it, as `__main__`, but without its `if __name__ == "__main__":` part. So its
nouns have the very names they have when the file itself is run, and a program that joins later speaks of the same ones.
"""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path
from types import ModuleType

from dotdo.cli.failing import Failed, Usage


def load(app: str) -> list[str]:
    """Load a program's nouns; those that are new here. Raises Usage, Failed."""
    from dotdo.hosting import catalog

    importlib.import_module("dotdo.public")  # the runtime's own nouns are none of the program's
    before = set(catalog.known())
    path = Path(app)
    try:
        if path.suffix == ".py" or path.exists():
            run_file(path)
        else:
            sys.path.insert(0, str(Path.cwd()))
            importlib.import_module(app)
    except ModuleNotFoundError as error:
        if error.name == app:
            raise Usage(f"there is no file and no module {app!r}") from None
        raise Failed(f"{app} cannot be loaded: {error}") from error
    except Failed:
        raise
    except Exception as error:
        raise Failed(f"{app} cannot be loaded: {type(error).__name__}: {error}") from error
    return sorted(set(catalog.known()) - before)


def run_file(path: Path) -> None:
    """Run a file as `__main__`, without what it does only as a program. Raises Usage."""
    if not path.is_file():
        raise Usage(f"there is no file {path}")
    full = path.absolute()
    tree = ast.parse(full.read_bytes(), filename=str(full))
    tree.body = [node for node in tree.body if not _is_program_part(node)]
    module = ModuleType("__main__", ast.get_docstring(tree))
    module.__file__ = str(full)
    sys.path.insert(0, str(full.parent))
    sys.modules["__main__"] = module
    exec(compile(tree, str(full), "exec", dont_inherit=True), module.__dict__)  # noqa: S102  # the user's own program


def _is_program_part(node: ast.stmt) -> bool:
    """True for `if __name__ == "__main__":`."""
    test = node.test if isinstance(node, ast.If) else None
    return (
        isinstance(test, ast.Compare)
        and isinstance(test.left, ast.Name)
        and test.left.id == "__name__"
        and len(test.ops) == 1
        and isinstance(test.ops[0], ast.Eq)
        and isinstance(test.comparators[0], ast.Constant)
        and test.comparators[0].value == "__main__"
    )
