"""Which step may run when: the one planner under `Workflow` and `Service`.

A `Graph` is the steps of a definition and what each depends on. A `Progress` is one walk through it, and a pure fold: it is
told what became of each step, in the order in which that was recorded, and says which steps are ready. The same outcomes
in the same order give the same walk, so a replay, and whoever only reads the journal, come to where the execution stands.

    graph = Graph([Node("a"), Node("b", depends_on=("a",))])
    progress = graph.walk()
    progress.take_ready()         ["a"]: each step is handed out once, in the order of the definition
    progress.complete("a")
    progress.take_ready()         ["b"]

What dependents make of it:

    a dependency                      its dependents
    completed                         may run
    failed, on_failure="continue"     may run, as if it had completed
    skipped                           may run if another dependency may let them; a step all of whose
    failed, on_failure="branch"       dependencies are of these two kinds is skipped too
    failed, not required              are skipped
    failed, required                  never start: the run fails. What runs already may end; nothing new begins

A step that is somebody's `error_branch` runs only when that somebody fails (then at once, whatever the others do), and is
skipped once all of them have ended without.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from graphlib import CycleError, TopologicalSorter
from typing import Literal


class Outcome(Enum):
    """What became of a step."""

    COMPLETED = "completed"
    SKIPPED = "skipped"
    CONTINUED = "continued"
    """It failed, and its dependents run all the same."""
    BRANCHED = "branched"
    """It failed, and its error branch runs in its place."""
    FAILED = "failed"


_PASSED_BY = frozenset({Outcome.SKIPPED, Outcome.BRANCHED})


@dataclass(frozen=True, slots=True)
class Node:
    """One step, as far as the order of steps is concerned.

    Args:
        on_failure: "fail" fails the run, if the step is required; "continue" and "branch" see the table above.
        required: False lets the run go on when the step fails; its dependents are skipped.
        error_branch: the step to run when this one fails and `on_failure` is "branch".
        must_run: being skipped fails the run.
    """

    id: str
    depends_on: tuple[str, ...] = ()
    on_failure: Literal["fail", "continue", "branch"] = "fail"
    required: bool = True
    error_branch: str | None = None
    must_run: bool = False


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something wrong with a graph: at which node, in which of its parts, what."""

    index: int
    part: Literal["id", "depends_on", "error_branch"]
    message: str
    is_fatal: bool
    """False for what matters only when it is reached: then the graph can be walked all the same."""


class Graph:
    """The steps of a definition. Look at `flaws()` before you walk it."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._listed = list(nodes)
        self.nodes = {node.id: node for node in self._listed}
        """By id, in the order of the definition."""
        self.places = {node_id: place for place, node_id in enumerate(self.nodes)}
        self._sources: dict[str, list[str]] = {}
        self._followers: dict[str, list[str]] = {node_id: [] for node_id in self.nodes}
        for node in self.nodes.values():
            for dependency in dict.fromkeys(node.depends_on):
                if dependency in self.nodes:
                    self._followers[dependency].append(node.id)
            branch = node.error_branch if node.on_failure == "branch" else None
            if branch in self.nodes and branch is not None:
                self._sources.setdefault(branch, []).append(node.id)

    def flaws(self) -> list[Flaw]:
        """Everything wrong: duplicate ids, unknown or cyclic dependencies, unknown branches."""
        found = []
        seen: set[str] = set()
        for index, node in enumerate(self._listed):
            if node.id in seen:
                found.append(Flaw(index, "id", f"{node.id!r} is the id of an earlier step too", is_fatal=True))
            seen.add(node.id)
            for dependency in node.depends_on:
                if dependency not in self.nodes:
                    found.append(Flaw(index, "depends_on", f"{dependency!r} is not a step; {self._known()}", is_fatal=False))
            if node.on_failure == "branch" and node.error_branch is None:
                found.append(Flaw(index, "error_branch", "is missing: onError 'branch' needs a step to branch to", is_fatal=False))
            elif node.on_failure == "branch" and node.error_branch not in self.nodes:
                found.append(Flaw(index, "error_branch", f"{node.error_branch!r} is not a step; {self._known()}", is_fatal=False))
        return found + self._cycles()

    def _known(self) -> str:
        shown = ", ".join(list(self.nodes)[:20])
        return f"the steps are {shown}{', ...' if len(self.nodes) > 20 else ''}"

    def _cycles(self) -> list[Flaw]:
        edges = {node_id: set(self._before(node_id)) for node_id in self.nodes}
        found = []
        places = {node.id: index for index, node in reversed(list(enumerate(self._listed)))}
        while True:
            try:
                TopologicalSorter(edges).prepare()
            except CycleError as error:
                cycle: list[str] = error.args[1][::-1]
                first = min(cycle, key=places.__getitem__)
                start = cycle.index(first)
                around = [*cycle[start:-1], *cycle[:start], first] if cycle[0] == cycle[-1] else cycle
                found.append(Flaw(places[first], "depends_on", f"goes round in a circle: {' needs '.join(around)}", is_fatal=True))
                for member in cycle:
                    edges[member] = set()
            else:
                return found

    def _before(self, node_id: str) -> list[str]:
        """What decides whether a step runs: its dependencies, and the steps it is the error branch of."""
        known = [dependency for dependency in self.nodes[node_id].depends_on if dependency in self.nodes]
        return [*known, *self._sources.get(node_id, ())]

    def sources_of(self, node_id: str) -> list[str]:
        """The steps whose error branch this one is."""
        return list(self._sources.get(node_id, ()))

    def ancestors_of(self, node_id: str) -> set[str]:
        """All steps that have ended before this one runs: dependencies, theirs, and so on."""
        found: set[str] = set()
        left = self._before(node_id)
        while left:
            one = left.pop()
            if one not in found:
                found.add(one)
                left += self._before(one)
        return found

    def walk(self) -> Progress:
        """A new walk, at its beginning."""
        return Progress(self)


class Progress:
    """One walk through a graph: what became of each step so far."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.outcomes: dict[str, Outcome] = {}
        """Of the steps that have ended, in the order they did."""
        self.running: set[str] = set()
        """Handed out by `take_ready`, and not ended."""
        self.failed_step: str | None = None
        """The step that fails the run."""
        self._ready: list[str] = []
        self._waits_for = {node_id: len(set(node.depends_on) & graph.nodes.keys()) for node_id, node in graph.nodes.items()}
        for node_id in graph.nodes:
            self._look_at(node_id)

    # -- what is next -----------------------------------------------------------------------------------------------

    @property
    def is_failing(self) -> bool:
        """True once a required step has failed: nothing new begins."""
        return self.failed_step is not None

    @property
    def is_over(self) -> bool:
        """True when nothing runs and nothing will."""
        return not self.running and (self.is_failing or not self._ready)

    def take_ready(self) -> list[str]:
        """The steps that may run now and were not handed out before, in the order of the definition."""
        if self.is_failing or not self._ready:
            return []
        ready = sorted(self._ready, key=self._graph.places.__getitem__)
        self._ready = []
        self.running.update(ready)
        return ready

    # -- what became of a step ----------------------------------------------------------------------------------------

    def complete(self, node_id: str) -> None:
        """The step did what it should."""
        self._end(node_id, Outcome.COMPLETED)

    def skip(self, node_id: str) -> None:
        """The step was handed out, and its condition does not hold."""
        self._end(node_id, Outcome.SKIPPED)

    def abandon(self, node_id: str) -> None:
        """The step was handed out and will not end, because the run is failing: it has no outcome."""
        self.running.remove(node_id)

    def fail(self, node_id: str) -> Outcome:
        """The step failed for good; what that means for the run: CONTINUED, BRANCHED or FAILED."""
        node = self._graph.nodes[node_id]
        outcome = Outcome.FAILED
        if node.on_failure == "continue":
            outcome = Outcome.CONTINUED
        elif node.on_failure == "branch" and node.error_branch in self._graph.nodes:
            outcome = Outcome.BRANCHED
        self._end(node_id, outcome)
        return outcome

    def _end(self, node_id: str, outcome: Outcome) -> None:
        self.running.remove(node_id)
        ended = [(node_id, outcome)]
        while ended:  # a step that is skipped may skip the next: a loop, for chains may be long
            one, its_outcome = ended.pop()
            self.outcomes[one] = its_outcome
            node = self._graph.nodes[one]
            fails = its_outcome is Outcome.FAILED and node.required
            if (fails or (its_outcome is Outcome.SKIPPED and node.must_run)) and self.failed_step is None:
                self.failed_step = one
            if self.is_failing:
                continue
            for follower in self._graph._followers[one]:
                self._waits_for[follower] -= 1
                self._look_at(follower, ended)
            branch = node.error_branch if node.on_failure == "branch" else None
            if branch is not None and branch in self._graph.nodes:
                self._look_at(branch, ended)

    def _look_at(self, node_id: str, ended: list[tuple[str, Outcome]] | None = None) -> None:
        """Something a step waits for has ended, or the walk begins: is it ready, or skipped?"""
        if node_id in self.outcomes or node_id in self.running or node_id in self._ready:
            return
        if ended is not None and any(node_id == one for one, _ in ended):
            return
        verdict = self._verdict(node_id)
        if verdict == "ready":
            self._ready.append(node_id)
        elif verdict == "skip" and ended is not None:
            ended.append((node_id, Outcome.SKIPPED))

    def _verdict(self, node_id: str) -> Literal["ready", "skip", "wait"]:
        outcomes, sources = self.outcomes, self._graph._sources.get(node_id)
        known = [d for d in self._graph.nodes[node_id].depends_on if d in self._graph.nodes]
        if sources:
            if not any(outcomes.get(source) is Outcome.BRANCHED for source in sources):
                return "skip" if all(source in outcomes for source in sources) else "wait"
            known = [d for d in known if d not in sources]
            if any(d not in outcomes for d in known):
                return "wait"
            return "skip" if any(outcomes[d] is Outcome.FAILED for d in known) else "ready"
        if self._waits_for[node_id]:
            return "wait"
        if not known:
            return "ready"
        became = [outcomes[d] for d in known]
        if Outcome.FAILED in became or all(outcome in _PASSED_BY for outcome in became):
            return "skip"
        return "ready"
