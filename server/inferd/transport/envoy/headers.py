"""gRPC's headers: timeouts, metadata and status, as HTTP/2 carries them.

After "gRPC over HTTP2" (PROTOCOL-HTTP2.md in grpc/grpc). Header names are lower case by then.
"""

import binascii
from base64 import b64encode
from collections.abc import Iterable
from urllib.parse import quote

from inferd.call import Value
from inferd.errors import InvalidRequest

Headers = list[tuple[bytes, bytes]]

MAX_TIMEOUT_DIGITS = 8
_UNITS_S = {
    ord("H"): 3600.0,
    ord("M"): 60.0,
    ord("S"): 1.0,
    ord("m"): 1e-3,
    ord("u"): 1e-6,
    ord("n"): 1e-9,
}
#: What a message may hold as it is: printable ASCII but the per cent sign.
_PLAIN = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


def timeout_s(value: bytes) -> float:
    """Return a `grpc-timeout` in seconds. Raises `InvalidRequest` when it is none."""
    unit = _UNITS_S.get(value[-1]) if value else None
    amount = value[:-1]
    if unit is None or not amount.isdigit() or len(amount) > MAX_TIMEOUT_DIGITS:
        raise InvalidRequest(
            f'grpc-timeout is "{value.decode("latin-1")}"; expected 1 to 8 digits and a unit,'
            " one of H, M, S, m, u, n",
            field="grpc-timeout",
        )
    return int(amount) * unit


def message_header(message: str) -> bytes:
    """Return a status message as `grpc-message` carries it: percent-encoded UTF-8."""
    return quote(message, safe=_PLAIN, errors="replace").encode("ascii")


def metadata_value(name: bytes, value: bytes) -> Value:
    """Return a request's metadata value: text, or bytes for a name that ends in `-bin`.

    Raises `InvalidRequest` for a `-bin` value that is not base64, padded or not.
    """
    if not name.endswith(b"-bin"):
        return value.decode("latin-1")
    last = value.rpartition(b",")[2].strip()  # repeated headers may come joined
    try:
        return binascii.a2b_base64(last + b"=" * (-len(last) % 4), strict_mode=True)
    except binascii.Error:
        field = name.decode("latin-1")
        raise InvalidRequest(f"metadata {field} is not base64", field=field) from None


def metadata_headers(metadata: Iterable[tuple[str, Value]]) -> Headers:
    """Return metadata as headers or trailers."""
    return [
        (
            name.encode("ascii"),
            b64encode(value).rstrip(b"=") if isinstance(value, bytes) else value.encode("latin-1"),
        )
        for name, value in metadata
    ]
