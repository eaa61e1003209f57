"""Workflows: long work as code that survives what happens meanwhile.

`functions` is `@workflow` and the names they go by, `runs` the noun whose entities run them, `children` what a run starts.
All of it is the durable engine below (`dotdo.durable`): a run is an execution, and a workflow a function of it.
"""
