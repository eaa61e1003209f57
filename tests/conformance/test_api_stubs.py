"""Stubs, promises and pipelining as the public page describes them."""

import asyncio
import collections.abc
import copy
import inspect
import operator
import pickle
import subprocess
import sys
import textwrap

import pydantic
import pytest

import dotdo
from dotdo import DO, CallIdConflict, CallTimeout, CodecError, DefinitionError, NoSuchMember, NotAwaited


class ApiProfile(pydantic.BaseModel):
    name: str = "Ann"
    email: str = "ann@example.org"
    tags: list[str] = ["x", "y"]
    by_year: dict[int, str] = {2026: "now"}


class ApiUser(DO):
    profile: ApiProfile = ApiProfile()
    address: dict = {"city": "Ulm", "items": [1, 2]}
    friend: "ApiUser | None" = None
    notes: list[str] = []
    calls: int = 0

    async def notify(self, type: str = "", **more: object) -> int:
        self.calls += 1
        self.notes.append(type)
        return self.calls

    async def befriend(self, other: "ApiUser") -> "ApiUser":
        self.friend = other
        return self.friend

    async def label(self, *parts: object, **named: object) -> list:
        self.calls += 1
        return [*parts, named] if named else list(parts)

    async def echo(self, value: object) -> object:
        return value

    async def me(self) -> "ApiUser":
        self.calls += 1
        return ApiUser(self.id)

    async def is_stub(self, other: "ApiUser") -> tuple:
        return isinstance(other, ApiUser), other.id, other == ApiUser(other.id), await other.calls

    async def fail(self) -> None:
        self.calls += 1
        raise KeyError("no such thing")

    async def wait(self) -> None:
        self.calls += 1
        await asyncio.get_running_loop().create_future()

    async def slowly(self) -> str:
        self.calls += 1
        await self.sleep("20s")
        return "done"

    async def read_only(self) -> str:
        return f"call {_count()}"

    async def map(self, factor: int) -> int:
        return factor * 2

    async def result(self) -> str:
        return "a result"

    async def ask_many(self, ids: list[str]) -> list:
        return await asyncio.gather(*(self.ApiUser(i).profile.name for i in ids))

    async def wait_shortly(self, other: str) -> str:
        try:
            await ApiUser(other).with_options(timeout="1s").slowly()
        except CallTimeout:
            self.notes.append("too slow")
        return await ApiUser(other).with_options(timeout="1h").slowly()

    async def pass_on(self, other: str) -> list:
        kept = ApiUser(other).notify()
        return [await ApiUser(self.id + "2").label(kept, kept), await kept, await ApiUser(self.id + "2").label(kept)]

    async def use_as_value(self) -> None:
        if ApiUser("x").profile.name == "Ann":
            self.calls += 1


class ApiTeam(DO):
    members: list[ApiUser] = []
    by_role: dict[str, ApiUser] = {}
    lead: ApiUser | None = None

    async def fill(self, *ids: str) -> None:
        self.members = [ApiUser(i) for i in ids]
        self.by_role = {i: ApiUser(i) for i in ids}

    def all_members(self) -> list[ApiUser]:
        return self.members

    def tree(self) -> dict:
        return {"users": [{"who": user, "n": [1, 2]} for user in self.members], "none": None, "number": 5}


counted: list[int] = []


def _count() -> int:
    counted.append(1)
    return len(counted)


async def _cost(awaitable):
    """The value, and how many frames left for it."""
    before = dotdo.stats().frames_sent
    value = await awaitable
    return value, dotdo.stats().frames_sent - before


# -- paths ----------------------------------------------------------------------------------------------------------


@pytest.mark.feature(346, 351, 418)
async def test_every_kind_of_path_is_one_round_trip(rt):
    await ApiUser("u").befriend(ApiUser("v"))
    await ApiTeam("t").fill("u", "v")
    user, team = ApiUser("u"), ApiTeam("t")
    assert await _cost(user.profile.email) == ("ann@example.org", 1)
    assert await _cost(user.profile.tags[0]) == ("x", 1)
    assert await _cost(user.profile.tags[-1]) == ("y", 1)
    assert await _cost(user.profile.by_year[2026]) == ("now", 1)
    assert await _cost(user.address.city) == ("Ulm", 1)
    assert await _cost(user.address["city"]) == ("Ulm", 1)
    assert await _cost(user.address["items"][1]) == (2, 1)
    assert await _cost(user.address.items) == ([1, 2], 1)
    assert await _cost(user.friend.profile.name) == ("Ann", 1)
    assert await _cost(user.befriend(ApiUser("w")).profile.name) == ("Ann", 1)
    assert await _cost(team.members[1].profile.tags[0]) == ("x", 1)
    assert await _cost(team.by_role["v"].profile.name) == ("Ann", 1)
    assert await _cost(team.tree().users[0].who.profile.name) == ("Ann", 1)
    assert await _cost(dotdo.get(user.profile.email)) == ("ann@example.org", 1)


@pytest.mark.feature(346)
async def test_what_a_path_does_not_find_is_named(rt):
    await ApiTeam("t").fill("u")
    for promise, name in (
        (ApiUser("u").profile.nothing, "nothing"),
        (ApiUser("u").address.nothing, "nothing"),
        (ApiUser("u").profile.tags[9], "9"),
        (ApiUser("u").address["nothing"], "nothing"),
        (ApiTeam("t").members[0].nothing, "nothing"),
        (ApiTeam("t").lead.profile, "profile"),
        (ApiUser("u").profile.name.upper(), "upper"),
        (ApiUser("u").profile.tags.append("z"), "append"),
    ):
        with pytest.raises(NoSuchMember, match=name):
            await promise
    assert await ApiUser("u").profile.tags == ["x", "y"]
    with pytest.raises(AttributeError):
        ApiUser("u").profile.__class__.__mro__.nothing  # noqa: B018


async def test_a_path_has_at_most_64_parts(rt):
    promise = ApiUser("u").address
    with pytest.raises(NoSuchMember, match="64"):
        for _ in range(70):
            promise = promise.deeper


@pytest.mark.feature(347)
async def test_the_sequential_form_works_too(rt):
    user = await ApiUser("u")
    assert user is not None
    assert user == ApiUser("u")
    profile = await user.profile
    assert profile == ApiProfile()
    assert (await profile_email(user)) == profile.email


async def profile_email(user: ApiUser) -> str:
    return await dotdo.get(user.profile.email)


# -- calls ------------------------------------------------------------------------------------------------------------


@pytest.mark.feature(349)
async def test_forks_of_one_call_share_it_and_keep_their_own_paths(rt):
    fork = ApiUser("u").me()
    values, frames = await _cost(asyncio.gather(fork.profile.email, fork.profile.name, fork.id, fork))
    assert values == ["ann@example.org", "Ann", "u", ApiUser("u")]
    assert frames == 1
    assert await ApiUser("u").calls == 1
    assert await fork == await fork == ApiUser("u")
    assert await fork.profile.tags[1] == "y"
    assert await ApiUser("u").calls == 1


@pytest.mark.feature(352)
async def test_promises_are_arguments_anywhere_in_a_value(rt):
    u, v = ApiUser("u"), ApiUser("v")
    assert await _cost(v.label(u.address)) == ([{"city": "Ulm", "items": [1, 2]}], 1)
    assert await _cost(v.label(u.profile.name, u.profile.email, to=u.address.city)) == (["Ann", "ann@example.org", {"to": "Ulm"}], 1)
    assert await _cost(v.label([u.profile.name, {"k": (u.calls, 1)}])) == ([["Ann", {"k": (0, 1)}]], 1)
    assert await _cost(v.label(u.label(v.profile.name))) == ([["Ann"]], 1)
    assert await _cost(v.label(v.profile.name)) == (["Ann"], 1)
    with pytest.raises(KeyError, match="no such thing"):
        await v.label(u.fail())


@pytest.mark.feature(349, 352)
async def test_a_call_that_is_kept_and_passed_runs_once(rt):
    """The promise is the call's own and the argument's: in one tick, in flight, answered, awaited before or after."""
    u, v = ApiUser("u"), ApiUser("v")
    same_tick = u.notify()
    assert await v.label(same_tick, same_tick) == [1, 1]
    assert await v.label(same_tick) == [1]
    assert await same_tick == 1
    in_flight = u.notify()
    waiting = asyncio.ensure_future(in_flight)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await v.label(in_flight) == [2]
    assert await waiting == 2
    assert await v.label(in_flight) == [2]
    chained = u.me().notify()
    assert await v.label(chained) == [4]
    assert await chained == 4
    named = u.with_options(call_id="kept").notify()
    assert await v.label(named) == await v.label(named) == [5]
    assert await named == 5
    assert await u.calls == 5
    assert await v.pass_on("w") == [[1, 1], 1, [1]]
    assert await ApiUser("w").calls == 1


async def test_a_chain_on_an_answer_that_is_here_takes_promises_too(rt):
    me = ApiUser("u").me()
    assert await me == ApiUser("u")
    assert await me.label(ApiUser("v").profile.name, ApiUser("v").label(me.profile.email)) == ["Ann", ["ann@example.org"]]


@pytest.mark.feature(353)
async def test_a_gather_of_calls_and_fields_is_one_frame(rt):
    values, frames = await _cost(asyncio.gather(ApiUser("a").notify(), ApiUser("b").calls, ApiUser("c").profile.name, ApiUser("a").calls))
    assert values == [1, 0, "Ann", 1]
    assert frames == 1
    before = dotdo.stats()
    await asyncio.gather(*(ApiUser(str(n)).profile.name for n in range(50)))
    after = dotdo.stats()
    assert after.frames_sent - before.frames_sent == 1
    assert after.calls - before.calls == 50
    assert after.bytes_sent > before.bytes_sent
    assert after.bytes_received > before.bytes_received
    assert after.frames_received > before.frames_received


@pytest.mark.feature(348, 349, 354, 355)
async def test_what_is_not_awaited_is_sent_once_in_order_at_the_ticks_end(rt):
    ApiUser("u").notify(type="first")
    dotdo.tell(ApiUser("u").notify(type="second"))
    ApiUser("u").fail()
    ApiUser("u").profile  # noqa: B018  # a path nobody awaits asks nothing
    kept = ApiUser("u").notify(type="third")
    await dotdo.flush()
    assert await ApiUser("u").notes == ["first", "second", "third"]
    assert await kept == 3
    assert await ApiUser("u").calls == 3
    with pytest.raises(TypeError):
        dotdo.tell(5)


@pytest.mark.feature(344)
async def test_inside_an_entity_it_is_the_same_by_noun_name(rt):
    assert await ApiUser("u").ask_many(["a", "b"]) == ["Ann", "Ann"]


@pytest.mark.feature(346)
async def test_the_names_a_promise_keeps_for_itself_are_reached_by_index(rt):
    assert await ApiUser("u").map(4) == 8
    assert await ApiUser("u")["map"](4) == 8
    assert await ApiUser("u").me()["map"](4) == 8
    assert await ApiUser("u").me()["result"]() == "a result"
    await ApiUser("u").befriend(ApiUser("v"))
    assert await ApiUser("u").friend["map"](5) == 10
    assert await ApiUser("u").friend["profile"]["name"] == "Ann"
    assert await ApiUser("u")["profile"].name == "Ann"


@pytest.mark.feature(354)
async def test_an_error_in_the_middle_rejects_what_hangs_on_it_and_nothing_else(rt):
    chain = ApiUser("u").fail()
    good, bad, longer = await asyncio.gather(ApiUser("u").profile.name, chain.profile, chain.me().me(), return_exceptions=True)
    assert good == "Ann"
    assert isinstance(bad, KeyError)
    assert isinstance(longer, KeyError)


# -- map --------------------------------------------------------------------------------------------------------------


@pytest.mark.feature(346)
async def test_map_is_recorded_once_and_takes_paths_calls_and_templates(rt):
    await ApiTeam("t").fill("a", "b")
    runs = []

    def names(member):
        runs.append(1)
        return member.profile.name

    team = ApiTeam("t")
    assert await _cost(team.members.map(names)) == (["Ann", "Ann"], 1)
    assert runs == [1]
    assert await team.members.map(lambda m: m) == [ApiUser("a"), ApiUser("b")]
    assert await team.members.map(lambda m: [m.id, m.noun]) == [["a", "ApiUser"], ["b", "ApiUser"]]
    assert await team.members.map(lambda m: 5) == [5, 5]
    assert await team.members.map(lambda m: [m.profile.name, {"tag": m.profile.tags[0]}]) == [["Ann", {"tag": "x"}]] * 2
    assert await team.members.map(lambda m: m.label(m.profile.name, "x")) == [["Ann", "x"]] * 2
    assert await team.members.map(lambda m: ApiUser("other").label(m.profile.email)) == [["ann@example.org"]] * 2
    assert await team.all_members().map(lambda m: m.profile.name) == ["Ann", "Ann"]
    assert await team.members.map(lambda m: m.profile)[1].name == "Ann"
    assert await team.tree().users.map(lambda u: u.n[1]) == [2, 2]
    assert await team.tree()["none"].map(lambda x: x.y) is None
    assert await ApiTeam("empty").members.map(lambda m: m.name) == []


async def test_a_map_has_at_most_1000_instructions_and_none_within(rt):
    assert len(await ApiUser("u").profile.tags.map(lambda t: [ApiUser("v").echo(n) for n in range(100)])) == 2
    with pytest.raises(DefinitionError, match="1000"):
        ApiUser("u").profile.tags.map(lambda t: [ApiUser("v").echo(n) for n in range(1001)])
    with pytest.raises(DefinitionError, match="map"):
        ApiTeam("t").members.map(lambda m: m.profile.tags.map(lambda t: t))
    assert await ApiUser("u").profile.name == "Ann"


async def test_a_map_function_that_looks_at_the_value_is_told_so(rt):
    with pytest.raises(NotAwaited):
        ApiTeam("t").members.map(lambda m: m.name if m.active else None)
    assert await ApiUser("u").profile.name == "Ann"


# -- promises are not values ------------------------------------------------------------------------------------------------

USES = {
    "bool": bool, "not": operator.not_, "len": len, "str": str, "format": format, "f-string": lambda p: f"{p:>5}", "percent": lambda p: f"{p}",
    "int": int, "float": float, "complex": complex, "index": operator.index, "bytes": bytes, "iter": iter, "list": list, "reversed": reversed,
    "in": lambda p: 1 in p, "in a list": lambda p: p in [1], "unpack": lambda p: [*p], "sum": lambda p: sum([p]),
    "==": lambda p: p == 1, "reflected ==": lambda p: p == 1, "!=": lambda p: p != 1, "<": lambda p: p < 1, "<=": lambda p: p <= 1,
    ">": lambda p: p > 1, ">=": lambda p: p >= 1, "sorted": lambda p: sorted([p, 1]), "max": lambda p: max(p, 1),
    "+": lambda p: p + 1, "1 +": lambda p: 1 + p, "text +": lambda p: "a" + p, "-": lambda p: p - 1, "1 -": lambda p: 1 - p,
    "*": lambda p: p * 2, "2 *": lambda p: 2 * p, "/": lambda p: p / 2, "1 /": lambda p: 1 / p, "//": lambda p: p // 2, "1 //": lambda p: 1 // p,
    "%": lambda p: p % 2, "1 %": lambda p: 1 % p, "**": lambda p: p**2, "2 **": lambda p: 2**p, "@": lambda p: p @ 1, "1 @": lambda p: 1 @ p,
    "divmod": lambda p: divmod(p, 2), "2 divmod": lambda p: divmod(2, p), "neg": operator.neg, "pos": operator.pos, "invert": operator.invert,
    "abs": abs, "round": round, "&": lambda p: p & 1, "1 &": lambda p: 1 & p, "|": lambda p: p | 1, "1 |": lambda p: 1 | p,
    "^": lambda p: p ^ 1, "1 ^": lambda p: 1 ^ p, "<<": lambda p: p << 1, "1 <<": lambda p: 1 << p, ">>": lambda p: p >> 1, "1 >>": lambda p: 1 >> p,
    "+=": lambda p: operator.iadd(p, 1), "async for": aiter,
}  # fmt: skip


@pytest.mark.parametrize("use", USES)
async def test_a_promise_used_as_a_value_raises_and_names_its_path(rt, use):
    for promise, path in ((ApiUser("u").profile.name, "profile.name"), (ApiUser("u").notify(), "notify")):
        with pytest.raises(NotAwaited, match=path) as caught:
            USES[use](promise)
        assert isinstance(caught.value, TypeError)


async def test_with_and_async_with_on_a_promise_are_refused(rt):
    with pytest.raises((NotAwaited, TypeError)), ApiUser("u").profile:
        pass
    with pytest.raises((NotAwaited, TypeError)):
        async with ApiUser("u").profile:
            pass


async def test_a_promise_used_as_a_value_inside_an_entity_is_the_calls_error(rt):
    with pytest.raises(NotAwaited, match="name"):
        await ApiUser("u").use_as_value()


async def test_repr_hash_and_identity_of_a_promise_work(rt):
    promise = ApiUser("u").profile.tags
    other = ApiUser("u").profile.tags
    assert "profile.tags" in repr(promise)
    assert "ApiUser" in repr(promise)
    assert promise == promise
    assert promise == promise
    assert len({promise, other}) == 2
    assert promise in [promise]
    assert "notify" in repr(ApiUser("u").notify())


@pytest.mark.feature(356)
async def test_probing_a_promise_or_a_stub_finds_nothing_private(rt):
    for thing in (ApiUser("u"), ApiUser("u").profile, ApiUser("u").notify()):
        for name in ("_repr_html_", "__len_hint__", "_ipython_display_", "__array__", "__html__", "_private", "__wrapped__"):
            assert not hasattr(thing, name)
    with pytest.raises(AttributeError):
        ApiUser("u").profile.name = "x"
    with pytest.raises(TypeError):
        ApiUser("u").profile["name"] = "x"


async def test_the_promise_of_a_call_is_a_coroutine_for_asyncio(rt):
    call = ApiUser("u").notify()
    assert isinstance(call, collections.abc.Coroutine)
    assert asyncio.iscoroutine(call)
    assert inspect.isawaitable(call)
    assert inspect.isawaitable(ApiUser("u").profile)
    assert await asyncio.create_task(call) == 1
    assert await asyncio.shield(ApiUser("u").notify()) == 2
    assert await asyncio.wait_for(ApiUser("u").notify(), 5) == 3
    assert [await done for done in asyncio.as_completed([ApiUser("u").notify()])] == [4]
    done, _ = await asyncio.wait([asyncio.create_task(ApiUser("u").notify())])
    assert [task.result() for task in done] == [5]
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        task = group.create_task(ApiUser("u").notify())
    assert task.result() == 6
    with pytest.raises(TypeError, match="create_task"):
        ApiUser("u").notify().add_done_callback(print)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ApiUser("u").wait(), 0.01)


async def test_a_promise_awaited_twice_is_one_call(rt):
    call = ApiUser("u").notify()
    assert (await call, await call) == (1, 1)
    path = ApiUser("u").calls
    assert (await path, await path) == (1, 1)


async def test_result_where_a_loop_runs_says_await_it(rt):
    with pytest.raises(RuntimeError, match="await it"):
        ApiUser("u").notify().result()
    with pytest.raises(RuntimeError, match="await it"):
        dotdo.result(ApiUser("u").calls, timeout=1)


async def test_arguments_are_taken_as_they_are_when_the_call_is_written(rt):
    value = [1]
    call = ApiUser("u").echo(value)
    value.append(2)
    assert await call == [1]
    with pytest.raises(CodecError, match="echo"):
        ApiUser("u").echo(object())
    with pytest.raises(CodecError):
        ApiUser("u").echo(lambda: 1)


# -- stubs are values -----------------------------------------------------------------------------------------------------------


@pytest.mark.feature(356, 357)
async def test_a_stub_is_noun_and_id_wherever_it_goes(rt):
    stub = ApiUser("u")
    assert (stub.id, stub.noun, stub.key) == ("u", "ApiUser", "ApiUser/u")
    for same in (
        copy.copy(stub),
        copy.deepcopy([stub])[0],
        pickle.loads(pickle.dumps(stub)),
        await ApiUser("v").echo(stub),
        stub.with_options(),
    ):
        assert same == stub
        assert hash(same) == hash(stub)
        assert isinstance(same, ApiUser)
    assert stub != ApiUser("v")
    assert stub != ApiTeam("u")
    assert stub != "u"
    assert len({ApiUser("u"), ApiUser("u"), ApiTeam("u")}) == 2
    assert f"{stub}" == str(stub) == repr(stub) == "ApiUser('u')"
    assert bool(stub)
    assert await ApiUser("v").is_stub(stub) == (True, "u", True, 0)
    assert await ApiUser("v").befriend(stub) == stub
    await rt.crash()
    assert await ApiUser("v").friend == stub
    assert isinstance(await ApiUser("v").friend, ApiUser)
    assert pydantic.TypeAdapter(list[ApiUser]).validate_python([stub]) == [stub]
    with pytest.raises(pydantic.ValidationError):
        pydantic.TypeAdapter(ApiUser).validate_python(ApiTeam("u"))


async def test_a_stub_is_no_container_and_not_called(rt):
    for use in (len, iter, list, lambda s: 1 in s, lambda s: s(), lambda s: s[0], lambda s: s < s, lambda s: s + s):
        with pytest.raises(TypeError):
            use(ApiUser("u"))


# -- options of a call --------------------------------------------------------------------------------------------------------


@pytest.mark.feature(370)
async def test_a_call_id_gives_the_recorded_answer(rt):
    once = ApiUser("u").with_options(call_id="req-1")
    assert await once.notify(type="a") == 1
    assert await once.notify(type="a") == 1
    assert await ApiUser("u").notify.with_options(call_id="req-1")(type="a") == 1
    await rt.crash()
    assert await once.notify(type="a") == 1
    assert await ApiUser("u").calls == 1
    assert await asyncio.gather(*(ApiUser("u").with_options(call_id="req-2").notify(type="b") for _ in range(3))) == [2, 2, 2]
    with pytest.raises(CallIdConflict, match="req-1"):
        await once.notify(type="other")
    with pytest.raises(CallIdConflict):
        await once.label("a")
    assert await ApiUser("v").with_options(call_id="req-1").notify(type="a") == 1
    assert await ApiUser("u").calls == 2


async def test_a_call_id_records_the_answer_of_a_call_that_only_reads(rt):
    once = ApiUser("r").with_options(call_id="read-1")
    assert await once.read_only() == await once.read_only()


async def test_a_call_id_of_a_call_that_failed_runs_again(rt):
    for _ in range(2):
        with pytest.raises(KeyError):
            await ApiUser("u").with_options(call_id="req-f").fail()


async def test_a_timeout_ends_the_waiting_and_not_the_call(virtual):
    with pytest.raises(CallTimeout, match="slowly") as caught:
        await ApiUser("u").with_options(timeout=0.05, call_id="slow-1").slowly()
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.retryable
    assert await ApiUser("u").with_options(call_id="slow-1").slowly() == "done"
    assert await ApiUser("u").calls == 1


async def test_a_timeout_holds_between_entities_too(virtual):
    assert await ApiUser("u").wait_shortly("v") == "done"
    assert await ApiUser("u").notes == ["too slow"]
    assert await ApiUser("v").calls == 2


@pytest.mark.parametrize("options", [{"call_id": ""}, {"call_id": 5}, {"timeout": "soon"}, {"retries": 1}])
def test_wrong_call_options_are_refused(options):
    with pytest.raises((ValueError, TypeError)):
        ApiUser("u").with_options(**options)


# -- programs without a loop -----------------------------------------------------------------------------------------------

SCRIPT = '''
    import asyncio
    import sys

    import dotdo
    from dotdo import DO

    class OutOfStock(Exception):
        pass

    class Inventory(DO):
        """Stock of one product."""
        on_hand: int = 0
        reserved: dict[str, int] = {}

        async def receive(self, quantity: int) -> int:
            self.on_hand += quantity
            return self.on_hand

        async def reserve(self, order_id: str, quantity: int) -> int:
            self.reserved[order_id] = quantity
            if quantity > self.on_hand:
                raise OutOfStock(self.id, quantity)
            self.on_hand -= quantity
            return self.on_hand

        async def wait(self) -> None:
            await asyncio.sleep(0.3)

    async def main():
        await Inventory("85123A").receive(6)
        assert await dotdo.get(Inventory("85123A").on_hand) == 6
        assert await Inventory("85123A").on_hand == 6
        try:
            await Inventory("85123A").reserve("o1", 7)
        except OutOfStock as error:
            assert error.args == ("85123A", 7)
        else:
            raise AssertionError
        assert await Inventory("85123A").reserved == {}
        try:
            Inventory("85123A").on_hand.result()
        except RuntimeError as error:
            assert "await it" in str(error)
        else:
            raise AssertionError
        before = dotdo.stats().frames_sent
        await asyncio.gather(Inventory("a").on_hand, Inventory("b").receive(1))
        assert dotdo.stats().frames_sent == before + 1

    if __name__ == "__main__":
        dotdo.init(data=sys.argv[1], hosts=0)
        asyncio.run(main())
        assert asyncio.run(Inventory("c").receive(1)) == 1
        assert dotdo.result(Inventory("85123A").receive(2)) == 8
        assert Inventory("85123A").receive(2).result() == 10
        assert Inventory("85123A").on_hand.result(timeout="5s") == 10
        assert dotdo.result(Inventory("c").on_hand) == 1
        try:
            dotdo.result(Inventory("85123A").wait(), timeout=0.05)
        except dotdo.CallTimeout as error:
            assert isinstance(error, TimeoutError)
        else:
            raise AssertionError
        try:
            dotdo.result(Inventory("85123A").reserve("o1", 70))
        except OutOfStock as error:
            assert error.remote
        else:
            raise AssertionError
        dotdo.tell(Inventory("told").receive(5))
        Inventory("told").receive(6)
        assert [e["key"] for e in asyncio.run(dotdo.entities("Inventory", limit=100))][0] == "Inventory/85123A"
        dotdo.shutdown()

        async def again():
            async with dotdo.init(data=sys.argv[1], hosts=0):
                Inventory("told").receive(1)
            async with dotdo.init(data=sys.argv[1], hosts=0):
                return await Inventory("told").on_hand, await Inventory("85123A").on_hand

        assert asyncio.run(again()) == (12, 10)
        print("all of it held")
'''


@pytest.mark.feature(1, 3, 10)
def test_a_script_uses_entities_with_and_without_a_loop(tmp_path):
    script = tmp_path / "shop.py"
    script.write_text(textwrap.dedent(SCRIPT))
    done = subprocess.run([sys.executable, script, tmp_path / "data"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "all of it held"
