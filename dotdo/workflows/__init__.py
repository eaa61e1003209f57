"""Workflows: long work that survives what happens meanwhile, as code and as definitions.

As code: `functions` is `@workflow` and the names they go by, `runs` the noun whose entities run them, `children` what a run
starts. As definitions: `definition` is what a user writes, `expressions` its conditions, `graph` what may run when, `declared`
the noun `Workflow` that runs them. All of it is the durable engine below (`dotdo.durable`): a run is an execution.
"""
