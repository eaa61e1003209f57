"""The command `dotdo`: what an operator asks of a data folder and of the runtime that works on it.

main                the command as a whole: its verbs, and what an error says and exits with
verb, printing      what all verbs share: options, the runtime they talk to, tables and JSON
joining, loading    which runtime that is; the nouns of a program file
keeper              the process that `dotdo up` leaves behind
demo, running, entities, executions, people, events, saving     the verbs

Everything heavy is imported by the verb that needs it, so that help and completion are there at once.
"""
