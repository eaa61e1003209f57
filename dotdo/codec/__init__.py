"""Values as bytes: everything a field, an argument or a result may hold, and nothing that could run.

`encode` and `decode` round-trip type and value. It is msgpack with extension types; plain values pass through msgpack's
C code without touching ours. Bytes from outside can name classes but never import or run anything: a class is used
only if it is registered or already imported, and only if it is of the kind the bytes claim.
"""

from dotdo.codec.classes import register_class
from dotdo.codec.codec import DEPTH_MAX, SIZE_BYTES_MAX, copy, decode, encode, register_extension

__all__ = ["DEPTH_MAX", "SIZE_BYTES_MAX", "copy", "decode", "encode", "register_class", "register_extension"]
