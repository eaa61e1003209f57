"""The door under Cloudflare's own client, in Node: chains, maps, callbacks, values, disposal, reconnection."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from dotdo import DO, ClientObject, stats
from dotdo.http import app
from dotdo.http.capnweb import session as sessions
from dotdo.testing import runtime
from tests.doors import serving


class RpcOops(Exception):
    pass


class RpcPerson(DO):
    name: str = "?"
    boss: RpcPerson | None = None
    listener: ClientObject | None = None

    async def become(self, name: str, boss: Any = None) -> str:
        self.name = name
        self.boss = boss
        return name

    async def friend(self) -> RpcPerson | None:
        return self.boss

    async def me(self) -> RpcPerson:
        return RpcPerson(self.id)

    async def greet(self, who: str) -> str:
        return f"{self.name} greets {who}"

    async def team(self) -> list[Any]:
        return [{"id": one, "who": RpcPerson(one)} for one in ("p1", "p2")]

    async def teams(self) -> list[Any]:
        team = await self.team()
        return [team, team[1:]]

    async def nothing(self) -> None:
        return None

    async def call_back(self, callback: ClientObject, number: int) -> Any:
        return await callback(number, RpcPerson("p1"))

    async def listen(self, listener: ClientObject) -> None:
        self.listener = listener

    async def say(self, text: str) -> Any:
        assert self.listener is not None
        return await self.listener.hear(text)

    async def echo(self, *values: Any) -> list[Any]:
        return list(values)

    async def fail(self) -> None:
        raise RpcOops("bad thing")

    async def _private(self) -> None:
        raise AssertionError


async def run(folder: Path, script: str, asgi: Any = None) -> str:
    async with runtime(), serving(asgi) as port:
        process = await asyncio.create_subprocess_exec(
            "node", script, str(port), cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        try:
            output, _ = await asyncio.wait_for(process.communicate(), 60)
        finally:
            if process.returncode is None:
                process.kill()
        assert process.returncode == 0, output.decode()
        return output.decode()


@pytest.mark.feature(346, 352)
@pytest.mark.parametrize("script", ["chains", "maps", "callbacks", "values"])
async def test_the_official_client_does(node_scripts: Path, script: str):
    await run(node_scripts, f"{script}.mjs")


async def test_what_the_client_disposes_of_the_door_forgets(node_scripts: Path, monkeypatch: pytest.MonkeyPatch):
    held: list[sessions.Session] = []
    original = sessions.Session.__init__

    def remember(self: sessions.Session, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        held.append(self)

    monkeypatch.setattr(sessions.Session, "__init__", remember)
    asgi = app()
    asgi.add_api_route("/test-held", lambda: held[0].counts)
    output = await run(node_scripts, "disposal.mjs", asgi)
    assert '"exports":' in output
    assert int(output.split('"exports":')[1].split(",")[0]) <= 24  # the entities' promises, none of the stubs
    assert all(session.counts["exports"] == 0 for session in held)


@pytest.mark.feature(346)
async def test_five_dependent_calls_cost_one_frame_to_the_host():
    async with runtime():
        await RpcPerson("p1").become("ann")
        await RpcPerson("p2").become("bob", RpcPerson("p1"))
        sent: list[bytes] = []
        session = sessions.Session(sent.append, app().state.door.limits)
        before = stats().frames_sent
        for text in (
            '["push",["pipeline",0,["RpcPerson"],["p2"]]]', '["push",["pipeline",1,["friend"],[]]]', '["push",["pipeline",2,["me"],[]]]',
            '["push",["pipeline",3,["me"],[]]]', '["push",["pipeline",4,["greet"],[["pipeline",1,["name"]]]]]', '["pull",5]',
        ):  # fmt: skip
            session.receive(text)
        await session.drained(10.0)
        assert sent == [b'["resolve",5,"ann greets bob"]']
        assert stats().frames_sent - before == 1
        session.close()
