"""What the dashboard shows that no other route tells. The page itself is `assets/`; the rest of it uses the routes everybody has.

live     one stream for a page: the answers it watches, sent whenever they change
session  who asks
pulse    figures of this moment: hosts, calls, steps, latency
listing  which entities there are, asked again and again; entities   the same as routes
survey   executions of all entities, newest first, without waking those that sleep again and again
feed     events of every name, newest first
graphs   definitions, services and state machines as nodes and edges, with where a run stands
sql      reading an entity's own tables

Everything here reads. Whatever a button does is a route of `executions`, `people` or `operations`.
"""
