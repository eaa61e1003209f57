"""Every verb of the command once through the real executable, on a folder in which everything there is has happened once."""

import asyncio
import os
import subprocess
import sys

import pytest

import dotdo
from dotdo.cli import main
from dotdo.testing import runtime
from tests.cli import shop
from tests.cli.command import execute, run

IN_ORDER = (
    ("status", "Till"), ("entities Till", "Till/t1"), ("show Till/t1", "taken"), ("call Till/t1.pay zoe 1", "8"), ("send Till.opened till=t1", "safe"),
    ("hibernate Till/t1", "not awake"), ("executions Till", "waiting"), ("history Till/t1", "count"), ("retry Till/t2", "goes on"),
    ("replay Till/t1", "started over"), ("pause Till/t3", "is paused"), ("resume Till/t3", "goes on"),
    ('complete {t3} {"by":"ann"}', "has its answer"), ("fail {t4} too-late", "has its answer"), ("cancel Till/t5 --yes", "is being cancelled"),
    ("release Till/t6", "runs again"), ("approvals", "PO 7"), ("approve a1 --by boss", "waits for vp"), ("reject a2 --by boss --reason no", "rejected"),
    ("tasks", "Count"), ("tasks claim k1 --by ann", "is claimed"), ("tasks complete k1 --by ann --decision fine", "is completed"),
    ("dead-letters --name Till.emptied", "the till is stuck"), ("dead-letters show 1", "tries"), ("dead-letters replay 1", "on its way"),
    ("schedules --of Till/t1", "close"), ("tail --no-follow", "Till.emptied"), ("backup b.zip", "checked"),
    ("--data copy restore b.zip", "checked"), ("delete Till/t2 --yes", "deleted"), ("bench --seconds 0.1 --hosts 0", "ten steps"),
)  # fmt: skip
ON_A_CLUSTER = {"demo", "up", "down", "serve"}
"""In `test_standing`, with `tail` as it follows."""


@pytest.fixture
async def waiting(data):
    """The ids of the callbacks that the tills wait for; Till/t6 is quarantined."""
    async with runtime(data=data, modules=[shop.__name__]) as rt:
        for name in ("t4", "t5"):
            run = await dotdo.start(shop.Till(name).wait_for_someone)
            while await run.status() != "waiting":
                await asyncio.sleep(0.001)
        await rt.host.keep_asleep("Till/t6", "for the test")
        return {name: await shop.Till(name).callback_id for name in ("t3", "t4")}


def _verb(line):
    return line.removeprefix("--data copy ").split()[0]


async def test_every_verb_through_the_executable(data, waiting, tmp_path):
    for line, expected in IN_ORDER:
        words = [waiting.get(word.strip("{}"), word) if word.startswith("{t") else word for word in line.split()]
        out, err = execute(data, *words, cwd=tmp_path)
        assert expected in out, (line, out, err)
    verbs = {command.name for command in main.app.registered_commands} | {group.name for group in main.app.registered_groups}
    assert {_verb(line) for line, _ in IN_ORDER} | ON_A_CLUSTER == verbs


def test_every_verb_says_what_it_is_for(tmp_path):
    """So a person gets everywhere with --help alone: each verb is in the list, and says more when it is asked."""
    listed = run(tmp_path, "--help")[0]
    for verb in {_verb(line) for line, _ in IN_ORDER} | ON_A_CLUSTER:
        assert verb in listed
        more = run(tmp_path, verb, "--help")[0]
        assert "Usage: dotdo" in more
        assert len(more.splitlines()) > 5, more


def test_the_version_is_told_without_a_verb(tmp_path):
    from importlib.metadata import version

    assert execute(None, "--version", cwd=tmp_path)[0].strip() == version("dotdo")


@pytest.mark.parametrize(
    "given",
    [
        {"_DOTDO_COMPLETE": "complete_bash", "COMP_WORDS": "dotdo dead", "COMP_CWORD": "1"},
        {"_DOTDO_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "dotdo dead"},
        {"_DOTDO_COMPLETE": "complete_fish", "_TYPER_COMPLETE_ARGS": "dotdo dead", "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    ],
    ids=lambda given: given["_DOTDO_COMPLETE"],
)
def test_a_verb_that_is_begun_is_completed(given):
    assert "dead-letters" in execute(None, environment={**os.environ, **given})[0]


def test_help_is_there_without_anything_heavy():
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "dotdo.cli.main", "--help"], capture_output=True, text=True, timeout=100
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not imported & {"ray", "pydantic", "rich", "asyncio", "apsw", "uvloop"}
