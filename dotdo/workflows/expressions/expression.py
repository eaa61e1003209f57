"""An expression that was read once and can be evaluated often."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import core_schema

from dotdo.errors import ConditionError
from dotdo.workflows.expressions import evaluation, parser, tree
from dotdo.workflows.expressions.tree import Node

_KEPT_MAX = 4096


class Expression:
    """The tree of a text."""

    __slots__ = ("_tree", "names", "text")

    def __init__(self, text: str, node: Node) -> None:
        self.text = text
        self._tree = node
        self.names = frozenset(tree.root_names(node))
        """The names it looks up in its scope."""

    def evaluate(self, scope: Any) -> Any:
        """Its value; what is not there is None. Raises ConditionError."""
        value = evaluation.evaluate(self._tree, scope, self.text)
        return None if value is evaluation.UNDEFINED else value

    def holds(self, scope: Any) -> bool:
        """True if its value is true, as JavaScript sees it. Raises ConditionError."""
        return evaluation.is_true(evaluation.evaluate(self._tree, scope, self.text))

    def __repr__(self) -> str:
        return f"<expression {self.text}>"


@functools.lru_cache(maxsize=_KEPT_MAX)
def parse(text: str) -> Expression:
    """Read an expression. Raises ConditionError with the position of what is wrong."""
    return Expression(text, parser.parse(text))


def evaluate(text: str, scope: Mapping[str, Any], *, lenient: bool = False) -> Any:
    """The value of an expression in a scope; what is not there is None.

    Args:
        lenient: let an error of the evaluation (not of the text) be false, as the sources' engines do.

    Raises:
        ConditionError: with the position and what to write instead.
    """
    expression = parse(text)
    try:
        return expression.evaluate(scope)
    except ConditionError:
        if lenient:
            return False
        raise


@dataclass(frozen=True, slots=True)
class Expr:
    """Says of a text that it is an expression, where a literal could stand: `assign_to=Expr('results["check"].approver')`.

    In JSON it is written {"$expr": "..."}. Raises ConditionError when the text is none.
    """

    text: str

    def __post_init__(self) -> None:
        parse(self.text)

    def evaluate(self, scope: Any) -> Any:
        """Its value in a scope. Raises ConditionError."""
        return parse(self.text).evaluate(scope)

    @classmethod
    def resolve(cls, value: Any, scope: Any) -> Any:
        """`value` with every Expr in it, however deep in lists and dicts, replaced by what it is worth in `scope`."""
        if isinstance(value, cls):
            return value.evaluate(scope)
        if isinstance(value, dict):
            if set(value) == {"$expr"} and isinstance(value["$expr"], str):
                return parse(value["$expr"]).evaluate(scope)
            return {key: cls.resolve(part, scope) for key, part in value.items()}
        if isinstance(value, list):
            return [cls.resolve(part, scope) for part in value]
        return value

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> core_schema.CoreSchema:
        def read(value: Any) -> Expr:
            if isinstance(value, cls):
                return value
            if isinstance(value, dict) and set(value) == {"$expr"}:
                return cls(value["$expr"])
            raise ValueError('an expression is written Expr("..."), or {"$expr": "..."} in JSON')

        return core_schema.no_info_plain_validator_function(
            read, serialization=core_schema.plain_serializer_function_ser_schema(lambda expr: {"$expr": expr.text})
        )
