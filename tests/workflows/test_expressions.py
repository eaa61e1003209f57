"""The conditions of definitions: what they mean, what is refused, and that CEL agrees where the two languages meet."""

import dataclasses
import enum
import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import cel
import pydantic
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dotdo import ConditionError
from dotdo.workflows.expressions import Expr, evaluate, parse


class Plan(pydantic.BaseModel):
    name: str
    seats: int

    def cancel(self):
        raise AssertionError("a condition called a method")


@dataclasses.dataclass
class Score:
    risk: float


class Tier(enum.Enum):
    GOLD = "gold"


SCOPE = {
    "inputs": {"accountType": "business", "items": [{"sku": "a"}, {"sku": "b"}]},
    "results": {"verify-identity": {"verified": True}, "policy-check": {"autoApprove": True, "approver": "ann"}},
    "score": {"risk": 0.2},
    "plan": "enterprise",
    "nothing": None,
    "zero": 0,
    "empty": "",
    "model": Plan(name="pro", seats=3),
    "record": Score(0.5),
    "tier": Tier.GOLD,
    "price": Decimal("9.99"),
    "at": datetime(2026, 1, 1, tzinfo=UTC),
    "naive": datetime(2026, 1, 1),
    "late": timedelta(hours=2),
    "is": {"and": 1},
}


@pytest.mark.feature(214, 215, 216)
@pytest.mark.parametrize(
    "text",
    [
        'inputs.accountType === "business"',
        'results["verify-identity"].verified === true',
        'results["policy-check"].autoApprove === true',
        "score.risk < 0.3",
        "!(score.risk >= 0.3)",
        'plan === "enterprise"',
        "plan === 'enterprise' && score.risk <= .2 || nothing",
        "plan !== 'free' && plan != \"trial\"",
        "inputs.items[1].sku === 'b' && inputs.items.length === 2 && plan.length == 10",
        "zero === 0 && -1 < zero && zero > -0.5e1",
        "model.seats > 2 && record.risk === 0.5 && tier === 'gold' && price < 10",
        "'a' < 'b' && 'Z' < 'a'",
        "'it\\'s \\u0041\\x42\\u{43}' === \"it's ABC\"",
        "true || missing.deep",
        "!(false && missing.deep)",
        "inputs[plan] === undefined",
    ],
)
def test_the_seeds_conditions_and_their_like_hold(text):
    assert parse(text).holds(SCOPE) is True


@pytest.mark.feature(219)
@pytest.mark.parametrize(
    "text", ["score.rsik < 0.3", "score.rsik >= 0.3", "score.rsik === 0.3", "missing === 'x'", "missing > 1", "1 <= missing"]
)
def test_every_comparison_with_what_is_not_there_is_false(text):
    assert evaluate(text, SCOPE) is False


@pytest.mark.feature(219)
def test_undefined_and_null_are_two_things_that_two_equals_signs_take_for_one():
    assert evaluate("missing === undefined && nothing === null", SCOPE) is True
    assert evaluate("missing === null || nothing === undefined", SCOPE) is False
    assert evaluate("missing == null && nothing == undefined && zero != null && empty != undefined", SCOPE) is True
    assert evaluate("missing", SCOPE) is None


@pytest.mark.feature(217, 219)
@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("missing.risk < 0.3", 8, "missing is undefined, so it has no 'risk'"),
        ("score.risk.deep.er", 11, "a number has no 'deep'"),
        ("inputs.a.b", 9, "inputs.a is undefined"),
        ("nothing.a", 8, "nothing is null"),
        ("nothing < 1", 8, "null < a number"),
        ("zero < empty", 5, "a number < a text"),
        ("true < zero", 5, "a boolean < a number"),
        ("inputs === results", 7, "cannot be compared"),
        ("at < naive", 3, "zone"),
        ("-plan < 1", 0, "has no negative"),
    ],
)
def test_an_error_of_evaluation_is_an_error_with_its_place(text, position, message):
    with pytest.raises(ConditionError) as caught:
        evaluate(text, SCOPE)
    assert message in str(caught.value)
    assert caught.value.position == position
    assert evaluate(text, SCOPE, lenient=True) is False


@pytest.mark.feature(220)
def test_nothing_is_converted():
    assert evaluate("1 === true", SCOPE) is False
    assert evaluate("0 == false", SCOPE) is False
    assert evaluate("1 == '1'", SCOPE) is False
    assert evaluate("empty == 0", SCOPE) is False
    assert evaluate("zero == -0.0 && 1 === 1.0", SCOPE) is True


def test_truth_is_javascripts():
    scope = {"list": [], "object": {}, "nan": math.nan, "zero": 0.0, "text": "0"}
    assert parse("list && object && text").holds(scope)
    for text in ("nan", "zero", "''", "null", "undefined", "false", "nan === nan", "nan < 1"):
        assert not parse(text).holds(scope)


def test_and_and_or_give_the_value_that_decides():
    assert evaluate("missing || plan", SCOPE) == "enterprise"
    assert evaluate("plan && zero && missing.deep", SCOPE) == 0


@pytest.mark.feature(217)
@pytest.mark.parametrize(
    ("text", "position", "way_out"),
    [
        ("a = 1", 2, "==="), ("a & b", 2, "&&"), ("a | b", 2, "||"), ("a and b", 2, "&&"), ("not a", 0, "!"), ("a == None", 5, "null"),
        ("a ? b : c", 2, "opposite conditions"), ("a + 1", 2, "do not compute"), ("f(1)", 1, "no calls"), ("a.b.c()", 5, "no calls"),
        ("1 < a < 3", 6, "&&"), ("(a", 0, "closing )"), ("a)", 1, "closes nothing"), ("a[1", 1, "closing ]"), ("'a", 0, "closing '"),
        ("a.", 2, "name was expected"), ("a.1", 1, "operator"), ("a b", 2, "join"), ("&& a", 0, "value was expected"), ("a &&", 4, "the end"),
        ("'\\u12'", 1, "four"), ("'\\u{110000}'", 1, "no character"), ("007", 0, "without"), ("1a", 0, "begin with a letter"),
        ("a\n=== `b`", 6, "write texts"), ("{}", 0, "objects"), ("a === 1 === true", 8, "chained"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_where_and_what_to_write(text, position, way_out):
    with pytest.raises(ConditionError) as caught:
        parse(text)
    assert way_out in str(caught.value)
    assert caught.value.position == position


@pytest.mark.parametrize("text", ["", "   ", 7, None, ["a"]])
def test_no_text_is_no_condition(text):
    with pytest.raises(ConditionError):
        parse(text if not isinstance(text, list) else text[0] * 5000)


@pytest.mark.feature(214)
@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('x')",
        "plan.__class__",
        "model.cancel",
        "model.__dict__",
        "record.__class__.__mro__",
        "inputs.keys",
        "plan.format",
    ],
)
def test_nothing_of_a_python_object_can_be_reached(text):
    try:
        value = parse(text).evaluate(SCOPE)
    except ConditionError:
        return
    assert value is None


def test_length_and_depth_are_bounded_and_long_chains_are_not_deep():
    for text in ("(" * 500 + "a" + ")" * 500, "!" * 500 + "a", "a[" * 500 + "0" + "]" * 500, "-" * 500 + "1", "a" * 5000):
        with pytest.raises(ConditionError, match="limit|deeper"):
            parse(text)
    assert parse(" && ".join(["plan"] * 500)).holds(SCOPE)
    assert parse("a" + ".a" * 500).names == {"a"}


@given(st.text(max_size=40) | st.text(alphabet="ab.[]()'\"!=<>&| 01-\\u{}", max_size=40))
def test_any_text_is_an_expression_or_a_condition_error(text):
    try:
        parse(text).holds({"a": {"b": 1}, "b": [1, "x"]})
    except ConditionError:
        pass


@pytest.mark.feature(221)
def test_an_expr_is_told_from_a_literal():
    template = {
        "approver": Expr('results["policy-check"].approver'),
        "escalateTo": "manager",
        "parts": [{"$expr": "score.risk"}, "score.risk"],
    }
    assert Expr.resolve(template, SCOPE) == {"approver": "ann", "escalateTo": "manager", "parts": [0.2, "score.risk"]}
    with pytest.raises(ConditionError):
        Expr("a b")

    class Task(pydantic.BaseModel):
        assign_to: str | Expr

    for written in (Expr("a.b"), {"$expr": "a.b"}):
        task = Task(assign_to=written)
        assert task.assign_to == Expr("a.b")
        assert Task.model_validate_json(task.model_dump_json()) == task
    assert Task(assign_to="a.b").assign_to == "a.b"


# -- beside CEL ---------------------------------------------------------------------------------------------------

DATA = {"n": {"one": 1, "two": 2, "half": 0.5}, "t": {"a-b": "x", "c": "y", "": "z"}, "b": {"yes": True, "no": False}, "l": [3, 1, 2]}
NUMBERS = st.sampled_from(["n.one", "n.two", 'n["one"]', "l[0]", "l[2]"]) | st.integers(0, 9).map(str)
FLOATS = st.just("n.half") | st.floats(0, 9, allow_nan=False).map(lambda number: f"{number:.3f}")
TEXTS = st.sampled_from(['t["a-b"]', "t['c']", "t.c", "'x'", '"y"', "'\\x41\\u0042'", '""', 't[""]'])
BOOLEANS = st.sampled_from(["b.yes", 'b["no"]', "true", "false"])
SIGNS = st.sampled_from(["===", "!==", "==", "!=", "<", "<=", ">", ">="])
EQUALS = st.sampled_from(["===", "!==", "==", "!="])


def _compared(values, signs):
    return st.tuples(values, signs, values).map(" ".join)


COMPARISONS = _compared(NUMBERS, SIGNS) | _compared(FLOATS, SIGNS) | _compared(TEXTS, SIGNS) | _compared(BOOLEANS, EQUALS)
CONDITIONS = st.recursive(
    BOOLEANS | COMPARISONS,
    lambda inner: st.one_of(
        st.tuples(
            st.lists(inner.map(lambda c: f"({c})") | BOOLEANS | COMPARISONS, min_size=2, max_size=4), st.sampled_from([" && ", " || "])
        ).map(lambda drawn: drawn[1].join(drawn[0])),
        st.tuples(inner, inner, inner).map(lambda c: f"({c[0]}) && {c[1]} || {c[2]}" if "||" not in c[1] + c[2] else f"!({c[0]})"),
        inner.map(lambda c: f"!({c})"),
    ),
    max_leaves=12,
)


@pytest.mark.feature(214)
@given(CONDITIONS)
@example("!(n.one < n.two) || t['a-b'] === 'x' && b.no !== true")
def test_cel_gives_the_same_answer_where_the_languages_meet(text):
    assert parse(text).holds(DATA) is cel.evaluate(text.replace("===", "==").replace("!==", "!="), DATA)
