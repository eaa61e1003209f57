"""Whether a verb tells what happened or what to do.

`Order.created` is an event: nobody has to listen. `Payment.process` is a command: somebody who awaits it wants an
answer, and no handler is an error. English marks the difference, mostly: by the ending, by a list of irregular
participles, and by the few commands that look like participles. Verbs of one form for both (set, put, read) are commands.
"""

from __future__ import annotations

import re

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_IRREGULAR = _words(
    """
    beaten become begun bent bitten blown born borne bought bound bred broken brought built burnt caught chosen clung crept dealt
    done drawn drawn driven drunk dug eaten fallen fed felt flown forgiven forgotten forgot fought found frozen given gone got gotten
    grown had heard held hidden hung kept known laid learnt led left lent lit lost made meant met mistaken overdue overridden
    overwritten paid proven put_off rebuilt redone resent ridden risen rung said sent sewn shaken shot shown shrunk slept slid sold
    sought spent spoken spun stolen stood struck stuck sung sunk sworn swung taken taught thought thrown told torn undergone
    understood undone unpaid woken won worn wound withdrawn withheld written
    """
)
"""Participles without -ed."""

_COMMANDS_IN_ED = _words(
    """
    bed bleed breed embed exceed feed heed need proceed red reed seed shed shred sled speed succeed weed wed reseed unembed
    """
)
_COMMANDS_IN_ING = _words("bring cling fling king ping ring sing sling spring sting string swing wing wring")

_TELLING = _words("is has was were needs requires became went")
"""First words that make a statement: `needs_changes`, `isOverdue`."""

_IMPERATIVES = _words(
    """
    add archive assign clear close count create delete export fetch find flag get handle import keep list load log make mark notify
    process purge queue remove replay report reset resolve retry revert save send set show store sync treat undo update
    """
)
"""First words that make a command of what follows: `mark_paid`, `listFailed`."""


def is_event(verb: str) -> bool:
    """True for a verb that tells what happened (`created`, `sent`, `needs_changes`), False for a command (`create`)."""
    words = [word.lower() for word in _WORD.findall(verb)]
    if not words:
        return False
    first, last = words[0], words[-1]
    if first in _TELLING or _tells(first):
        return True
    return _tells(last) and first not in _IMPERATIVES


def _tells(word: str) -> bool:
    if word in _IRREGULAR:
        return True
    if word.endswith("ed"):
        return word not in _COMMANDS_IN_ED
    # what is about to happen or going on is news too: `trialEnding`
    return len(word) > 4 and word.endswith("ing") and word not in _COMMANDS_IN_ING
