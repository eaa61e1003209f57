"""Answers of language models: their shape, what is recorded, what is paid, and what is said when nobody can be asked.

The models are pydantic-ai's own for tests, and at the end its real client against a server on this machine.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydantic import BaseModel
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.models.test import TestModel

import dotdo
from dotdo import DO, BadAnswer, ModelUnavailable, N, RetryPolicy, ai
from dotdo.ai import choice

asked: list[str] = []


class BlogPost(BaseModel):
    title: str
    words: int


def _prompt(messages):
    return str(messages[-1].parts[-1].content)


def answering(make):
    """A model that answers what `make(prompt, info, number of questions so far)` gives, and notes what it was asked."""

    def answer(messages, info):
        asked.append(_prompt(messages))
        found = make(asked[-1], info, len(asked))
        if isinstance(found, dict):
            return ModelResponse(parts=[ToolCallPart(info.output_tools[0].name, found)])
        return ModelResponse(parts=[TextPart(found)])

    return FunctionModel(answer)


@pytest.fixture(autouse=True)
def nothing_configured():
    asked.clear()
    ai.configure()
    yield
    ai.configure()


class Writer(DO):
    drafts: int = 0

    async def write(self, topic: str) -> dict:
        post = await ai.generate(prompt=f"A post about {topic}", schema=BlogPost)
        self.drafts += 1
        await self.sleep("1h")
        better = await ai.generate(prompt="Improve this", context=post, schema=N.BlogPost)
        return {"type": type(better).__name__, "title": better.title, "drafts": self.drafts}

    async def in_a_step(self) -> str:
        return await self.do(ai.generate, "greeting", retry=RetryPolicy(max_attempts=2, initial_delay="1s"))


@pytest.mark.feature(337)
async def test_a_template_is_filled_and_one_that_nobody_wrote_says_what_is_wanted(rt):
    ai.configure(model=answering(lambda prompt, _info, _n: prompt.upper()))
    ai.template("launch", "Announce {product.name} for {price}.")
    assert await ai.generate("launch", product={"name": "Lamp"}, price=3) == "ANNOUNCE LAMP FOR 3."
    assert await ai.generate("launch", {"product": {"name": "Chair"}, "price": 4}) == "ANNOUNCE CHAIR FOR 4."
    found = await ai.generate("product-announcement", product={"name": "Lamp"})
    assert "WRITE THIS: PRODUCT ANNOUNCEMENT" in found
    assert '"NAME": "LAMP"' in found
    with pytest.raises(dotdo.DefinitionError, match="needs 'price'"):
        await ai.generate("launch", product={"name": "Lamp"})
    ai.template("sly", "{product.__class__}")
    with pytest.raises(dotdo.DefinitionError, match="private"):
        await ai.generate("sly", product="x")
    with pytest.raises(TypeError, match="one of them"):
        await ai.generate("launch", prompt="both")


@pytest.mark.feature(338, 342)
async def test_an_answer_in_an_execution_is_paid_once_whatever_crashes(virtual):
    ai.configure(model=answering(lambda _prompt, _info, n: {"title": f"title {n}", "words": 10}))
    run = await dotdo.start(Writer("w").write, "lamps")
    await virtual.settle()
    assert len(asked) == 1
    await virtual.crash()
    assert await run.result() == {"type": "BlogPost", "title": "title 2", "drafts": 1}
    assert len(asked) == 2
    assert '"title": "title 1"' in asked[1]
    (used,) = (await ai.usage()).values()
    assert (used.answers, used.requests) == (2, 2)
    assert used.output_tokens > 0


@pytest.mark.feature(338)
async def test_an_answer_that_does_not_fit_is_sent_back_and_given_up_after_so_many_times(rt):
    model = answering(lambda _prompt, _info, n: {"title": "t", "words": "many" if n < 3 else 5})
    assert (await ai.generate(prompt="write", schema=BlogPost, model=model)).words == 5
    assert len(asked) == 3
    asked.clear()
    never = answering(lambda _prompt, _info, _n: {"title": "t", "words": "many"})
    with pytest.raises(BadAnswer, match="no answer to 'generate' that fits"):
        await ai.generate(prompt="write", schema=BlogPost, model=never, retry=1, corrections=1)
    assert len(asked) == 2


async def test_a_step_around_it_tries_again_when_the_server_fails(virtual):
    def answer(_prompt, _info, number):
        if number == 1:
            raise ConnectionError("no line")
        return "hello"

    ai.configure(model=answering(answer))
    assert await Writer("s").in_a_step() == "hello"


@pytest.mark.feature(339)
async def test_analyses_have_their_shapes_and_others_say_what_was_found(rt):
    ticket = {"can_auto_resolve": False, "complexity": "medium"}
    found = await ai.analyze("ticket-complexity", ticket={"text": "it smokes"}, model=answering(lambda *_: ticket))
    assert (found.can_auto_resolve, found.canAutoResolve, found.complexity, found.reason_for_escalation) == (False, False, "medium", None)
    assert "ticket complexity" in asked[0]
    assert "it smokes" in asked[0]
    safe = {"safe": True, "confidence": 0.97, "flagged": False}
    screening = await ai.analyze("content-safety", {"content": "hello"}, model=answering(lambda *_: safe))
    assert screening.safe
    assert screening.confidence > 0.95
    free = await ai.analyze("churn-risk", customer={"id": 1}, model=answering(lambda *_: {"riskLevel": "high"}))
    assert (free.riskLevel, free.risk_level) == ("high", "high")
    with pytest.raises(AttributeError, match="says nothing of 'mood'"):
        _ = free.mood


@pytest.mark.feature(340)
async def test_a_recommendation_names_its_reason_and_keeps_to_what_there_is(rt):
    model = answering(lambda *_: {"item": "search", "reason": "often used"})
    found = await ai.recommend(type=N.Feature, for_={"name": "ann"}, strategy="most-relevant", model=model)
    assert (found.item, found.reason) == ("search", "often used")
    assert '"strategy": "most-relevant"' in asked[0]
    with pytest.raises(BadAnswer, match="not among"):
        await ai.recommend(type=N.Feature, among=["export"], model=model)
    several = answering(lambda *_: {"response": [{"item": "a"}, {"item": "b"}, {"item": "c"}]})
    assert [one.item for one in await ai.recommend(type=N.Feature, count=2, model=several)] == ["a", "b"]


@pytest.mark.feature(343)
async def test_without_a_model_it_says_how_to_get_one_at_once(virtual, monkeypatch):
    for name in ("MODEL", "BASE_URL", "API_KEY"):
        monkeypatch.delenv(f"DOTDO_AI_{name}", raising=False)
    with pytest.raises(ModelUnavailable, match="no model is configured: pass model="):
        await ai.generate(prompt="hello")
    began = virtual.clock.now()
    with pytest.raises(ModelUnavailable):
        await Writer("none").write("lamps")
    assert virtual.clock.now() == began  # no retry could help
    with pytest.raises(ModelUnavailable, match="name the provider"):
        await ai.generate(prompt="hello", model="homemade")
    assert "secret" not in repr(choice.Choice("m", None, "secret"))


async def test_test_models_of_the_library_fill_any_schema(rt):
    found = await ai.generate(prompt="x", schema=BlogPost, model=TestModel())
    assert isinstance(found, BlogPost)
    schema = {"title": "Fact", "type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    assert set(await ai.generate(prompt="x", schema=schema, model=TestModel())) == {"n"}


class _OpenAI(BaseHTTPRequestHandler):
    """As much of OpenAI's chat completions as a test needs."""

    requests: list[dict] = []
    failures: list[int] = []

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.requests.append({"path": self.path, "key": self.headers["Authorization"], **body})
        if self.failures:
            self._say(self.failures.pop(), {"error": {"message": "not now", "type": "server_error"}})
            return
        message: dict = {"role": "assistant", "content": "Hello from the server."}
        if body.get("tools"):
            arguments = json.dumps({"title": "Lamps", "words": 7})
            call = {"id": "c1", "type": "function", "function": {"name": body["tools"][0]["function"]["name"], "arguments": arguments}}
            message = {"role": "assistant", "content": None, "tool_calls": [call]}
        self._say(200, {
            "id": "r1", "object": "chat.completion", "created": 1, "model": body["model"],
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
            "usage": {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16},
        })  # fmt: skip

    def _say(self, status, content):
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_args):
        pass


@pytest.fixture
def server():
    _OpenAI.requests.clear()
    _OpenAI.failures.clear()
    running = ThreadingHTTPServer(("127.0.0.1", 0), _OpenAI)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{running.server_address[1]}/v1"
    running.shutdown()
    running.server_close()


@pytest.mark.feature(338, 343)
async def test_the_real_client_asks_a_real_server_and_the_bill_is_kept(server):
    async with dotdo.testing.runtime(env={"AI_MODEL": "gpt-5", "AI_BASE_URL": server, "AI_API_KEY": "k-1"}):
        run = await dotdo.start(Writer("real").in_a_step)
        assert await run.result() == "Hello from the server."
        ai.configure(model="gpt-5", base_url=server, api_key="k-2")
        assert await ai.generate(prompt="a post", schema=BlogPost) == BlogPost(title="Lamps", words=7)
        used = (await ai.usage())["gpt-5"]
        assert (used.answers, used.input_tokens, used.output_tokens) == (2, 22, 10)
        assert [request["key"] for request in _OpenAI.requests] == ["Bearer k-1", "Bearer k-2"]
        _OpenAI.failures.append(401)
        with pytest.raises(ModelUnavailable, match="refuses"):
            await ai.generate(prompt="x")
        assert "k-1" not in str(await run.history())
