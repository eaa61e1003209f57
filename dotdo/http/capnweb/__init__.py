"""Cap'n Web at `/rpc`: entities as objects in a browser, with promise pipelining.

The wire protocol is Cloudflare's (github.com/cloudflare/capnweb, protocol.md), so its own client talks to this door. Its
ideas are those of `dotdo.rpc`, which is why most of it is translation:

values      Python values as the protocol writes them, and back
targets     what an id stands for: an entity or a path into one, a value, a client's object, something still to come
expressions what a message says, as targets; `.map`
session     one connection: its tables of exports and imports, its messages
callbacks   objects of the client, called by entities
routes      WebSocket and HTTP batch
"""
