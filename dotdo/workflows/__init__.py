"""Workflows: long work that survives what happens meanwhile, as code and as definitions.

As definitions: `definition` is what a user writes, `expressions` its conditions, `graph` what may run when, `declared` the
noun `Workflow` that runs them. All of it is the durable engine below (`dotdo.durable`): a run is an execution.
"""
