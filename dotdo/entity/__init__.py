"""One entity in memory: its turns, gates and durable fields.

An activation knows small ports (the host that carries it, the ledger that journals its calls), not `DO` and not Ray.
Read `task` first (who runs a turn), then `activation` (what a turn's end does), then `fields`.
"""
