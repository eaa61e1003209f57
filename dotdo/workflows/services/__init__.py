"""Services: work that is asked for, done step by step, delivered and charged.

`definition` is what a user writes, `reading` says what is wrong with it. A request is an execution: `request_entity` is the
noun whose entities are requests, `walking` does the steps, `steps` each kind of them, `compensating` undoes them; `standing`
is how far it has come, and pure. `service` and `request` are what a user holds, `known` where a step's function is found.
"""
