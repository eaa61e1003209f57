"""People in the middle of code: approvals, tasks for humans, and cascades that ask a human last.

    who decides            an approval goes through its approvers, level by level      `approvals`, `self.approval_flow`
    who does               a task is claimed, completed, escalated, or it expires      `tasks`
    who knows              code, then models, then people: the first that is sure      `cascade`

An approval or a task is an entity of its own (`DotdoApproval`, `DotdoTask`): its state, history and timers are in its
file. Whoever waits for one is parked meanwhile; so is whoever waits for that. What is in whose inbox is kept in an index
(`inbox`), so that looking there wakes nothing. Who may act is decided by names, and roles are names that a directory of
the user's resolves (`directory`).

Each change is told by an event whose data is the record as it is then, read as attributes or as items:

    Approval.requested  advanced (a level approved, the next is asked)  delegated  commented  reminded  decided
    HumanTask.created   claimed  released  assigned  escalated  commented  completed  expired  cancelled

`Approval.decided` comes once, however it ended: approved, rejected, expired or cancelled. Whoever gets something to do is
told by the command `Notification.send` (`notices`).
"""

from dotdo.people import commands  # imported for what it registers

__all__ = ["commands"]
