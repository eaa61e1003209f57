"""Text into tokens.

What other languages would write is recognised and refused with what to write instead.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from dotdo.errors import ConditionError

LENGTH_MAX = 4096
"""Characters of one expression."""

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
      | (?P<name>[^\W\d][\w$]*|\$[\w$]*)
      | (?P<string>"|')
      | (?P<operator>===|!==|==|!=|<=|>=|&&|\|\||[<>!().\[\]-])
      | (?P<other>\S)
    )""",
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}
_INSTEAD = {
    "=": "compare with ===",
    "&": "write && for 'and'",
    "|": "write || for 'or'",
    "+": "conditions compare values, they do not compute them",
    "*": "conditions compare values, they do not compute them",
    "/": "conditions compare values, they do not compute them",
    "%": "conditions compare values, they do not compute them",
    "?": "there is no ?: here; write two steps with opposite conditions, or a && b",
    "`": "write texts in \" or '",
    ",": "there are no calls and no lists here",
    "{": "there are no objects here",
}
_WORDS_INSTEAD = {
    "and": "&&", "or": "||", "not": "!", "True": "true", "False": "false", "None": "null", "is": "===",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Token:
    """One token; `value` is the number, the text or the name."""

    kind: Literal["number", "string", "name", "operator", "end"]
    value: Any
    position: int


def tokens_of(text: str) -> list[Token]:
    """All tokens, the last of kind "end". Raises ConditionError."""
    if len(text) > LENGTH_MAX:
        raise ConditionError(
            f"the condition has {len(text)} characters, over the limit of {LENGTH_MAX}: let an action decide and return it"
        )
    tokens: list[Token] = []
    position = 0
    while match := _TOKEN.match(text, position):
        kind, start = match.lastgroup, match.start(match.lastgroup or 0)
        word, position = match[kind or 0], match.end()
        if kind == "string":
            value, position = _string(text, start)
            tokens.append(Token("string", value, start))
        elif kind == "number":
            tokens.append(Token("number", _number(text, word, start, position), start))
        elif kind == "name":
            is_key = bool(tokens) and tokens[-1].value == "."
            if word in _WORDS_INSTEAD and not is_key:
                raise ConditionError.at(text, start, f"{word!r} is not a word of conditions: write {_WORDS_INSTEAD[word]}")
            tokens.append(Token("name", word, start))
        elif kind == "operator":
            tokens.append(Token("operator", word, start))
        else:
            raise ConditionError.at(text, start, f"{word!r} does not belong here: {_INSTEAD.get(word, 'it is no part of a condition')}")
    tokens.append(Token("end", "", len(text)))
    return tokens


def _number(text: str, word: str, start: int, end: int) -> int | float:
    if re.match(r"[\w$]", text[end : end + 1]):
        raise ConditionError.at(text, start, "a number runs into a name: names begin with a letter; others are written x['1a']")
    if word.isascii() and word.isdigit():
        if len(word) > 1 and word[0] == "0":
            raise ConditionError.at(text, start, f"{word} begins with 0: write it without")
        return int(word)
    return float(word)


def _string(text: str, start: int) -> tuple[str, int]:
    """The text that begins at `start`, and where it ends."""
    parts: list[str] = []
    quote, position = text[start], start + 1
    while position < len(text):
        character = text[position]
        if character == quote:
            return "".join(parts), position + 1
        if character == "\n":
            break
        if character == "\\":
            escaped, position = _escape(text, position)
            parts.append(escaped)
        else:
            parts.append(character)
            position += 1
    raise ConditionError.at(text, start, f"the text that begins here has no closing {quote}")


def _escape(text: str, position: int) -> tuple[str, int]:
    match = re.compile(r"\\(?:u\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL).match(text, position)
    if match is None:
        raise ConditionError.at(text, position, "nothing follows this \\")
    digits = match[1] or match[2] or match[3]
    if digits is None:
        if match[4] in "ux":
            raise ConditionError.at(text, position, "this escape is not complete: \\u takes four hexadecimal digits, \\x two")
        return _ESCAPES.get(match[4], match[4]), match.end()
    code = int(digits, 16)
    if code > 0x10FFFF:
        raise ConditionError.at(text, position, f"there is no character {digits}")
    return chr(code), match.end()
