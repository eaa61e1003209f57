"""The planner: what is ready, skipped and failed, against a model that knows no order of its own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotdo.workflows.graph import Graph, Node, Outcome


def walked(graph, failing=(), skipping=()):
    """Walk to the end, one step at a time; the outcomes by name, and the failed step."""
    progress = graph.walk()
    order = []
    queue = progress.take_ready()
    while queue:
        step = queue.pop(0)
        order.append(step)
        if step in skipping:
            progress.skip(step)
        elif step in failing:
            progress.fail(step)
        else:
            progress.complete(step)
        queue += progress.take_ready()
    assert progress.is_over
    return {step: outcome.value for step, outcome in progress.outcomes.items()}, progress.failed_step, order


@pytest.mark.feature(184)
def test_the_order_of_the_list_does_not_matter():
    graph = Graph([Node("c", ("b",)), Node("b", ("a",)), Node("a")])
    outcomes, failed, order = walked(graph)
    assert order == ["a", "b", "c"]
    assert set(outcomes.values()) == {"completed"}
    assert failed is None


@pytest.mark.feature(195)
def test_steps_without_dependencies_are_ready_together_each_handed_out_once():
    progress = Graph([Node("a"), Node("b"), Node("c", ("a", "b"))]).walk()
    assert progress.take_ready() == ["a", "b"]
    assert progress.take_ready() == []
    progress.complete("b")
    assert progress.take_ready() == []
    assert not progress.is_over
    progress.complete("a")
    assert progress.take_ready() == ["c"]


@pytest.mark.feature(185)
def test_a_dependent_runs_unless_all_it_depends_on_was_skipped():
    graph = Graph([Node("a"), Node("b"), Node("both", ("a", "b")), Node("only", ("a",)), Node("then", ("only",))])
    assert walked(graph, skipping={"a"})[0] == {
        "a": "skipped", "b": "completed", "both": "completed", "only": "skipped", "then": "skipped",
    }  # fmt: skip
    assert walked(graph, skipping={"a", "b"})[0]["both"] == "skipped"


@pytest.mark.feature(193)
def test_a_step_that_continues_satisfies_its_dependents():
    outcomes, failed, _ = walked(Graph([Node("a", on_failure="continue"), Node("b", ("a",))]), failing={"a"})
    assert outcomes == {"a": "continued", "b": "completed"}
    assert failed is None


@pytest.mark.feature(193)
def test_a_failure_fails_the_run_and_nothing_new_begins_while_what_runs_may_end():
    progress = Graph([Node("a"), Node("b"), Node("c", ("b",))]).walk()
    progress.take_ready()
    assert progress.fail("a") is Outcome.FAILED
    assert progress.is_failing
    assert not progress.is_over
    progress.complete("b")
    assert progress.take_ready() == []
    assert progress.is_over
    assert progress.failed_step == "a"
    assert "c" not in progress.outcomes


@pytest.mark.feature(229)
def test_an_optional_failure_skips_its_dependents_and_the_run_goes_on():
    graph = Graph([Node("a", required=False), Node("b", ("a",)), Node("c"), Node("d", ("b", "c"))])
    outcomes, failed, _ = walked(graph, failing={"a"})
    assert outcomes == {"a": "failed", "b": "skipped", "c": "completed", "d": "completed"}
    assert failed is None


@pytest.mark.feature(242)
def test_a_step_that_must_run_fails_the_run_when_it_is_skipped():
    outcomes, failed, _ = walked(Graph([Node("a", required=False), Node("b", ("a",), must_run=True)]), failing={"a"})
    assert failed == "b"
    assert outcomes["b"] == "skipped"


@pytest.mark.feature(194)
def test_an_error_branch_runs_only_when_its_step_fails():
    graph = Graph(
        [Node("pay", on_failure="branch", error_branch="tell"), Node("ship", ("pay",)), Node("tell"), Node("close", ("ship", "tell"))]
    )
    assert walked(graph)[0] == {"pay": "completed", "tell": "skipped", "ship": "completed", "close": "completed"}
    assert walked(graph, failing={"pay"})[0] == {"pay": "branched", "ship": "skipped", "tell": "completed", "close": "completed"}
    assert walked(graph, failing={"pay", "tell"})[1] == "tell"


@pytest.mark.feature(194)
def test_one_of_several_failures_is_enough_for_their_branch_and_it_runs_once():
    nodes = [Node(name, on_failure="branch", error_branch="tell") for name in "abc"]
    progress = Graph([*nodes, Node("tell", ("a",))]).walk()
    progress.take_ready()
    progress.fail("a")
    assert progress.take_ready() == ["tell"]
    progress.complete("tell")
    progress.fail("b")
    progress.complete("c")
    assert progress.take_ready() == []
    assert progress.is_over


@pytest.mark.feature(177, 194)
def test_every_flaw_is_found_at_once():
    graph = Graph([
        Node("a", ("b", "nowhere")), Node("b", ("a",)), Node("a"), Node("x", ("y",)), Node("y", on_failure="branch", error_branch="x"),
        Node("s", ("s",)), Node("z", on_failure="branch", error_branch="notify-admin"), Node("q", on_failure="branch"),
    ])  # fmt: skip
    found = {(flaw.index, flaw.part, flaw.is_fatal) for flaw in graph.flaws()}
    assert found >= {
        (0, "depends_on", False),
        (2, "id", True),
        (5, "depends_on", True),
        (6, "error_branch", False),
        (7, "error_branch", False),
    }
    circles = [flaw.message for flaw in graph.flaws() if "circle" in flaw.message]
    assert circles == ["goes round in a circle: s needs s"], "the second a does not need b; x after y alone is no circle"
    cyclic = Graph([Node("a", ("c",)), Node("b", ("a",)), Node("c", ("b",)), Node("d", ("c", "e")), Node("e", ("d",))])
    assert [flaw.message.partition(": ")[2] for flaw in cyclic.flaws()] == ["a needs c needs b needs a", "d needs e needs d"]
    assert Graph([Node("x", ("y",), on_failure="branch", error_branch="y"), Node("y")]).flaws()[0].is_fatal


def test_a_chain_of_ten_thousand_steps_is_walked_and_skipped():
    nodes = [Node("0"), *(Node(str(n), (str(n - 1),)) for n in range(1, 10_000))]
    graph = Graph(reversed(nodes))
    assert graph.flaws() == []
    assert walked(graph, skipping={"0"})[0] == dict.fromkeys(map(str, range(10_000)), "skipped")


def model(nodes, failing, skipping):
    """The table of the module's header, applied until nothing changes, for runs that nothing fails for good."""
    became = {}
    while True:
        before = dict(became)
        for node in nodes.values():
            if node.id in became or any(d not in became for d in node.depends_on):
                continue
            kinds = {became[d] for d in node.depends_on}
            if node.depends_on and (kinds <= {"skipped"} or "failed" in kinds) or node.id in skipping:
                became[node.id] = "skipped"
            elif node.id in failing:
                became[node.id] = "continued" if node.on_failure == "continue" else "failed"
            else:
                became[node.id] = "completed"
        if became == before:
            return became


@st.composite
def graphs(draw):
    count = draw(st.integers(1, 12))
    nodes = []
    for number in range(count):
        dependencies = draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set()
        on_failure = draw(st.sampled_from(["fail", "continue"]))
        nodes.append(Node(f"s{number}", tuple(f"s{d}" for d in dependencies), on_failure=on_failure, required=on_failure != "fail"))
    names = [node.id for node in nodes]
    return draw(st.permutations(nodes)), draw(st.sets(st.sampled_from(names))), draw(st.sets(st.sampled_from(names)))


@given(graphs())
def test_random_graphs_end_as_the_table_says(drawn):
    nodes, failing, skipping = drawn
    graph = Graph(nodes)
    assert graph.flaws() == []
    outcomes, failed, order = walked(graph, failing, skipping)
    assert failed is None
    assert outcomes == model(graph.nodes, failing, skipping)
    assert len(order) == len(set(order))
    places = {step: place for place, step in enumerate(outcomes)}
    for node in nodes:
        assert all(places[d] < places[node.id] for d in node.depends_on)
