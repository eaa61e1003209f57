"""`DO`, the class users subclass: composed of the capabilities in the layers below, each an object of its own."""

from dotdo.durable_object.do import DO

__all__ = ["DO"]
