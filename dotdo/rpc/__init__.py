"""Calls between programs and entities: recorded expressions, promises, and the channel they travel on.

A `Stub` names an entity; what one writes on it is recorded in a `Promise`, and each call in a `Node`. A `Caller` takes
the nodes: the `Client` outside entities, the entity's own inside. Nodes recorded in one tick leave in one frame per host
on a `Link`; a `ServerSession` reads them at the other end. Inside the cluster frames are msgpack.
"""
