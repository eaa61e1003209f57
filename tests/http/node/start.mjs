// What the scripts share: a session with a count of frames, and assertions. The port is the first argument.
import assert from "node:assert/strict";
import { newHttpBatchRpcSession, newWebSocketRpcSession } from "capnweb";
import WS from "ws";
globalThis.WebSocket ??= WS;

export { assert };
const port = process.argv[2];
export const frames = { sent: 0, received: 0, log: [] };

export function connect() {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/rpc`);
  const send = socket.send.bind(socket);
  socket.send = (text) => { frames.sent++; frames.log.push(text); return send(text); };
  socket.addEventListener("message", (event) => { frames.received++; frames.log.push(event.data); });
  return { api: newWebSocketRpcSession(socket), socket };
}
export const batch = () => newHttpBatchRpcSession(`http://127.0.0.1:${port}/rpc`);
export const done = () => process.exit(0);
