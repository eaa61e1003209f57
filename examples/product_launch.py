"""A product is launched: five departments work at once, and the launch is over when all of them are done.

python -m examples.product_launch
"""

import asyncio
import tempfile
from typing import Any

import dotdo
from dotdo import N, on, send

DONE: list[str] = []


@on.Product.launched
async def launch(product: dict[str, Any]) -> list[str]:
    done: Any = await asyncio.gather(
        send(N.Inventory.sync, product=product),
        send(N.Marketing.createCampaign, product=product),
        send(N.Notification.send, to=N.Role.SalesTeam, message=f"New product launched: {product['name']}"),
        send(N.Website.publish, product=product),
        send(N.Social.post, platforms=["mastodon", "linkedin"], content=f"Look: {product['name']}"),
    )
    await send(N.Product.launchCompleted, product=product)
    return list(done)


@on([N.Inventory.sync, N.Marketing.createCampaign, N.Website.publish])
async def department(message: dict[str, Any]) -> str:
    event = dotdo.current_event()
    assert event is not None
    await dotdo.sleep("100ms")  # each takes its time, at the same time
    return f"{event.noun} is ready for {message['product']['name']}"


@on.Notification.send
async def notify(message: dict[str, Any]) -> str:
    return f"{message['to']} was told"


@on.Social.post
async def post(message: dict[str, Any]) -> str:
    return f"posted on {' and '.join(message['platforms'])}"


@on.Product.launchCompleted
async def celebrate(message: dict[str, Any]) -> None:
    DONE.append(message["product"]["name"])


async def main() -> None:
    print(*await send(N.Product.launched, {"name": "Teapot"}), sep="\n")
    print("launched:", *DONE)


if __name__ == "__main__":
    dotdo.init(data=tempfile.mkdtemp(), hosts=0)  # in this process, on a new folder
    asyncio.run(main())
    dotdo.shutdown()
