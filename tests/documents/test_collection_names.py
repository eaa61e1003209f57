"""Every spelling of a collection is one collection."""

import pytest

from dotdo import DO, N, db
from dotdo.documents.collection_names import collection_of
from dotdo.errors import DefinitionError


@pytest.mark.feature(320)
@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Orders", "Order"), ("Order", "Order"), ("orders", "Order"), ("People", "Person"), ("Person", "Person"), ("Persons", "Person"),
        ("Inventory", "Inventory"), ("Inventories", "Inventory"), ("Status", "Status"), ("Statuses", "Status"),
        ("Addresses", "Address"), ("Companies", "Company"), ("Analyses", "Analysis"), ("Analysis", "Analysis"), ("News", "News"),
        ("Children", "Child"), ("Buses", "Bus"), ("Bus", "Bus"), ("Bonuses", "Bonus"), ("Bonus", "Bonus"), ("Series", "Series"),
        ("HumanTasks", "HumanTask"), ("WorkflowState", "WorkflowState"), ("WorkflowStates", "WorkflowState"), ("order_items", "OrderItem"),
        ("OrderItems", "OrderItem"), ("Basis", "Basis"), ("Lens", "Lens"), ("Data", "Data"), ("SKUs", "SKU"), ("SKU", "SKU"),
        ("DeadLetters", "DeadLetter"), ("Processes", "Process"), ("Process", "Process"), ("Accesses", "Access"), ("Access", "Access"),
    ],
)  # fmt: skip
def test_plurals_and_singulars_are_one_collection(written, name):
    assert collection_of(written) == name
    assert collection_of(name) == name, "the name itself stays what it is"


@pytest.mark.feature(320, 404)
def test_names_classes_and_event_names_lead_to_the_same_collection():
    class Voucher:
        pass

    assert db.Vouchers == db.Voucher == db["vouchers"] == db[N.Voucher] == db[N.Vouchers] == db[Voucher] == db.collection("Voucher")
    assert db.Vouchers != db.Order
    assert repr(db.Vouchers) == "db.Voucher"


def test_a_noun_class_that_is_called_by_a_plural_keeps_its_name():
    class Ledgers(DO, index=("open",)):
        open: bool = True

    assert collection_of("Ledgers") == collection_of("Ledger") == collection_of(Ledgers) == "Ledgers"


@pytest.mark.parametrize("name", ["", "1st", "a b;c", "Ördner", 5, None, "x" * 200, "Order'; DROP TABLE documents"])
def test_what_cannot_name_a_collection_is_refused(name):
    with pytest.raises(DefinitionError):
        db[name]


@pytest.mark.parametrize("name", ["orders", "_private", "creat"])
def test_a_lower_case_attribute_is_no_collection(name):
    with pytest.raises(AttributeError):
        getattr(db, name)
