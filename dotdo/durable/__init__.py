"""Durable execution: what makes a method finish whatever crashes.

`ledger` accepts an entity's calls, `run` is one call and its journal, `operation` is what a run can wait for durably;
`step`, `waits` and `calls` are its kinds. `outbox` carries what nobody awaits. `control` answers for an execution
from outside, `handle` is that outside.
"""
