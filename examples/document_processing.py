"""Documents read, classified and checked, and videos cut: what they cost, in volume and by the second.

python -m examples.document_processing
"""

import asyncio
import tempfile
from decimal import Decimal
from typing import Any

import dotdo
from dotdo import Service, execution_cost

PRICING = {
    "model": "per-execution",
    "baseRate": 0.5,
    "stepRates": {"ocr": 0.25, "classify": 0.1, "extract": 0.15, "validate": 0.05},
    "discounts": {"volume": [
        {"min": 100, "max": 1000, "discount": 0.1}, {"min": 1001, "max": 10000, "discount": 0.2},
        {"min": 10001, "max": float("inf"), "discount": 0.3},
    ]},
}  # fmt: skip
VIDEO_PRICING = {
    "model": "time-based", "rate": 0.1, "minimum": 1.0, "maximum": 100.0,
    "stepMultipliers": {"transcode": 1.5, "analyze": 1.2, "generate-thumbnails": 0.8},
}  # fmt: skip


async def read(document: dict[str, Any]) -> str:
    return str(document["scan"]).lower()


async def classify(_document: dict[str, Any], state: Any) -> str:
    return "invoice" if "total" in state.results.ocr else "letter"


async def extract(_document: dict[str, Any], state: Any) -> dict[str, str]:
    fields = (line.split(":", 1) for line in state.results.ocr.splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, value in fields}


async def validate(_document: dict[str, Any], state: Any) -> bool:
    return state.results.classify != "invoice" or Decimal(state.results.extract["total"]) > 0


async def make_service() -> Service:
    """Create the service."""
    return await Service.create(
        name="Document Processing",
        steps=[
            {"id": "ocr"}, {"id": "classify", "dependsOn": ["ocr"]}, {"id": "extract", "dependsOn": ["ocr"]},
            {"id": "validate", "dependsOn": ["classify", "extract"]},
        ],
        pricing=PRICING,
        functions={"ocr": read, "classify": classify, "extract": extract, "validate": validate},
    )  # fmt: skip


async def main() -> None:
    documents = await make_service()
    scan = {"scan": "Total: 12.50\nFrom: Acme"}
    for volume in (1, 100, 1_001, 10_001):
        outcome = await (await documents.request(scan, customer_id="c1", volume=volume)).result()
        print(f"the {volume}th {outcome.results.classify} costs {outcome.cost}, {dict(outcome.results.extract)}")
    seconds = {"transcode": 40, "analyze": 10, "generate-thumbnails": 10}
    print("a minute of video costs", execution_cost(VIDEO_PRICING, duration_s=60, step_durations_s=seconds))


if __name__ == "__main__":
    dotdo.init(data=tempfile.mkdtemp(), hosts=0)  # in this process, on a new folder
    asyncio.run(main())
    dotdo.shutdown()
