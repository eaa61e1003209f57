"""Hooks of the documentation site (`mkdocs.yml`): what its configuration cannot say.

The decision records are listed as they lie in `docs/decisions`, so a new one need not be entered anywhere. And a page that
would load a script, a style or a picture from another server is an error: the site is to be read without a network.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError

DECISIONS = "Decisions"

_LOADED = re.compile(
    r"<(?:script|img|iframe|source|video|audio|embed)\b[^>]*\bsrc=[\"']?(?:https?:)?//[^\s\"'>]*"
    r"|<link\b(?=[^>]*\brel=[\"']?(?:stylesheet|preconnect|preload|icon))[^>]*\bhref=[\"']?(?:https?:)?//[^\s\"'>]*"
    r"|@import\s+(?:url\()?[\"']?(?:https?:)?//[^\s\"')]*",
    re.IGNORECASE,
)


def on_config(config: Any) -> Any:
    """Put the decision records where the navigation has their place."""
    folder = Path(config["docs_dir"], "decisions")
    records = [f"decisions/{file.name}" for file in sorted(folder.glob("*.md"))]
    for section in config["nav"]:
        for entries in section.values():
            for entry in entries:
                if isinstance(entry, dict) and DECISIONS in entry:
                    entry[DECISIONS] = records
    return config


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Refuse a page that needs a network."""
    found = loaded_from_elsewhere(output)
    if found:
        raise PluginError(f"{page.file.src_uri} would load from another server: {', '.join(found)}")
    return output


def loaded_from_elsewhere(html: str) -> list[str]:
    """The elements of a page that a browser would fetch from another server; links to click on are none."""
    return [match[0] for match in _LOADED.finditer(html)]
