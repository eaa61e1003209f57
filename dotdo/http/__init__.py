"""The doors for everything that is not Python code of this cluster: HTTP, Cap'n Web, webhooks, pages.

    uvicorn.run(dotdo.http.app())        dotdo serve app.py        dotdo.http.serve(port=8000)

application   the app and its server           guard, roles      what every request passes first
nouns         /{Noun}/{id}/{member}            arguments, answers, problems   JSON in, JSON out, errors out
executions, streams, workflows, events, people, operations, webhooks, metrics, pages     the other routes
capnweb       /rpc, where browsers hold entities as objects
dashboard     what the page at / asks besides; the page itself is assets/
"""

from dotdo.http.application import Server, app, own_routes, serve
from dotdo.http.limits import Limits
from dotdo.http.problems import Problem
from dotdo.http.signatures import Signed
from dotdo.http.webhooks import webhook

get, post, put, patch, delete = own_routes.get, own_routes.post, own_routes.put, own_routes.patch, own_routes.delete
"""Routes of your own: `@dotdo.http.post("/api/refunds")` above an `async def`, as FastAPI's. They go before all others."""

__all__ = ["Limits", "Problem", "Server", "Signed", "app", "delete", "get", "patch", "post", "put", "serve", "webhook"]
