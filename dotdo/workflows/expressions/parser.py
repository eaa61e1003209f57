"""Tokens into a tree.

or          and (|| and)*
and         comparison (&& comparison)*
comparison  unary (=== | !== | == | != | < | <= | > | >=) unary, once: chains mean something else than they look like
unary       (! | -) unary, or member
member      primary (.name | [or])*
primary     number | text | true | false | null | undefined | name | (or)
"""

from __future__ import annotations

from dotdo.errors import ConditionError
from dotdo.workflows.expressions import lexer
from dotdo.workflows.expressions.evaluation import UNDEFINED
from dotdo.workflows.expressions.lexer import Token
from dotdo.workflows.expressions.tree import Comparison, Literal, Logical, Member, Name, Node, Unary

DEPTH_MAX = 32
"""Brackets and signs within each other."""

_EQUALITIES = frozenset({"===", "!==", "==", "!="})
_ORDERINGS = frozenset({"<", "<=", ">", ">="})
_CONSTANTS = {"true": True, "false": False, "null": None, "undefined": UNDEFINED}


def parse(text: str) -> Node:
    """The tree of an expression. Raises ConditionError with the position of what is wrong."""
    if not isinstance(text, str):
        raise ConditionError(f"a condition is a text, not {text!r}")
    if not text.strip():
        raise ConditionError("the condition is empty: leave it out, or write what must hold")
    return _Parser(text).all()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = lexer.tokens_of(text)
        self._index = 0
        self._depth = 0

    @property
    def _next(self) -> Token:
        return self._tokens[self._index]

    def _take(self) -> Token:
        token = self._next
        self._index += 1
        return token

    def _is(self, *operators: str) -> bool:
        return self._next.kind == "operator" and self._next.value in operators

    def _wrong(self, message: str, token: Token | None = None) -> ConditionError:
        return ConditionError.at(self._text, (token or self._next).position, message)

    def all(self) -> Node:
        node = self._or()
        if self._next.kind != "end":
            raise self._wrong(self._unexpected())
        return node

    def _unexpected(self) -> str:
        token = self._next
        if token.kind == "operator" and token.value == "(":
            return "there are no calls here: let an action compute it, and compare what it returned"
        if token.kind == "operator" and token.value == ")":
            return "this ) closes nothing"
        return f"an operator was expected, not {token.value!r}: join conditions with && or ||"

    def _or(self) -> Node:
        return self._chain("||", self._and)

    def _and(self) -> Node:
        return self._chain("&&", self._comparison)

    def _chain(self, operator: str, part: object) -> Node:
        assert callable(part)
        first: Node = part()
        if not self._is(operator):
            return first
        operands, position = [first], self._next.position
        while self._is(operator):
            self._take()
            operands.append(part())
        return Logical(operator, tuple(operands), position)

    def _comparison(self) -> Node:
        left = self._unary()
        if not (self._is(*_EQUALITIES) or self._is(*_ORDERINGS)):
            return left
        operator = self._take()
        right = self._unary()
        if self._is(*_EQUALITIES) or self._is(*_ORDERINGS):
            raise self._wrong(f"comparisons cannot be chained: write a {operator.value} b && b {self._next.value} c")
        return Comparison(operator.value, left, right, operator.position)

    def _unary(self) -> Node:
        if not self._is("!", "-"):
            return self._member()
        operator = self._take()
        self._deeper(operator)
        operand = self._unary()
        self._depth -= 1
        return Unary(operator.value, operand, operator.position)

    def _member(self) -> Node:
        base = self._primary()
        keys: list[tuple[Node, int]] = []
        while self._is(".", "["):
            opening = self._take()
            if opening.value == ".":
                name = self._take()
                if name.kind != "name":
                    raise self._wrong("a name was expected after the dot; one with other characters is written x['a-b']", name)
                keys.append((Literal(name.value, name.position), name.position))
            else:
                keys.append((self._bracketed(opening, "]"), opening.position))
        return Member(base, tuple(keys), base.position) if keys else base

    def _bracketed(self, opening: Token, closing: str) -> Node:
        self._deeper(opening)
        inner = self._or()
        if not self._is(closing):
            if self._next.kind == "end":
                raise self._wrong(f"the {opening.value} that begins here has no closing {closing}", opening)
            raise self._wrong(self._unexpected())
        self._take()
        self._depth -= 1
        return inner

    def _deeper(self, token: Token) -> None:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise self._wrong(f"the condition is nested deeper than {DEPTH_MAX}: let an action decide and return it", token)

    def _primary(self) -> Node:
        token = self._take()
        if token.kind in ("number", "string"):
            return Literal(token.value, token.position)
        if token.kind == "name":
            if token.value in _CONSTANTS:
                return Literal(_CONSTANTS[token.value], token.position)
            return Name(token.value, token.position)
        if token.kind == "operator" and token.value == "(":
            return self._bracketed(token, ")")
        what = "the end" if token.kind == "end" else repr(token.value)
        raise self._wrong(f"a value was expected, not {what}", token)
