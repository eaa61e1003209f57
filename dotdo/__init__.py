"""Durable Objects for Python, on Ray."""

from dotdo.durable.handle import Execution, complete, fail
from dotdo.durable.retry import RetryPolicy
from dotdo.durable_object import DO
from dotdo.errors import *  # noqa: F403
from dotdo.application import delete, entities, execution, executions, flush, get, hibernate, hosts, init, release, result, shutdown, start, tell
