// A page with the official Cap'n Web client: entities as objects, a chain in one round trip, and a callback from a host to here.
import { newHttpBatchRpcSession, newWebSocketRpcSession, RpcTarget } from "/test/capnweb.js";

const said = [];
class Listener extends RpcTarget {
  hear(text) {
    said.push(text);
    return `heard ${text}`;
  }
}

try {
  const api = newWebSocketRpcSession(`ws://${location.host}/rpc`);
  const ann = api.RpcPagePerson("page-ann");
  await ann.become("ann");
  await api.RpcPagePerson("page-bob").become("bob", api.RpcPagePerson("page-ann"));
  const greeting = await api.RpcPagePerson("page-bob").friend().greet("carol");
  await ann.listen(new Listener());
  const answer = await ann.say("a lamp came");
  let failure = "";
  await ann.fail().catch((error) => (failure = error.message));
  const batch = newHttpBatchRpcSession(`http://${location.host}/rpc`);
  const name = await batch.RpcPagePerson("page-ann").name;
  document.getElementById("said").textContent = JSON.stringify({ greeting, answer, said, failure, name });
} catch (error) {
  document.getElementById("said").textContent = `failed: ${error.stack}`;
}
