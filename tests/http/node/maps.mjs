import { assert, connect, done } from "./start.mjs";
const { api } = connect();
for (const [id, name] of [["p1", "ann"], ["p2", "bob"]]) await api.RpcPerson(id).become(name);
assert.deepEqual(await api.RpcPerson("t").team().map((one) => ({ id: one.id, text: one.who.greet(one.id) })),
  [{ id: "p1", text: "ann greets p1" }, { id: "p2", text: "bob greets p2" }]);
assert.deepEqual(await api.RpcPerson("t").team().map((one) => api.RpcPerson(one.id).name), ["ann", "bob"]);
assert.deepEqual(await api.RpcPerson("t").teams().map((team) => team.map((one) => one.who.name)), [["ann", "bob"], ["bob"]]);
assert.equal(await api.RpcPerson("t").nothing().map((one) => one.name), null);
done();
