"""Much work at once, but bounded, and work that is asked for again and again, done once.

python -m examples.side_by_side
"""

import asyncio

from dotdo import debounce, gather_limited, sleep, step, workflow
from dotdo.testing import runtime

INDEXED: list[str] = []


@workflow("resize-pictures")
async def resize(pictures: list[str]) -> list[str]:
    async def one(name: str) -> str:
        await sleep(len(name))
        return await step(f"resize-{name}", lambda: f"{name}.small")

    return await gather_limited([lambda name=name: one(name) for name in pictures], limit=3)  # type: ignore[misc]


async def index(user: str) -> str:
    await step("index", INDEXED.append, user)
    return f"indexed {user}"


@workflow("reindex-user")
async def reindex(user: str) -> str | None:
    return await debounce(f"user-{user}", "5s", index, user)


async def main() -> None:
    async with runtime(clock="virtual") as rt:
        print(await resize.execute(["sea", "mountains", "sky", "a", "harbour"]))
        runs = []
        for _ in range(4):
            runs.append(await reindex.start("ann"))
            await rt.advance("2s")
        print([await run.result() for run in runs], INDEXED)


if __name__ == "__main__":
    asyncio.run(main())
