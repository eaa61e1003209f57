"""A bank that is down: retries, a circuit breaker that all shops share, an alert, and a cache for what need not be asked again.

Run it with `python -m examples.failing_bank`.
"""

from __future__ import annotations

import asyncio

import dotdo
from dotdo import DO, CircuitBreaker, CircuitOpen, RetryPolicy, cache, on

to_bank = CircuitBreaker("bank", threshold=3, timeout="1s")


class LameBank(DO):
    is_down: bool = True

    async def charge(self, amount: int) -> str:
        if self.is_down:
            raise ConnectionError("the bank is down")
        return f"charged {amount}"

    async def repair(self) -> None:
        self.is_down = False


class LampShop(DO):
    async def sell(self, product: str) -> str:
        price = await cache.get_or_set(cache.key("price", product), lambda: len(product), ttl="1h")
        charge = await self.do(to_bank.execute, LameBank("main").charge, price, retry=RetryPolicy(max_attempts=2, initial_delay="50ms"))
        return f"{product}: {charge}"


@on.Alert.send
async def page_somebody(alert: dict[str, str]) -> None:
    print(f"alert: {alert['type']} of {alert['service']}: {alert['error']}")


async def main() -> None:
    for shop in ("north", "south", "west"):
        try:
            print(await LampShop(shop).sell("lamp"))
        except (ConnectionError, CircuitOpen) as error:
            print(f"{shop}: {type(error).__name__}: {error}")
    await LameBank("main").repair()
    await asyncio.sleep(1.1)
    print(await LampShop("north").sell("lamp"))


if __name__ == "__main__":
    asyncio.run(main())
    dotdo.shutdown()
