"""`dotdo serve` with no host processes: what it refuses, says and leaves behind."""

import json
import os
import re
import signal
import socket
import subprocess
import urllib.request

from tests.cli.command import DOTDO, execute, run

PROGRAM = """
from dotdo import DO

class Shelf(DO):
    n: int = 0
    async def add(self, how: int) -> int:
        self.n += how
        return self.n
"""


def test_a_served_folder_is_there_for_other_verbs_afterwards(tmp_path):
    (tmp_path / "app.py").write_text(PROGRAM)
    data = tmp_path / "data"
    environment = {**os.environ, "DOTDO_DATA": str(data)}
    environment.pop("DOTDO_TOKENS", None)
    words = [DOTDO, "serve", "app.py", "--hosts", "0", "--port", "0"]
    with subprocess.Popen(words, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as server:
        try:
            said = server.stderr.readline()
            port = int(re.search(r"http://127\.0\.0\.1:(\d+)", said)[1])
            request = urllib.request.Request(f"http://127.0.0.1:{port}/Shelf/s/add", b"4", {"content-type": "application/json"})
            with urllib.request.urlopen(request, timeout=60) as answer:
                assert json.loads(answer.read()) == 4
        finally:
            server.send_signal(signal.SIGTERM)
            assert server.wait(60) == 0
        assert "Traceback" not in server.stderr.read()
    assert execute(data, "call", "Shelf/s.add", "2")[0] == "6\n"


def test_what_cannot_be_served_leaves_no_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("DOTDO_TOKENS", raising=False)
    data = tmp_path / "data"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for options, words in ((["--host", "0.0.0.0"], "needs tokens"), (["--port", port], "nothing can listen")):
            _, err = run(data, "serve", "--hosts", "0", *options, code=1)
            assert words in err
            assert "serving" not in err
    assert not data.exists()
