"""The example of refunds over HTTP: paid by webhook, given back once."""

import hashlib
import hmac
import json
import time

import pytest

from dotdo.http import app
from dotdo.testing import runtime
from examples import refunds_over_http
from tests.doors import client_of

SECRET = "x" * 20


@pytest.mark.feature(394, 395)
async def test_a_payment_comes_by_webhook_and_is_refunded_once():
    body = json.dumps({"id": "evt", "type": "payment_intent.succeeded", "order_id": "o1", "amount": 30}).encode()
    at = int(time.time())
    signature = f"t={at},v1={hmac.new(SECRET.encode(), f'{at}.'.encode() + body, hashlib.sha256).hexdigest()}"
    assert refunds_over_http.RefundableOrder is not None
    async with runtime() as rt, client_of(app(secrets={"STRIPE_WEBHOOK_SECRET": SECRET})) as http:
        assert (await http.post("/api/refunds", json={"order_id": "o1"})).json()["code"] == "no_such_order"
        for _ in range(2):
            assert (await http.post("/webhooks/stripe-payments", content=body, headers={"stripe-signature": signature})).status_code == 200
        await rt.settle()
        assert [(await http.post("/api/refunds", json={"order_id": "o1"})).json()["refunded"] for _ in range(2)] == [30, 0]
