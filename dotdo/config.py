"""Settings: every limit and default of a runtime, in one frozen record. The only module that reads the environment."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass, field
from typing import Any, Literal

from dotdo import durations
from dotdo.errors import DefinitionError

Durability = Literal["full", "normal"]
Placement = Literal["shared", "dedicated"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What a runtime runs with. Times are seconds (`_s`), sizes bytes."""

    durability: Durability = "full"
    placement: Placement = "shared"
    shards: int = 16
    hosts: int | None = None
    address: str | None = None
    max_active: int = 10_000
    max_open: int = 1_000
    max_queue: int = 1_000
    max_queue_bytes: int = 64 * 1024 * 1024
    max_dedicated: int | None = None
    idle_timeout_s: float = 30.0
    max_turn_s: float = 10.0
    host_timeout_s: float = 10.0
    history_retention_s: float = 7 * 86400.0
    history_rows_max: int = 10_000
    call_record_ttl_s: float = 7 * 86400.0
    event_retention_s: float = 7 * 86400.0
    sync_threads: int = 4
    worker_threads: int = 4
    log_slow_turn_s: float = 0.1
    ray_options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_options(cls, **options: Any) -> Settings:
        """The settings for what a user gave to `init`. Raises DefinitionError naming the option."""
        known = {f.name: f for f in dataclasses.fields(cls)}
        values: dict[str, Any] = {}
        for name, value in options.items():
            if f"{name}_s" in known:
                try:
                    values[f"{name}_s"] = durations.seconds(value)
                except ValueError as error:
                    raise DefinitionError(f"init({name}=...): {error}") from None
            elif name in known:
                values[name] = value
            else:
                raise DefinitionError(f"init() has no option {name!r}; it takes {', '.join(sorted(_public_names(known)))}")
        settings = cls(**values)
        settings._check()
        return settings

    def _check(self) -> None:
        if self.durability not in ("full", "normal"):
            raise DefinitionError(f"durability={self.durability!r}: use 'full' or 'normal'")
        if self.placement not in ("shared", "dedicated"):
            raise DefinitionError(f"placement={self.placement!r}: use 'shared' or 'dedicated'")
        if self.hosts is not None and (not isinstance(self.hosts, int) or self.hosts < 0):
            raise DefinitionError(f"hosts={self.hosts!r}: 0 for in-process, or how many host processes")
        for name in ("shards", "max_active", "max_open", "max_queue", "max_queue_bytes", "sync_threads", "worker_threads", "max_dedicated"):
            value = getattr(self, name)
            if name == "max_dedicated" and value is None:
                continue
            if not isinstance(value, int) or value < 1:
                raise DefinitionError(f"{name}={value!r}: it must be a whole number, at least 1")


def _public_names(known: dict[str, Any]) -> list[str]:
    return [name.removesuffix("_s") for name in known]


def data_folder_from_environment() -> str | None:
    """`DOTDO_DATA`, or None."""
    return os.environ.get("DOTDO_DATA")


def ai_from_environment() -> tuple[str | None, str | None, str | None]:
    """`DOTDO_AI_MODEL`, `DOTDO_AI_BASE_URL` and `DOTDO_AI_API_KEY`, each or None."""
    model, base_url, api_key = (os.environ.get(f"DOTDO_AI_{name}") for name in ("MODEL", "BASE_URL", "API_KEY"))
    return model, base_url, api_key


def secret_from_environment(name: str) -> str | None:
    """A secret by the name of its variable, or None."""
    return os.environ.get(name)


def tokens_from_environment() -> dict[str, str]:
    """`DOTDO_TOKENS`, written as `role:token,role:token`, as token -> role. Raises DefinitionError."""
    found: dict[str, str] = {}
    for part in filter(None, (one.strip() for one in os.environ.get("DOTDO_TOKENS", "").split(","))):
        role, colon, token = part.partition(":")
        if not colon or not token:
            raise DefinitionError("DOTDO_TOKENS is written as role:token,role:token with the roles viewer, caller, operator")
        found[token] = role
    return found


def is_ci() -> bool:
    """True on a build machine."""
    return bool(os.environ.get("CI"))
