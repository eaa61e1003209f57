"""State machines: what may happen next depends on what happened before, and is written down as a table.

`definition` is that table, in one form whatever it was written as, `reading` how both forms of it are read and checked.
`rules` decides what an event does in a state, `contexts` what becomes of the context; both are pure. `entity` is one
instance: it asks the rules, runs actions and keeps state. `machine` is what a user holds, `pictures` draws it.
"""
