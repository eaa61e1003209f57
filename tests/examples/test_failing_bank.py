"""The bank that is down: what the program prints is what its text says."""

import pytest

from examples import failing_bank


@pytest.mark.feature(364, 426)
async def test_shops_share_the_breaker_and_sell_again_when_the_bank_is_repaired(rt, capsys):
    await failing_bank.main()
    north, *others, last = capsys.readouterr().out.splitlines()
    assert north == "north: ConnectionError: the bank is down"
    assert "alert: circuit-breaker-open of bank: ConnectionError: the bank is down" in others
    assert any(line.startswith("west: CircuitOpen: Circuit breaker is open: bank") for line in others)
    assert last == "lamp: charged 4"
