"""gRPC's messages on the wire: a flag, a length and the body, cut anywhere by the network.

A message is at most as large as the configuration allows, on the wire and when it has been
decompressed: nobody's kilobyte becomes our gigabyte.
"""

import struct
import zlib
from collections.abc import Iterator

from inferd.errors import InferdError, Internal, InvalidRequest, TooLarge, Unimplemented

PREFIX_BYTES = 5
#: What we understand, as `grpc-accept-encoding` says it.
ENCODINGS = b"identity,deflate,gzip"

_prefix = struct.Struct(">BI")
#: For `zlib`: gzip has a header of its own, and so has what gRPC calls deflate.
_WINDOW_BITS = {b"gzip": 16 + zlib.MAX_WBITS, b"deflate": zlib.MAX_WBITS}
#: The level that gRPC's other implementations take.
_LEVEL = 6


def framed(body: bytes) -> bytes:
    """Return a message as it goes out, uncompressed."""
    return _prefix.pack(0, len(body)) + body


def compressed(body: bytes, encoding: bytes) -> bytes:
    """Return a message as it goes out, compressed as `encoding` (gzip, deflate) says."""
    deflate = zlib.compressobj(_LEVEL, wbits=_WINDOW_BITS[encoding])
    short = deflate.compress(body) + deflate.flush()
    return _prefix.pack(1, len(short)) + short


def can_read(encoding: bytes) -> bool:
    """Whether messages with this `grpc-encoding` can be read."""
    return encoding == b"identity" or encoding in _WINDOW_BITS


class Messages:
    """Cuts one caller's bytes into messages."""

    __slots__ = ("_encoding", "_limit", "_waiting")

    def __init__(self, encoding: bytes, limit: int) -> None:
        """Read messages of `encoding` and of up to `limit` bytes.

        Raises:
            Unimplemented: an encoding that we do not know.
        """
        if not can_read(encoding):
            name, known = encoding.decode("latin-1"), ENCODINGS.decode()
            raise Unimplemented(f'grpc-encoding "{name}" is not supported; {known} are')
        self._encoding = encoding
        self._limit = limit
        self._waiting = bytearray()

    def hold(self, chunk: bytes) -> None:
        """Keep a part of the one message that a caller sends.

        Raises:
            TooLarge: it is beyond the limit; it is not waited for.
            Unimplemented: it has come already, and there is more.
        """
        waiting = self._waiting
        waiting += chunk
        if len(waiting) >= PREFIX_BYTES:
            length = _prefix.unpack_from(waiting)[1]
            if length > self._limit:
                raise _too_large(length, self._limit)
            if len(waiting) > PREFIX_BYTES + length:
                raise _not_one("more")

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Take what has arrived and yield the messages that are complete with it.

        Raises:
            TooLarge: a message is beyond the limit; it is not waited for.
            InvalidRequest, Internal: what came is not gRPC.
        """
        waiting = self._waiting
        waiting += chunk
        while len(waiting) >= PREFIX_BYTES:
            flag, length = _prefix.unpack_from(waiting)
            if length > self._limit:
                raise _too_large(length, self._limit)
            end = PREFIX_BYTES + length
            if len(waiting) < end:
                return
            body = bytes(memoryview(waiting)[PREFIX_BYTES:end])
            del waiting[:end]
            yield self._plain(flag, body)

    def ended(self) -> None:
        """Nothing follows. Raises `InvalidRequest` where a message was cut off."""
        if self._waiting:
            raise InvalidRequest(
                f"the request ended within a message, after {len(self._waiting)} bytes of it"
            )

    def only(self, body: bytes) -> bytes:
        """Return the one message that ends with `body`. Raises as `feed` and `ended` do."""
        if len(body) >= PREFIX_BYTES and not body[0] and not self._waiting:
            length = int.from_bytes(body[1:PREFIX_BYTES])
            if len(body) == PREFIX_BYTES + length and length <= self._limit:
                return body[PREFIX_BYTES:]
        message = None
        for each in self.feed(body):
            if message is not None:
                raise _not_one("more")
            message = each
        self.ended()
        if message is None:
            raise _not_one("none")
        return message

    def _plain(self, flag: int, body: bytes) -> bytes:
        if flag == 0:
            return body
        if flag != 1:
            raise Internal(f"a message has the flags {flag:#04x}; 0 and 1 are known")
        if self._encoding == b"identity":
            raise Internal("a message is compressed, and grpc-encoding does not say how")
        return _inflated(body, self._encoding, self._limit)


def _inflated(body: bytes, encoding: bytes, limit: int) -> bytes:
    inflate = zlib.decompressobj(wbits=_WINDOW_BITS[encoding])
    try:
        plain = inflate.decompress(body, limit + 1)
    except zlib.error as error:
        raise Internal(f"a message is not {encoding.decode()}: {error}") from None
    if len(plain) > limit:
        raise _too_large(len(plain), limit)
    if not inflate.eof:
        raise Internal(f"a message of {encoding.decode()} is cut off")
    if inflate.unused_data:
        raise Internal(f"a message of {encoding.decode()} goes on after its end")
    return plain


def _not_one(sent: str) -> InferdError:
    return Unimplemented(f"the method takes one message, and {sent} came")


def _too_large(length: int, limit: int) -> InferdError:
    return TooLarge(f"received message larger than max ({length} vs. {limit})")
