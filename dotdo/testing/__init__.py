"""Testing programs that use dotdo: an in-process runtime in a temporary folder, with a virtual clock and crashes on demand."""

from dotdo.testing.replaying import ReplayReport, replay
from dotdo.testing.runtime import Runtime, runtime

__all__ = ["ReplayReport", "Runtime", "replay", "runtime"]
