"""The shop of `examples/documents.py`."""

import pytest

from dotdo import db
from examples import documents


@pytest.mark.feature(320, 327, 328)
async def test_the_shop_sells_what_it_has_and_finds_what_failed(rt, capsys):
    await documents.main()
    assert capsys.readouterr().out == ("left: 0\nfailed: 2 of 5\nAnn of Rome subscribes to the Newsletter (active)\n")
    assert await db.Product.count() == 1
