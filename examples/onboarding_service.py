"""Onboarding customers: who is a business is verified as one, and who is verified gets everything.

    python -m examples.onboarding_service

The second condition reads what the branch of the first one gave, as if the condition itself had given it.
"""

import asyncio
import tempfile
from typing import Any

import dotdo
from dotdo import Service

STEPS: list[dict[str, Any]] = [
    {"id": "profile", "name": "Create Profile", "type": "function", "required": True},
    {"id": "verify-identity", "name": "Identity Verification", "type": "condition", "required": True, "dependsOn": ["profile"],
     "condition": 'inputs.accountType === "business"',
     "then": {"id": "business-verification", "name": "Business Verification", "type": "function"},
     "else": {"id": "personal-verification", "name": "Personal Verification", "type": "function"}},
    {"id": "setup-features", "name": "Setup Features", "type": "condition", "dependsOn": ["verify-identity"],
     "condition": 'results["verify-identity"].verified === true',
     "then": {"id": "enable-all-features", "type": "parallel", "steps": [
         {"id": "api-access", "name": "Enable API Access"}, {"id": "integrations", "name": "Setup Integrations"},
         {"id": "team-invite", "name": "Invite Team Members"}]},
     "else": {"id": "limited-access", "name": "Enable Basic Features", "type": "function"}},
    {"id": "send-welcome", "name": "Send Welcome Email", "type": "function", "required": False, "dependsOn": ["setup-features"]},
]  # fmt: skip


async def create_profile(customer: dict[str, Any]) -> str:
    return f"profile of {customer['name']}"


async def verify_business(customer: dict[str, Any]) -> dict[str, Any]:
    return {"verified": customer.get("register") is not None, "by": "the register"}


async def verify_person(customer: dict[str, Any]) -> dict[str, Any]:
    return {"verified": customer.get("passport") is not None, "by": "the passport"}


async def enable(_customer: dict[str, Any], state: Any) -> str:
    return f"on, for {state.results.profile}"


async def welcome(customer: dict[str, Any], state: Any) -> str:
    return f"Dear {customer['name']}, you were verified by {state.results['verify-identity'].by}"


async def make_service() -> Service:
    """Create the service; a function may serve several steps."""
    features = ("api-access", "integrations", "team-invite", "limited-access")
    return await Service.create(
        name="Customer Onboarding",
        steps=STEPS,
        pricing={"model": "per-execution", "rate": 1.0},
        functions={
            "profile": create_profile, "business-verification": verify_business, "personal-verification": verify_person,
            "send-welcome": welcome, **dict.fromkeys(features, enable),
        },
    )  # fmt: skip


async def main() -> None:
    onboarding = await make_service()
    for customer in (
        {"name": "Acme", "accountType": "business", "register": "HRB 7"},
        {"name": "Shady", "accountType": "business"},
        {"name": "Ann", "accountType": "person", "passport": "P1"},
    ):
        outcome = await (await onboarding.request(customer)).result()
        print(outcome.path, outcome.results["send-welcome"])


if __name__ == "__main__":
    dotdo.init(data=tempfile.mkdtemp(), hosts=0)  # in this process, on a new folder
    asyncio.run(main())
    dotdo.shutdown()
