"""Content from research to publication: four assets made at once, three checks made at once, nothing published unchecked.

python -m examples.content_pipeline
"""

import asyncio
import tempfile
from typing import Any

import dotdo
from dotdo import Service

STEPS: list[dict[str, Any]] = [
    {"id": "research", "name": "Topic Research", "type": "function", "required": True, "timeout": 120000},
    {"id": "create-assets", "name": "Create Content Assets", "type": "parallel", "required": True, "dependsOn": ["research"],
     "strategy": "all", "steps": [
         {"id": "write-article", "name": "Write Article", "type": "function", "timeout": 300000},
         {"id": "generate-images", "name": "Generate Images", "type": "function", "timeout": 180000},
         {"id": "create-social", "name": "Create Social Posts", "type": "function", "timeout": 120000},
         {"id": "record-video", "name": "Generate Video Script", "type": "function", "timeout": 240000}]},
    {"id": "quality-check", "name": "Quality Assurance", "type": "parallel", "required": True, "dependsOn": ["create-assets"], "steps": [
        {"id": "grammar-check", "name": "Grammar Check", "type": "function"},
        {"id": "seo-check", "name": "SEO Analysis", "type": "function"},
        {"id": "plagiarism-check", "name": "Plagiarism Check", "type": "function"}]},
    {"id": "publish", "name": "Publish Content", "type": "function", "required": True, "dependsOn": ["quality-check"]},
]  # fmt: skip
ASSETS = ("write-article", "generate-images", "create-social", "record-video")


async def make_service() -> Service:
    """Create the service."""
    content = await Service.create(
        name="Content Production Pipeline",
        steps=STEPS,
        pricing={"model": "per-execution", "baseRate": 50.0, "parallelDiscount": 0.1},
    )

    @content.step("research")
    async def research(inputs: dict[str, Any]) -> list[str]:
        return [f"{inputs['topic']} is {word}" for word in ("old", "new", "borrowed")]

    async def make(inputs: dict[str, Any], state: Any) -> str:
        await dotdo.sleep(inputs.get("patience", "200ms"))
        return f"{state.current_step} from {len(state.results.research)} findings"

    for asset in ASSETS:
        content.step(asset, make)

    async def check(inputs: dict[str, Any], state: Any) -> str:
        if state.current_step == "plagiarism-check" and inputs.get("copied"):
            raise dotdo.Permanent("this was written by somebody else")
        return "fine"

    for step_id in ("grammar-check", "seo-check", "plagiarism-check"):
        content.step(step_id, check)

    @content.step("publish")
    async def publish(inputs: dict[str, Any], state: Any) -> str:
        made = [one["result"] for one in state.results["create-assets"].results]
        return f"published: {made[0]} and {len(made) - 1} more"

    return content


async def main() -> None:
    content = await make_service()
    for inputs in ({"topic": "durability"}, {"topic": "originality", "copied": True}):
        outcome = await (await content.request(inputs, customer_id="c1")).result()
        print(outcome.results.publish if outcome.success else f"{outcome.failed_step}: {outcome.error}", "-", outcome.cost)


if __name__ == "__main__":
    dotdo.init(data=tempfile.mkdtemp(), hosts=0)  # in this process, on a new folder
    asyncio.run(main())
    dotdo.shutdown()
