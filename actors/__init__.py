"""Ready-made nouns for a shop, on dotdo's public API alone: Customer, Order, Inventory, Payment, Shipment.

They register when this package is imported, and only then.
"""

from .customer import Customer
from .inventory import Inventory, OutOfStock
from .order import Line, Order, OrderIn, OrderRefused
from .payment import Payment
from .shipment import Shipment

__all__ = ["Customer", "Inventory", "Line", "Order", "OrderIn", "OrderRefused", "OutOfStock", "Payment", "Shipment"]
