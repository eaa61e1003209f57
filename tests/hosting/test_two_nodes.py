"""Hosts and clients on different Ray nodes talk through TCP, with the token; anybody else is refused."""

import asyncio
import subprocess
import sys

import pytest

from dotdo.errors import NotAllowed
from dotdo.hosting.router import ClusterRouter
from dotdo.rpc import frames
from dotdo.rpc.client import Client

PROGRAM = """
import asyncio, os, random, signal, struct, sys
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
import ray
from ray.cluster_utils import Cluster
import dotdo
from dotdo import DO
from dotdo.rpc import frames

class Near(DO):
    count: int = 0
    async def add(self, amount: int) -> int:
        self.count += amount
        return self.count
    async def node(self) -> str:
        return ray.get_runtime_context().get_node_id()
    async def of(self, other: str) -> int:
        return await Far(other).add(1)

class Far(Near, placement="dedicated", ray_options={"resources": {"there": 0.1}}):
    async def of(self, other: str) -> int:
        return await Near(other).add(1)
    async def count_on(self, times: int) -> int:
        for number in range(times):
            await self.do(Near("counted").add, 1, step_id=f"s{number}")
            await asyncio.sleep(0.02)
        return await Near("counted").count

async def throw(port, data):
    reader, writer = await asyncio.open_connection("127.0.0.1" if port[0] == "" else port[0], port[1])
    writer.write(data)
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    return answer

async def main(address):
    async with dotdo.init(data=sys.argv[1], address=address, hosts=1, shards=4):
        here = ray.get_runtime_context().get_node_id()
        assert await Near("n").node() == here
        far = await Far("f").node()
        assert far != here, "the second node has what the class asks for"
        assert await Far("f").add(1) == 1
        assert await Far("f").of("n") == 1, "from there to here"
        assert await Near("n").of("f") == 2, "and back"

        pid = (await dotdo.hosts())[0]["pid"]
        counting = asyncio.ensure_future(Far("f").count_on(40))
        while await Near("counted").count < 10:
            await asyncio.sleep(0.01)
        os.kill(pid, signal.SIGKILL)
        assert await counting == 40, "its new port was asked for"

        @ray.remote(num_cpus=0, resources={"there": 0.1})
        def elsewhere(data):
            dotdo.init(data=data, address="auto")
            try:
                me = ray.get_runtime_context().get_node_id()
                stub = dotdo.rpc.stub.make_stub
                return me, [dotdo.result(stub("Near", "n").add(10)) for _ in range(3)], dotdo.result(stub("Far", "f").add(1))
            finally:
                dotdo.shutdown()
        me, counts, own = ray.get(elsewhere.remote(sys.argv[1]), timeout=60)
        assert me == far and counts == [11, 21, 31] and own == 3, (me, counts, own)

        owner = ray.get(ray.get_actor("h0", namespace=[a["namespace"] for a in ray.util.list_named_actors(True) if a["name"] == "h0"][0]).address.remote())
        port = owner["address"][2:]
        rng = random.Random(7)
        hello = frames.encode([[frames.HELLO, frames.VERSION, "wrong", "cx", "client"]])
        for data, code in ((hello, b"not_allowed"), (rng.randbytes(5000), b"frame_error"), (b"GET / HTTP/1.1\\r\\n\\r\\n", b"frame_error")):
            answer = await throw(port, data)
            assert code in answer, (data[:20], answer)
        good = frames.encode([[frames.HELLO, frames.VERSION, owner["token"], "cx", "client"]])
        assert b"frame_error" in await throw(port, good + struct.pack(">I", 5000) + rng.randbytes(5000))
        assert await Near("n").add(0) == 31
    print("fine")

if __name__ == "__main__":
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False, "object_store_memory": 80 * 1024 * 1024})
    cluster.add_node(num_cpus=1, resources={"there": 1}, object_store_memory=80 * 1024 * 1024)
    try:
        asyncio.run(main(cluster.address))
    finally:
        ray.shutdown()
        cluster.shutdown()
"""


@pytest.mark.ray
@pytest.mark.feature(10)
async def test_two_nodes_talk_through_tcp_and_find_a_restarted_host_again(tmp_path):
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", PROGRAM, str(tmp_path / "d")], capture_output=True, text=True, timeout=115
    )
    assert done.stdout.strip().endswith("fine"), done.stdout[-1000:] + done.stderr[-3000:]


async def test_a_client_with_a_wrong_token_is_refused_typed_and_at_once(rt):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(rt.host.session, "127.0.0.1", 0)
    address = ["another node", "", "127.0.0.1", server.sockets[0].getsockname()[1]]
    try:
        for token, refused in (("wrong", True), (rt.router.token, False)):
            router = ClusterRouter(["h0"], {"h0": address}, token, "this node", lambda _: None)
            client = Client(router, loop)
            answer = client.call_out("_host", "h0", ["status"], None, None)
            if refused:
                with pytest.raises(NotAllowed, match="token"):
                    await asyncio.wait_for(answer, 10)
            else:
                assert await asyncio.wait_for(answer, 10)
            client.close()
    finally:
        server.close()


async def test_what_is_no_frame_is_answered_by_a_refusal(rt):
    server = await asyncio.get_running_loop().create_server(rt.host.session, "127.0.0.1", 0)
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
        writer.write(b"\xff" * 100)
        answer = await asyncio.wait_for(reader.read(), 10)
        (messages,) = frames.Parser().feed(answer)
        assert messages[0][:2] == [frames.REFUSED, "frame_error"]
        writer.close()
    finally:
        server.close()
