"""Conditions as the definitions write them: `validate.total > 1000 && plan === "enterprise"`.

The language is a small part of JavaScript, read by a parser of our own and walked as a tree: no `eval`, no calls, no
attribute of a Python object, bounded length and depth. Two things are stricter than JavaScript, because conditions
decide about money and access: nothing is ever converted (`1 === true` and `1 == "1"` are false, `"5" < 10` is an
error), and an error is an error, never a quiet false.

`evaluate(text, scope)` is the short way; `Expression` is a text that was read once; `Expr` marks a text as an expression
where a literal could stand as well.
"""

from dotdo.workflows.expressions.evaluation import UNDEFINED, is_true
from dotdo.workflows.expressions.expression import Expr, Expression, evaluate, parse

__all__ = ["UNDEFINED", "Expr", "Expression", "evaluate", "is_true", "parse"]
