"""Lead enrichment: three look-ups side by side, one of which may fail, merged into one record.

python -m examples.lead_enrichment
"""

import asyncio
from typing import Any

from dotdo import RetryPolicy, step, workflow
from dotdo.testing import runtime

Lead = dict[str, Any]
QUICK = RetryPolicy(max_attempts=2, initial_delay="1s")


def verify_email(lead: Lead) -> bool:
    return "@" in lead["email"]


def lookup_company(lead: Lead) -> dict[str, str]:
    return {"name": "Lamps Ltd", "domain": lead["email"].rpartition("@")[2]}


def find_social(lead: Lead) -> dict[str, str]:
    raise ConnectionError("the network is away")


@workflow("verify-lead-email")
async def verify(lead: Lead) -> bool:
    return await step("verify", verify_email, lead)


@workflow("enrich-lead")
async def enrichment(lead: Lead) -> Lead:
    verified, company, social = await asyncio.gather(
        step("verify-email", verify.execute, lead),  # a workflow within a step: never a second one, whatever crashes
        step("lookup-company", lookup_company, lead),
        step("find-social", find_social, lead, retry=QUICK),
        return_exceptions=True,
    )
    known = None if isinstance(social, BaseException) else social
    return await step("merge-data", lambda: {**lead, "verified": verified, "company": company, "social": known})


async def main() -> None:
    async with runtime(clock="virtual"):
        lead = await enrichment.execute({"name": "Ann", "email": "ann@lamps.example"})
        print(lead)


if __name__ == "__main__":
    asyncio.run(main())
