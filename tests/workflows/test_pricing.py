"""Prices: the golden numbers of the sources, exact; what is ambiguous is refused."""

import json
import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotdo import DefinitionError
from dotdo.workflows.pricing import FlatRate, PerExecution, RateByKind, TimeBased, Usage, execution_cost, pricing_of

FULFILMENT = {"model": "per-execution", "baseRate": 0.5, "stepRates": {"payment": 0.2, "shipping": 0.15, "notification": 0.05}}
FULFILMENT_STEPS = ["validate", "payment", "inventory", "shipping", "notification"]
DOCUMENTS = {
    "model": "per-execution", "baseRate": 0.5, "stepRates": {"ocr": 0.25, "classify": 0.1, "extract": 0.15, "validate": 0.05},
    "discounts": {"volume": [
        {"min": 100, "max": 1000, "discount": 0.1}, {"min": 1001, "max": 10000, "discount": 0.2},
        {"min": 10001, "max": math.inf, "discount": 0.3},
    ]},
}  # fmt: skip
VIDEO = {
    "model": "time-based", "rate": 0.1, "minimum": 1.0, "maximum": 100.0,
    "stepMultipliers": {"transcode": 1.5, "analyze": 1.2, "generate-thumbnails": 0.8},
}  # fmt: skip


@pytest.mark.feature(309, 315)
def test_a_base_and_a_rate_for_each_completed_step():
    assert execution_cost(FULFILMENT, FULFILMENT_STEPS) == Decimal("0.90")
    assert execution_cost(FULFILMENT, FULFILMENT_STEPS[:-1]) == Decimal("0.85")
    assert execution_cost(FULFILMENT, ["unheard-of"]) == Decimal("0.5")


@pytest.mark.feature(314, 319)
@pytest.mark.parametrize(("volume", "expected"), [(0, "1.05"), (100, "0.945"), (1001, "0.84"), (10001, "0.735")])
def test_document_processing_costs_less_in_volume(volume, expected):
    assert execution_cost(DOCUMENTS, ["ocr", "classify", "extract", "validate"], volume) == Decimal(expected)


@pytest.mark.feature(314)
@pytest.mark.parametrize(
    ("volume", "discount"),
    [(99, "0"), (100, "0.1"), (1000, "0.1"), (1000.5, "0"), (1001, "0.2"), (10000, "0.2"), (10001, "0.3"), (10**12, "0.3")],
)
def test_the_bounds_of_a_tier_are_included_and_a_gap_between_two_has_no_discount(volume, discount):
    pricing = pricing_of(DOCUMENTS)
    assert pricing.discounts.at(Decimal(str(volume))) == Decimal(discount)


@pytest.mark.feature(314)
@pytest.mark.parametrize("end", [math.inf, None, "Infinity"])
def test_a_tier_without_end_survives_json_in_every_spelling(end):
    tiers = [{"min": 10001, "max": end, "discount": 0.3}]
    pricing = pricing_of({"baseRate": 1, "discounts": {"volume": tiers}})
    back = pricing_of(json.loads(pricing.model_dump_json(by_alias=True)))
    assert back == pricing
    assert back.cost(Usage(volume=10**9)) == Decimal("0.7")


@pytest.mark.feature(316, 318, 319)
def test_video_processing_costs_exactly_eight():
    usage = Usage(duration_s=60, step_durations_s={"transcode": 40, "analyze": 10, "generate-thumbnails": 10})
    assert execution_cost(VIDEO, duration_s=60, step_durations_s=usage.step_durations_s) == Decimal("8.00")
    assert pricing_of(VIDEO).cost(usage) == Decimal(8)
    cost = 60 * 0.1  # as the source computes it, in floats
    for seconds, multiplier in ((40, 1.5), (10, 1.2), (10, 0.8)):
        cost += seconds * 0.1 * (multiplier - 1.0)
    assert cost == 7.999999999999999


@pytest.mark.feature(316, 317)
@pytest.mark.parametrize(("seconds", "expected"), [(1, "1.00"), (10, "1.00"), (11, "1.10"), (1000, "100.00"), (2000, "100.00")])
def test_a_time_based_price_stays_within_its_bounds(seconds, expected):
    assert execution_cost(VIDEO, duration_s=seconds, step_durations_s={"other": seconds}) == Decimal(expected)


@pytest.mark.feature(254, 312)
def test_the_parallel_discount_is_taken_off_the_base():
    content = {"model": "per-execution", "baseRate": 50.0, "parallelDiscount": 0.1, "stepRates": {"publish": 5}}
    assert execution_cost(content, is_parallel=True) == Decimal("45.00")
    assert execution_cost(content, ["publish"], is_parallel=True) == Decimal("50.00")
    assert execution_cost(content) == Decimal("50.00")


@pytest.mark.feature(310, 313)
@pytest.mark.parametrize(("refund", "expected"), [(1.0, "1.00"), (0.5, "1.50")])
def test_a_failure_costs_the_rate_less_the_refund(refund, expected):
    invoice = {"model": "per-execution", "rate": 2.0, "failureRefund": refund}
    assert execution_cost(invoice) == Decimal("2.00")
    assert execution_cost(invoice, failed=("notify-completion",)) == Decimal(expected)  # the source charges the refund itself


@pytest.mark.feature(310, 318)
@pytest.mark.parametrize("rate", [1.0, 0.15, 1.5])
def test_a_flat_rate_is_itself_without_discounts(rate):
    assert execution_cost({"model": "per-execution", "rate": rate}, ["a", "b"], 5_000) == Decimal(str(rate))


@pytest.mark.feature(311)
def test_a_human_review_is_paid_instead_of_the_automated_rate():
    rates = {"model": "per-execution", "rates": {"automated": 0.25, "humanReview": 1.0}}
    assert execution_cost(rates) == Decimal("0.25")
    assert execution_cost(rates, is_reviewed=True) == Decimal("1.00")


@pytest.mark.feature(309, 310, 311, 316)
@pytest.mark.parametrize(
    ("camel", "snake", "variant"),
    [
        (FULFILMENT, {"base_rate": 0.5, "step_rates": FULFILMENT["stepRates"]}, PerExecution),
        ({"rate": 2, "failureRefund": 1}, {"rate": 2, "failure_refund": 1}, FlatRate),
        ({"rates": {"automated": 1, "humanReview": 2}}, {"rates": {"automated": 1, "human_review": 2}}, RateByKind),
        (VIDEO, {**{k: v for k, v in VIDEO.items() if k != "stepMultipliers"}, "step_multipliers": VIDEO["stepMultipliers"]}, TimeBased),
    ],
)
def test_both_spellings_are_one_model(camel, snake, variant):
    assert pricing_of(camel) == pricing_of(snake)
    assert type(pricing_of(camel)) is variant


@pytest.mark.feature(310, 319)
@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"rate": 1, "baseRate": 2}, "baseRate and rate are two ways to price"),
        ({"rate": 1, "rates": {"automated": 1, "humanReview": 2}}, "two ways to price"),
        ({"baseRate": 1, "base_rate": 1}, "one thing in two spellings"),
        ({"stepRates": {"a": 1}}, "says no amount"),
        ({"model": "per-moon", "rate": 1}, "'per-moon' is unknown"),
        ({"rate": 1, "stepRates": {"a": 1}}, "stepRates: does not belong"),
        ({"rate": -1}, "rate: Input should be greater than or equal to 0"),
        ({"rate": True}, "True is not an amount"),
        ({"rate": math.nan}, "rate"),
        ({"rate": 1, "failureRefund": 2}, "more than the rate"),
        ({"model": "time-based", "rate": 1, "minimum": 3, "maximum": 2}, "above maximum"),
        ({"rate": 1, "discounts": {"volume": [{"min": 5, "max": 4, "discount": 0.1}]}}, "above max"),
        ({"rate": 1, "discounts": {"volume": [{"min": 5, "discount": 1.1}]}}, "less than or equal to 1"),
        (
            {"rate": 1, "discounts": {"volume": [{"min": 5, "max": 9, "discount": 0.1}, {"min": 9, "discount": 0.2}]}},
            "the tiers from 5 and from 9 overlap",
        ),
        ("free", "pricing is a dict"),
    ],
)
def test_what_is_ambiguous_or_makes_no_sense_is_refused_by_name(wrong, why):
    with pytest.raises(DefinitionError, match=why):
        pricing_of(wrong)


@pytest.mark.feature(319)
def test_an_amount_is_rounded_once_half_up():
    tiers = {"discounts": {"volume": [{"min": 1, "discount": 0.5}]}}
    assert execution_cost({"rate": 0.01, **tiers, "roundTo": 0.01}, volume=1) == Decimal("0.01")
    assert execution_cost({"rate": 0.00005}) == Decimal("0.0001")
    assert execution_cost({"rate": 0.00004}) == Decimal("0")
    assert [str(execution_cost({"rate": rate})) for rate in (2, 0.9, 0.945, 1000, 0)] == ["2.00", "0.90", "0.945", "1000.00", "0.00"]
    assert execution_cost({"baseRate": 0.004, "stepRates": {"a": 0.004}, "roundTo": "0.01"}, ["a"]) == Decimal("0.01")


@pytest.mark.feature(317, 319)
@given(
    st.decimals(0, 1000, places=2), st.lists(st.decimals(0, 100, places=2), max_size=6), st.decimals(0, 1, places=2),
    st.integers(0, 20),
)  # fmt: skip
def test_no_price_is_negative_and_a_discount_never_makes_it_dearer(base, rates, discount, volume):
    steps = {f"s{number}": rate for number, rate in enumerate(rates)}
    pricing = PerExecution(base_rate=base, step_rates=steps, discounts={"volume": [{"min": 10, "discount": discount}]})
    full = base + sum(rates, Decimal(0))
    cost = pricing.cost(Usage(tuple(steps), volume=volume))
    assert 0 <= cost <= full
    if volume < 10:
        assert cost == full
