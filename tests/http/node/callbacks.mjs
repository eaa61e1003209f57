import { assert, connect, done } from "./start.mjs";
import { RpcTarget } from "capnweb";
const { api, socket } = connect();
await api.RpcPerson("p1").become("ann");
assert.equal(await api.RpcPerson("p1").call_back(async (n, who) => `${n} ${await who.name}`, 42), "42 ann");
class Listener extends RpcTarget { heard = []; hear(text) { this.heard.push(text); return this.heard.length; } }
const listener = new Listener();
await api.RpcPerson("p1").listen(listener);
assert.equal(await api.RpcPerson("p1").say("one"), 1);
assert.equal(await api.RpcPerson("p1").say("two"), 2);
assert.deepEqual(listener.heard, ["one", "two"]);
const failed = await api.RpcPerson("p1").call_back(() => { throw new RangeError("no"); }, 1).then(() => null, (error) => error);
assert.match(failed.message, /no/);
socket.close();
await new Promise((resolve) => setTimeout(resolve, 50));
const { api: again } = connect();
const gone = await again.RpcPerson("p1").say("three").then(() => null, (error) => error);
assert.equal(gone.code, "client_gone");
done();
