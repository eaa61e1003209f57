// A chain of five dependent calls leaves before anything has come back, and so costs one round trip.
import { assert, batch, connect, done, frames } from "./start.mjs";
const { api } = connect();
await api.RpcPerson("p2").become("bob", api.RpcPerson("p1"));
await api.RpcPerson("p1").become("ann");
frames.log.length = 0; frames.received = 0;
const answer = api.RpcPerson("p2").friend().me().me().greet(api.RpcPerson("p2").name);
const waiting = answer.then((text) => text);
await new Promise((resolve) => setTimeout(resolve, 0));
assert.equal(frames.received, 0);
assert.equal(await waiting, "ann greets bob");
const answers = frames.log.filter((text) => JSON.parse(text)[0] === "resolve");
assert.equal(answers.length, 1, "only the end of the chain is told");
assert.equal(await api.RpcPerson("p2").boss.boss.boss.name.then(() => "?", (error) => error.code), "no_such_member");
const both = batch();
assert.deepEqual(await Promise.all([both.RpcPerson("p2").boss.name, both.RpcPerson("p1").greet("x")]), ["ann", "ann greets x"]);
done();
