"""Ready-made nouns on dotdo's public API alone: a shop's, and those that tell people and count things.

They register when this package is imported, and only then.
"""

from .customer import Customer
from .email import Email, MailRefused
from .inventory import Inventory, OutOfStock
from .metric import Metric
from .notification import HookRefused, Notification
from .order import Line, Order, OrderIn, OrderRefused
from .payment import Payment
from .shipment import Shipment
from .subscription import Subscription

__all__ = [
    "Customer", "Email", "HookRefused", "Inventory", "Line", "MailRefused", "Metric", "Notification", "Order", "OrderIn",
    "OrderRefused", "OutOfStock", "Payment", "Shipment", "Subscription",
]  # fmt: skip
