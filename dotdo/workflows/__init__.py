"""Workflows: long work that survives what happens meanwhile, as code and as definitions.

As code: `functions` is `@workflow` and the names they go by, `runs` the noun whose entities run them, `children` what a run
starts. As definitions: `definition` is what a user writes, `expressions` its conditions, `graph` what may run when, `declared`
the noun `Workflow` that runs them. `machines` are state machines, `services` what is asked for, delivered and charged by `pricing`;
`spelling` lets a definition be written in Python's names and in JSON's. All of it is the durable engine below (`dotdo.durable`): a run is an execution.
"""
