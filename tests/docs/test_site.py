"""The documentation site as a whole: every public name is in it, every page, and nothing that is loaded from elsewhere."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
import yaml

import dotdo.public
from tests.docs import page
from tools import documentation

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def _described() -> dict[str, str]:
    """What the reference has a section for: its heading, and the object that is described."""
    found = {}
    for file in (DOCS / "reference").glob("*.md"):
        for path, options in re.findall(r"^::: ([\w.]+)\n((?:    .*\n)*)", file.read_text(encoding="utf-8"), re.MULTILINE):
            heading = re.search(r'(?<!_)heading: "?(\w+)', options)
            found[heading[1] if heading else path.rpartition(".")[2]] = path
    return found


def test_every_public_name_is_in_the_reference():
    described = _described()
    modules = {"ai", "errors", "schedules"}  # their names have sections of their own
    errors = {
        name for name in dotdo.public.__all__ if isinstance(getattr(dotdo, name), type) and issubclass(getattr(dotdo, name), Exception)
    }
    assert described["errors"] == "dotdo.errors"
    in_errors = {name for name in errors if getattr(dotdo, name).__module__ == "dotdo.errors"}
    assert set(dotdo.public.__all__) - modules - in_errors <= set(described)


@pytest.mark.parametrize(("name", "path"), sorted(_described().items()))
def test_what_the_reference_describes_is_what_is_imported(name, path):
    module, _, member = path.rpartition(".")
    if path == "dotdo.errors":
        return
    thing = getattr(importlib.import_module(module), member)
    assert thing.__doc__
    public = getattr(dotdo, name, thing)
    assert public is thing or type(public) is thing or name in ("stats", "schedule", "list", "get", "delete", "replay", "runtime")


class _Loader(yaml.SafeLoader):
    """Reads the site's configuration, tags of Python left out."""


def test_every_page_and_every_decision_is_in_the_navigation():
    config = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader=_Loader)
    config["docs_dir"] = str(DOCS)
    shown: list[str] = []

    def walk(entry):
        if isinstance(entry, str):
            shown.append(entry)
        for part in entry.values() if isinstance(entry, dict) else entry if isinstance(entry, list) else ():
            walk(part)

    walk(documentation.on_config(config)["nav"])
    assert sorted(shown) == sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ('<script src="https://unpkg.com/x.js"></script>', True),
        ("<link rel=stylesheet href=//fonts.example/a.css>", True),
        ('<img alt="" src="http://x.example/a.png">', True),
        ("<style>@import url(https://x.example/a.css)</style>", True),
        ('<script src="../assets/a.js"></script>', False),
        ('<a href="https://example.org">there</a>', False),
        ('<link rel="canonical" href="https://example.org/">', False),
    ],
)
def test_a_page_that_needs_a_network_is_found(html, found):
    assert bool(documentation.loaded_from_elsewhere(f"<p>{html}</p>")) is found


def test_the_quickstart_of_the_site_is_the_programs():
    (program,) = [block.text for block in page.read(DOCS / "quickstart.md") if block.title == "shop.py"]
    assert (ROOT / "examples" / "quickstart.py").read_text(encoding="utf-8").endswith(program)
