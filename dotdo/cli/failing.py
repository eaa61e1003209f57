"""How the command ends when it cannot do what it was asked: one line on stderr with a way out, and an exit code.

0    done
1    what was asked for failed; the line says why
2    the command line makes no sense
3    there is no such thing: no data folder, no such execution, approval, task or letter
4    the data folder is in use by something that cannot be joined
5    a person was asked and said no
130  interrupted
"""

from __future__ import annotations

EXIT_CODES = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no such thing, 4 the data folder is in use, 5 you said no, 130 interrupted."
_NOT_THERE = (
    "DataFolderMissing", "NoSuchApproval", "NoSuchTask", "NoSuchLetter", "NoSuchDocument", "NoSuchSchedule", "NoSuchMember",
    "OutcomeUnknown", "WorkflowNotFound", "MachineNotFound", "ServiceNotFound", "ExecutionNotFound",
)  # fmt: skip
_WAYS_OUT = {
    "NounNotLoadable": "start the program that defines it once: dotdo up app.py",
    "Quarantined": "look at it with dotdo show, then let it go with dotdo release KEY",
    "OutcomeUnknown": "dotdo executions lists those there are",
    "NoSuchLetter": "dotdo dead-letters lists those there are",
    "NoSuchApproval": "dotdo approvals lists those there are",
    "NoSuchTask": "dotdo tasks lists those there are",
    "NoSuchSchedule": "dotdo schedules lists those there are",
}


class Failed(Exception):
    """What was asked for was not done."""

    def __init__(self, text: str, *, code: int = 1) -> None:
        super().__init__(text)
        self.code = code


class Usage(Failed):
    """The command line makes no sense."""

    def __init__(self, text: str) -> None:
        super().__init__(text, code=2)


def exit_code(error: BaseException) -> int:
    """What the command exits with."""
    if isinstance(error, Failed):
        return error.code
    name = type(error).__name__
    if name in _NOT_THERE:
        return 3
    if name in ("IdError", "BadDuration"):
        return 2
    return 4 if name == "DataFolderInUse" else 1


def one_line(error: BaseException) -> str:
    """The error in one line, with its type unless it is a word of this command itself."""
    text = " ".join(str(error).split())
    if isinstance(error, Failed):
        return text
    name = type(error).__name__
    way_out = _WAYS_OUT.get(name)
    return f"{name}: {text}" + (f" ({way_out})" if way_out else "") if text else name
