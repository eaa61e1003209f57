"""The command on a real cluster: a runtime that outlives its programs, and the way of a person from the demo to a dead letter."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from tests.cli.command import DOTDO, execute
from tests.crashes import said as said_by

pytestmark = pytest.mark.ray

APP = """
import asyncio
import pydantic
from dotdo import DO


class Amount(pydantic.BaseModel):
    units: int


class Meter(DO):
    value: int = 0

    async def add(self, amount: Amount) -> int:
        self.value += amount.units
        return self.value

    async def version(self) -> str:
        return "first"

    async def steps(self) -> str:
        await self.do(self._one, step_id="one")
        await self.sleep("1s")
        return await self.version()

    async def _one(self) -> None:
        self.value += 100


async def main():
    print(await Meter("m").add(Amount(units=1)), await Meter("m").version())


if __name__ == "__main__":
    asyncio.run(main())
"""


def test_a_cluster_stays_up_is_joined_given_new_code_backed_up_and_taken_down(tmp_path):
    app, data = tmp_path / "app.py", tmp_path / "data"
    app.write_text(APP)
    environment = {**os.environ, "DOTDO_DATA": str(data)}

    def program():
        done = subprocess.run([sys.executable, str(app)], capture_output=True, text=True, timeout=100, env=environment)
        assert done.returncode == 0, done.stderr
        return "\n".join(said_by(done))

    up = json.loads(execute(data, "up", str(app), "--hosts", "2", "--json")[0])
    try:
        assert (up["hosts"], up["nouns"]) == (2, ["Meter"])
        assert program() == "1 first"
        out, said = execute(data, "call", "Meter/m.add", '{"units": 2}')
        assert out == "3\n"
        assert f"joined the runtime on {data} (process {up['pid']})" in said
        assert f"process {up['pid']}" in execute(data, "up", code=1)[1]
        assert len(json.loads(execute(data, "status", "--json")[0])["hosts"]) == 2
        started = json.loads(execute(data, "call", "Meter/n.steps", "--start", "--json")[0])["id"]
        app.write_text(APP.replace('"first"', '"second"'))
        assert "Meter" in execute(data, "up", str(app))[0]
        assert program() == "4 second"
        execute(data, "tail", "--logs", "--no-follow")
        _tail_follows(data, environment)
        _serve_joins(data, environment, tmp_path)
        report = json.loads(execute(data, "backup", str(tmp_path / "b.zip"), "--json")[0])
        assert report["by_noun"]["Meter"] == 2
    finally:
        assert "is stopped" in execute(data, "down")[0]
    assert not (data / "hosts" / "up.json").exists()
    assert "nothing runs" in execute(data, "down")[0]
    execute(tmp_path / "copy", "restore", str(tmp_path / "b.zip"))
    assert execute(tmp_path / "copy", "call", "Meter/m.value")[0] == "4\n"
    until = time.monotonic() + 60
    while (info := json.loads(execute(tmp_path / "copy", "history", started, "--json")[0]))["status"] != "completed":
        assert time.monotonic() < until, info
    assert execute(tmp_path / "copy", "call", "Meter/n.value")[0] == "100\n"


def _tail_follows(data, environment):
    execute(data, "send", "Meter.read", "n=1")
    words = [DOTDO, "tail", "Meter.*", "--last", "1", "--json"]
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True) as tail:
        try:
            assert json.loads(tail.stdout.readline())["data"] == {"n": 1}  # it is there, and follows from here on
            execute(data, "send", "Meter.read", "n=2")
            assert json.loads(tail.stdout.readline())["data"] == {"n": 2}
        finally:
            tail.send_signal(signal.SIGINT)
        assert tail.wait(60) == 130


def _serve_joins(data, environment, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (tmp_path / "serve.log").open("w+")
    with subprocess.Popen([DOTDO, "serve", "--port", str(port)], env=environment, stdout=log, stderr=log) as server:
        try:
            until = time.monotonic() + 60
            while True:
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/Meter/m/value", timeout=30) as answer:
                        assert json.loads(answer.read()) == 4
                    break
                except (urllib.error.URLError, ConnectionError):
                    assert server.poll() is None and time.monotonic() < until, (tmp_path / "serve.log").read_text()
                    time.sleep(0.05)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)
    log.close()
    assert "Traceback" not in (tmp_path / "serve.log").read_text()
    assert execute(data, "call", "Meter/m.value")[0] == "4\n"  # the runtime it had joined goes on


def test_what_cannot_start_says_why_in_one_line(tmp_path):
    (tmp_path / "bad.py").write_text("import nothing_of_that_name\n")
    said = execute(tmp_path / "data", "up", str(tmp_path / "bad.py"), code=1)[1]
    assert "nothing_of_that_name" in said
    assert said.count("\n") == 1
    assert "there is no file" in execute(tmp_path / "data", "up", "missing.py", code=2)[1]


def test_a_person_comes_from_the_demo_to_a_replayed_dead_letter_by_help_alone(tmp_path):
    """Each line that is typed here is one that the output before it names."""
    printed = execute(None, "demo", "--no-kill", cwd=tmp_path)[0]
    data = re.search(r"--data\s+(\S+)\s+status", printed)[1]
    help_text = execute(None, "--help")[0]
    assert "dead-letters" in help_text
    assert "--data" in help_text

    def type_in(line):
        words = line.removeprefix("dotdo ").split()
        return execute(None, "--data", data, *words, cwd=tmp_path)

    assert "Apology" in type_in("dotdo status")[0]
    listed, said = type_in("dotdo dead-letters")
    number = re.search(r"^(\d+) ", listed, re.M)[1]
    assert "replay ID" in said
    shown = type_in(f"dotdo dead-letters show {number}")[0]
    advice = re.search(r"dotdo call (\S+) CUSTOMER", " ".join(shown.split()))[1]
    assert "15003" in type_in(f"dotdo call {advice} 15003")[0]
    assert "on its way" in type_in(f"dotdo dead-letters replay {number}")[0]
    assert "Dear customer 15003" in type_in(f"dotdo show {advice.partition('.')[0]}")[0]
    assert "there are no dead letters" in type_in("dotdo dead-letters")[1]
