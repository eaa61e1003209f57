"""The verbs of the command, on a folder in which everything there is has happened once.

What they do is tested in this process, which is quick; `test_executable` has each of them through the executable.
"""

import json

import dotdo
from dotdo.testing import runtime
from tests.cli.command import run


def ask(data, *words, code=0):
    """Run the command with --json; what it answers."""
    return json.loads(run(data, *words, "--json", code=code)[0])


def test_looking(data):
    listed, said = run(data, "entities", "Till")
    assert "Till/t1" in listed
    assert "nothing runs on it" in said
    assert {"Till/t1", "Till/t2", "Till/t3"} <= {entry["key"] for entry in ask(data, "entities", "Till")}
    shown = ask(data, "show", "Till/t1")
    assert shown["fields"]["taken"] == {"ann": 7}
    assert shown["executions"][0]["status"] == "completed"
    assert "taken" in run(data, "show", "Till/t1")[0]
    status = ask(data, "status")
    assert (status["running"], status["entities"]["Till"] >= 3) == (False, True)
    assert "nothing runs" in run(data, "status")[0]


def test_calling(data):
    assert run(data, "call", "Till/t1.pay", "bob", "5")[0] == "12\n"
    assert run(data, "call", "Till/t1.pay", "amount=3", "who=123")[0] == "15\n"  # text stays text where text is wanted
    assert ask(data, "call", "Till/t1.taken") == {"ann": 7, "bob": 5, "123": 3}
    assert ask(data, "call", "Till/t1.buy", '{"item": "lamp", "price": "2.50"}') == "lamp for 2.50"
    assert "price: Field required" in run(data, "call", "Till/t1.buy", '{"item": "lamp"}', code=2)[1]
    assert "missing a required argument: 'amount'" in run(data, "call", "Till/t1.pay", "bob", code=2)[1]
    assert run(data, "call", "Till/t1.pay", "bob", "-1", code=1)[1].splitlines()[-1] == "dotdo: Broken: nobody pays -1"
    assert "Order/o1.process" in run(data, "call", "Till", code=2)[1]
    assert "one of pending, running" in run(data, "executions", "--status", "dreaming", code=2)[1]
    assert "NoSuchMember" in run(data, "call", "Till/t1.fly", code=3)[1]
    assert "dotdo up app.py" in run(data, "call", "Unknown/x.y", code=1)[1]
    started = ask(data, "call", "Till/t1.close", "--start", "--call-id", "c1")
    assert started["id"].startswith("Till/t1!")


def test_executions(data):
    statuses = {entry["id"].partition("!")[0]: entry["status"] for entry in ask(data, "executions", "Till")}
    assert statuses == {"Till/t1": "completed", "Till/t2": "failed", "Till/t3": "waiting"}
    assert "Till/t2" in run(data, "executions", "Till", "--status", "failed")[0]
    history, _ = run(data, "history", "Till/t1")
    assert "count" in history
    assert "seal" in history
    assert [entry["name"] for entry in ask(data, "history", "Till/t1")["timeline"]][:2] == ["count", "seal"]
    assert "Till/t2" in run(data, "retry", "Till/t2")[0]
    assert "completed" in run(data, "retry", "Till/t1", code=1)[1]
    again = ask(data, "replay", "Till/t1")["id"]
    assert ask(data, "history", again)["status"] in ("completed", "running")
    assert "is paused" in run(data, "pause", "Till/t3")[0]
    assert "goes on" in run(data, "resume", "Till/t3")[0]
    callback = ask(data, "call", "Till/t3.callback_id")
    assert "has its answer" in run(data, "complete", callback, '{"by": "ann"}')[0]
    assert "already" in run(data, "fail", callback, "too late", code=1)[1]


def test_cancelling_asks(data):
    assert "--yes" in run(data, "cancel", "Till/t3", code=2)[1]
    assert "is being cancelled" in run(data, "cancel", "Till/t3", "--yes")[0]
    assert "has ended" in run(data, "cancel", "Till/t1", "--yes", code=1)[1]
    assert "nothing that is on record" in run(data, "history", "Till/never", code=3)[1]


def test_people(data):
    assert [one["id"] for one in ask(data, "approvals")] == ["a1", "a2"]
    assert "PO 7" in run(data, "approvals", "--assignee", "boss")[0]
    assert "waits for vp" in run(data, "approve", "a1", "--by", "boss", "--comment", "fine")[0]
    assert "NotAllowed" in run(data, "approve", "a1", "--by", "nobody", code=1)[1]
    assert ask(data, "reject", "a2", "--by", "boss", "--reason", "too dear")["status"] == "rejected"
    assert "dotdo approvals lists" in run(data, "approve", "a9", "--by", "boss", code=3)[1]
    assert "Count the till" in run(data, "tasks")[0]
    assert ask(data, "tasks", "claim", "k1", "--by", "ann")["status"] == "claimed"
    assert ask(data, "tasks", "complete", "k1", "--by", "ann", "--decision", "approved")["decision"] == "approved"
    assert ask(data, "tasks") == []


def test_events_schedules_and_dead_letters(data):
    assert [
        entry["name"] for entry in (json.loads(line) for line in run(data, "tail", "Till.*", "--no-follow", "--json")[0].splitlines())
    ] == ["Till.emptied"]
    assert "Till.emptied" in run(data, "tail", "--no-follow")[0]
    assert "safe" in run(data, "send", "Till.opened", "till=t1")[0]
    (schedule,) = ask(data, "schedules", "--of", "Till/t1")
    assert "--yes" in run(data, "schedules", "cancel", schedule["name"], "--of", "Till/t1", code=2)[1]
    assert "is ended" in run(data, "schedules", "cancel", schedule["name"], "--of", "Till/t1", "--yes")[0]
    (letter,) = ask(data, "dead-letters", "--name", "Till.emptied")
    assert letter["event"] == "Till.emptied"
    shown = run(data, "dead-letters", "show", letter["id"])[0]
    assert "tries" in shown
    assert "dead-letters lists it if it fails once more" in run(data, "replay", letter["id"])[0]
    assert "NoSuchLetter" in run(data, "dead-letters", "show", "77", code=3)[1]
    ask(data, "dead-letters", "replay", "--all")
    for one in ask(data, "dead-letters"):
        run(data, "dead-letters", "delete", one["id"], "--yes")


def test_keeping_entities(data, tmp_path):
    assert "not awake" in run(data, "hibernate", "Till/t1")[0]
    assert "not quarantined" in run(data, "release", "Till/t1", code=1)[1]
    report = ask(data, "backup", str(tmp_path / "b.zip"))
    assert report["by_noun"]["Till"] >= 3
    assert "--yes" in run(data, "backup", str(tmp_path / "b.zip"), code=2)[1]
    assert "--yes" in run(data, "delete", "Till/t1", code=2)[1]
    assert "is deleted" in run(data, "delete", "Till/t1", "--yes")[0]
    assert run(data, "call", "Till/t1.taken")[0] == "{}\n"
    assert "not empty" in run(data, "restore", str(tmp_path / "b.zip"), code=1)[1]
    assert "each checked" in run(tmp_path / "copy", "restore", str(tmp_path / "b.zip"))[0]
    assert ask(tmp_path / "copy", "call", "Till/t1.taken") == {"ann": 7}


def test_a_folder_that_is_not_there_is_not_made(tmp_path):
    said = run(tmp_path / "nothing", "entities", code=3)[1]
    assert said.count("\n") == 1
    assert "dotdo demo" in said
    assert not (tmp_path / "nothing").exists()
    assert "dotdo show --help" in run(tmp_path, "show", code=2)[1]
    assert run(tmp_path, "shwo", "x", code=2)[1].startswith("dotdo: No such command")


def test_an_error_has_a_traceback_only_with_debug(data):
    assert "Traceback" in run(data, "call", "Till/t1.pay", "bob", "-1", "--debug", code=1)[1]


def test_bench_measures(data):
    assert [row["what"] for row in ask(data, "bench", "--seconds", "0.1", "--hosts", "0")][-1] == "execution of ten steps"


async def test_a_quarantined_entity_hides_no_executions_of_others(data):
    async with runtime(data=data) as rt:
        await rt.host.keep_asleep("Till/t1", "for the test")
        assert {info.id.partition("!")[0] async for info in dotdo.executions(noun="Till")} == {"Till/t2", "Till/t3"}
