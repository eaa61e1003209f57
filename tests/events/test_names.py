"""Names of events: how they are written, what they equal, what they match."""

import copy
import json
import pickle

import pytest

from dotdo import DO, codec
from dotdo.errors import CodecError, DefinitionError
from dotdo.events import names
from dotdo.events.names import EventName, N, PatternIndex, matches, parse
from dotdo.events.tense import is_event


class NamedParcel(DO):
    """A noun to scope names with."""


class Renamed(DO, noun="ShopParcel"):
    """A noun that is called otherwise than its class."""


@pytest.mark.feature(404)
@pytest.mark.parametrize(
    ("written", "text"),
    [
        (N.Order.created, "Order.created"),
        (N["Order"].created, "Order.created"),
        (N["Order.created"], "Order.created"),
        (N["Order"]["created"], "Order.created"),
        (N[N.Order].created, "Order.created"),
        (N.Role.SalesTeam, "Role.SalesTeam"),
        (N.ServiceType.Automation, "ServiceType.Automation"),
        (N.BlogPost, "BlogPost"),
        (N.subscribes, "subscribes"),
        (N.Document.needs_changes, "Document.needs_changes"),
        (N.Order["return"], "Order.return"),
        (N.Order.item.added, "Order.item.added"),
        (N["*"].failed, "*.failed"),
        (N.Order["*"], "Order.*"),
        (N["*"]["*"], "*.*"),
        (N[NamedParcel].sent, "NamedParcel.sent"),
        (N[Renamed].sent, "ShopParcel.sent"),
        (N[NamedParcel("p1")].sent, "NamedParcel.sent@p1"),
        (N[NamedParcel("a.b@c/d")].sent, "NamedParcel.sent@a.b@c/d"),
        (N[Renamed("p1")].sent, "ShopParcel.sent@p1"),
        (N.Order.count, "Order.count"),
        (N.Team.join, "Team.join"),
        (N.Meeting.index, "Meeting.index"),
    ],
)
def test_a_name_in_every_form(written, text):
    assert isinstance(written, EventName)
    assert str(written) == f"{written}" == text
    assert written == text
    assert text == written
    assert hash(written) == hash(text)
    assert parse(text) == written
    assert eval(repr(written), {"N": N}) == written


@pytest.mark.feature(404)
def test_a_name_is_interchangeable_with_its_text():
    assert {"Order.created": 1}[N.Order.created] == 1
    assert {N.Order.created: 1}["Order.created"] == 1
    assert N.Order.created in {"Order.created"}
    assert N.Order.created != "Order.deleted"
    assert N.Order.created != 5
    assert sorted(["b", N.Order.paid, N.Order.created, "Order.lost"]) == ["Order.created", "Order.lost", "Order.paid", "b"]
    assert N.Order.created < "Order.d" <= N.Order.d
    assert f"{N.Order.created:>15}" == "  Order.created"
    assert json.dumps({str(N.Order.created): 1}) == '{"Order.created": 1}'


@pytest.mark.feature(404)
@pytest.mark.parametrize("name", [N.Order.created, N["*"].failed, N[NamedParcel("ü.1")].sent, N.approve])
def test_a_name_travels(name):
    for travelled in (
        pickle.loads(pickle.dumps(name)),
        codec.decode(codec.encode(name)),
        codec.decode(codec.encode({"to": [name]}))["to"][0],
        copy.deepcopy(name),
    ):
        assert type(travelled) is EventName
        assert travelled == name
    assert pickle.loads(pickle.dumps(N)) is N


def test_bytes_with_a_malformed_name_are_refused():
    good = codec.encode(N.Order.created)
    with pytest.raises(CodecError, match="malformed"):
        codec.decode(good.replace(b"Order", b"order"))


@pytest.mark.feature(78)
def test_a_computed_name():
    for entity in ("PurchaseOrder", "Expense"):
        assert N[entity].approved == f"{entity}.approved"


def test_a_name_is_no_container_and_cannot_be_changed():
    with pytest.raises(TypeError):
        iter(N.Order)
    with pytest.raises(TypeError):
        _ = "x" in N.Order
    with pytest.raises(AttributeError):
        N.Order.created = 1
    with pytest.raises(AttributeError):
        del N.Order.created
    assert not callable(N.Order.created)
    assert not hasattr(N.Order, "__len__")
    assert not hasattr(N, "_repr_html_")


@pytest.mark.feature(79)
@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("Order.placed", ("Order", "placed", "")),
        ("Order.item.added", ("Order", "item.added", "")),
        ("Order.placed@o1", ("Order", "placed", "o1")),
        ("Order.placed@a.b@c", ("Order", "placed", "a.b@c")),
        ("Order", ("Order", "", "")),
        ("Order@o1", ("Order", "", "o1")),
        ("manager-decision", ("manager-decision", "", "")),
    ],
)
def test_only_the_first_dot_splits(name, parts):
    assert names.split(name) == parts


def test_what_can_be_asked_of_a_name():
    assert names.scope_of(N[NamedParcel("p1")].sent) == ("NamedParcel", "p1")
    assert names.scope_of(N.NamedParcel.sent) is None
    assert names.unscoped(N[NamedParcel("p1")].sent) == "NamedParcel.sent"
    assert names.is_signal("approve")
    assert not names.is_signal("Order.created")
    assert names.is_pattern("Order.*")
    assert not names.is_pattern("Order.created@a*")


@pytest.mark.parametrize(
    ("bad", "way_out"),
    [
        ("", "bare word"),
        ("order.created", "'Order.created'"),
        ("order.created@o1", "'Order.created@o1'"),
        (".created", "noun"),
        ("Order.", "verb after the dot is missing"),
        ("Order..created", "no verb"),
        ("Order.cre*", "whole noun or verb"),
        ("Ord*.created", "whole noun or verb"),
        ("**.created", "whole noun or verb"),
        ("*", "'*.*'"),
        ("Order created", "bare word"),
        ("Order.was created", "no verb"),
        ("Order.1st", "no verb"),
        ("9Order.created", "capital letter"),
        ("Order.created@", "1 to 512"),
        ("*.failed@o1", "name the noun"),
        ("approve@o1", "Approve"),
        ("Order.created\n", "no verb"),
        ("Order." + "x" * 200, "200"),
        (5, "not int"),
        (None, "not NoneType"),
    ],
)
def test_a_bad_name_is_refused_with_the_way_out(bad, way_out):
    with pytest.raises(DefinitionError) as caught:
        parse(bad)
    assert way_out in str(caught.value)
    assert repr(bad)[:20].rstrip("'") in str(caught.value) or bad == "*"


def test_other_values_are_no_names():
    for bad in (5, None, object(), ["Order"]):
        with pytest.raises(DefinitionError):
            N[bad]
    with pytest.raises(DefinitionError, match="takes a verb"):
        N.Order[0]


def test_a_pattern_cannot_be_sent():
    with pytest.raises(DefinitionError, match="pattern"):
        names.parse_event("*.failed")
    with pytest.raises(DefinitionError, match="pattern"):
        matches("*.*", "Order.*")


@pytest.mark.feature(61, 62)
@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("Payment.failed", "Payment.failed", True),
        ("Payment.failed", "Payment.paid", False),
        ("*.failed", "Payment.failed", True),
        ("*.failed", "Payment.failed@p1", True),
        ("*.failed", "Payment.partly.failed", False),
        ("*.failed", "failed", False),
        ("Payment.*", "Payment.failed", True),
        ("Payment.*", "Payment.partly.failed", True),
        ("Payment.*", "Payments.failed", False),
        ("Payment.*", "Payment", False),
        ("*.*", "Payment.failed", True),
        ("*.*", "approve", False),
        ("approve", "approve", True),
        ("approve", "reject", False),
        ("Payment.failed", "Payment.failed@p1", True),
        ("Payment.failed@p1", "Payment.failed@p1", True),
        ("Payment.failed@p1", "Payment.failed@p2", False),
        ("Payment.failed@p1", "Payment.failed", False),
        ("Payment.*@p1", "Payment.failed@p1", True),
        ("Payment.*@p1", "Payment.failed@p2", False),
        ("Payment", "Payment@p1", True),
        ("Payment.Failed", "Payment.failed", False),
    ],
)
def test_what_a_pattern_matches(pattern, name, expected):
    assert matches(pattern, name) is expected
    index = PatternIndex()
    index.add(pattern, "handler")
    assert index.matching(name) == (["handler"] if expected else [])


@pytest.mark.feature(62, 63, 67)
def test_the_index_gives_the_nearest_first_and_then_the_order_of_registration():
    index = PatternIndex()
    registered = [
        ("*.*", "all"),
        ("Payment.*", "noun"),
        ("*.failed", "verb 2"),
        ("Payment.failed", "exact 2"),
        (N["*"].failed, "verb 1"),
        (N.Payment.failed, "exact 1"),
        ("Payment.failed@p1", "one"),
        ("Order.failed", "other"),
        ("*.*", "exact 1"),
    ]
    for pattern, value in registered:
        index.add(pattern, value)
    assert index.matching("Payment.failed") == ["exact 2", "exact 1", "verb 2", "verb 1", "noun", "all"]
    assert index.matching(N.Payment.failed)[0] == "exact 2"
    assert index.matching("Payment.failed@p1")[0] == "one"
    assert index.matching("Shipment.lost") == ["all", "exact 1"]
    assert len(index) == len(registered)


@pytest.mark.feature(70)
def test_the_index_forgets_what_is_discarded():
    index = PatternIndex()
    index.add("*.failed", 1)
    index.add("*.failed", 1)
    index.add("*.failed", 2)
    index.discard(N["*"].failed, 1)
    index.discard("*.failed", 3)
    index.discard("Order.unknown", 3)
    assert index.matching("Order.failed") == [2]
    assert index.patterns() == ["*.failed"]
    index.discard("*.failed", 2)
    assert index.patterns() == []
    assert len(index) == 0


EVENTS = """abandoned approved cancelled completed confirmed created decided escalated failed fulfilled generated launched launchCompleted
needs_changes paid placed processed provisioned registered rejected released renewed requested reviewed submitted trialEnding updated
upgraded validated verified sent won lost sold shipped out_of_stock_reported paid_in_full isOverdue written expiring"""
COMMANDS = """approve assignTier autoResolve cancel charge create createCampaign deliver escalate fail log post process processHighValue
processPriority provision publish queueForReview record refund reject renew reserve resume schedule send status submit sync timeout
updateFeatures validate progress mark_paid listFailed ping proceed embed feed set put read reset send_failed_notice bring need"""


@pytest.mark.feature(80)
@pytest.mark.parametrize(("verb", "expected"), [(v, True) for v in EVENTS.split()] + [(v, False) for v in COMMANDS.split()])
def test_a_verb_that_tells_is_an_event_and_one_that_asks_a_command(verb, expected):
    assert is_event(verb) is expected
