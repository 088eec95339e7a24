"""gRPC's messages and headers, cut, compressed and garbled in every way there is."""

import re
import string
import sys
import zlib
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import suppress
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from inferd.errors import InferdError, InvalidRequest, Unimplemented
from inferd.transport.envoy.headers import (
    message_header,
    metadata_headers,
    metadata_value,
    timeout_s,
)
from inferd.transport.envoy.messages import PREFIX_BYTES, Messages, compressed, framed

LIMIT = 300
ENCODINGS = (b"identity", b"gzip", b"deflate")
SECONDS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}

bodies = st.binary(max_size=LIMIT)
encodings = st.sampled_from(ENCODINGS)


@st.composite
def on_the_wire(draw: st.DrawFn, encoding: bytes, *, most: int = 8) -> tuple[list[bytes], bytes]:
    """Draw messages, some of them compressed, and their bytes."""
    messages = draw(st.lists(bodies, max_size=most))
    wire = b""
    for body in messages:
        short = encoding != b"identity" and draw(st.booleans())
        # Tiny messages grow by compression, and must not grow beyond the limit.
        wire += compressed(body, encoding) if short and len(body) < LIMIT - 50 else framed(body)
    return messages, wire


@st.composite
def cuts_of(draw: st.DrawFn, wire: bytes) -> list[bytes]:
    """Draw a way to cut bytes into chunks, empty ones among them."""
    cuts = sorted(draw(st.lists(st.integers(0, len(wire)), max_size=12)))
    return [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]


def held(messages: Messages) -> int:
    """Return the bytes that are kept, whether or not they are looked at."""
    return sys.getsizeof(messages._waiting) - sys.getsizeof(bytearray())


def fed(messages: Messages, chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        yield from messages.feed(chunk)


@given(st.data(), encodings)
def test_messages_come_back_however_they_are_cut(data: st.DataObject, encoding: bytes) -> None:
    sent, wire = data.draw(on_the_wire(encoding))
    messages = Messages(encoding, LIMIT)

    received = list(fed(messages, data.draw(cuts_of(wire))))
    messages.ended()

    assert received == sent


@given(st.data(), encodings)
def test_each_message_is_there_with_its_last_byte(data: st.DataObject, encoding: bytes) -> None:
    sent, wire = data.draw(on_the_wire(encoding))
    messages = Messages(encoding, LIMIT)

    seen_at = [at for at in range(len(wire)) for _ in messages.feed(wire[at : at + 1])]

    ends, at = [], 0
    while at < len(wire):
        at += PREFIX_BYTES + int.from_bytes(wire[at + 1 : at + PREFIX_BYTES])
        ends.append(at - 1)
    assert seen_at == ends
    assert len(ends) == len(sent)


@given(st.data(), encodings)
def test_the_only_message_is_what_a_stream_of_one_is(data: st.DataObject, encoding: bytes) -> None:
    sent, wire = data.draw(on_the_wire(encoding, most=2))
    chunks = data.draw(cuts_of(wire))

    try:
        only = only_message(Messages(encoding, LIMIT), chunks)
    except Unimplemented:
        assert len(sent) != 1
    else:
        assert [only] == sent


def only_message(messages: Messages, chunks: list[bytes]) -> bytes:
    for chunk in chunks[:-1]:
        messages.hold(chunk)
    return messages.only(chunks[-1])


@given(st.data(), encodings)
def test_a_cut_off_message_is_no_message(data: st.DataObject, encoding: bytes) -> None:
    sent, wire = data.draw(on_the_wire(encoding))
    assume(wire)
    messages = Messages(encoding, LIMIT)

    received = list(messages.feed(wire[: data.draw(st.integers(0, len(wire) - 1))]))

    assert received == sent[: len(received)]
    assert len(received) < len(sent)
    if messages._waiting:
        with pytest.raises(InvalidRequest, match="ended within a message"):
            messages.ended()


garbage = st.one_of(
    st.binary(max_size=2 * LIMIT),
    st.tuples(st.sampled_from([0, 1, 2, 255]), st.integers(0, 2**32 - 1), bodies).map(
        lambda parts: bytes([parts[0]]) + parts[1].to_bytes(4) + parts[2]
    ),
    bodies.map(lambda body: b"\x01" + len(body).to_bytes(4) + body),
    st.integers(0, 50 * LIMIT).map(lambda size: compressed(bytes(size), b"gzip")),
    st.integers(0, 50 * LIMIT).map(lambda size: compressed(bytes(size), b"deflate")),
)


@given(st.lists(garbage, max_size=5), encodings)
def test_garbage_is_refused_or_read_and_never_more(chunks: list[bytes], encoding: bytes) -> None:
    messages = Messages(encoding, LIMIT)
    largest = max(map(len, chunks), default=0)

    with suppress(InferdError):
        for chunk in chunks:
            for body in messages.feed(chunk):
                assert len(body) <= LIMIT
            assert len(messages._waiting) <= LIMIT + PREFIX_BYTES
            # A `bytearray` is at most an eighth larger than what it holds, or held.
            assert held(messages) <= (LIMIT + PREFIX_BYTES + largest) * 9 / 8 + 16
        messages.ended()


@given(st.lists(garbage, max_size=5), encodings)
@example([framed(b"")] * 5, b"identity")
def test_whoever_sends_one_message_has_no_more_kept(chunks: list[bytes], encoding: bytes) -> None:
    messages = Messages(encoding, LIMIT)

    with suppress(InferdError):
        for chunk in chunks:
            messages.hold(chunk)
            assert len(messages._waiting) <= LIMIT + PREFIX_BYTES
        assert len(messages.only(b"")) <= LIMIT


@given(st.lists(st.sampled_from([b"", b"\0", b"\0\0\0\0\0", framed(b"x")]), max_size=6))
def test_read_at_once_or_bit_by_bit_is_the_same(chunks: list[bytes]) -> None:
    chunks = [*chunks, b""]

    def outcome(parts: list[bytes]) -> bytes | None:
        try:
            return only_message(Messages(b"identity", LIMIT), parts)
        except InferdError:  # which one, depends on what was seen first
            return None

    assert outcome([b"".join(chunks)]) == outcome(chunks)


@given(bodies, st.sampled_from([b"gzip", b"deflate"]))
def test_what_is_compressed_is_what_others_decompress(body: bytes, encoding: bytes) -> None:
    wire = compressed(body, encoding)

    assert wire[0] == 1
    assert int.from_bytes(wire[1:PREFIX_BYTES]) == len(wire) - PREFIX_BYTES
    wbits = {b"gzip": 31, b"deflate": 15}[encoding]
    assert zlib.decompress(wire[PREFIX_BYTES:], wbits) == body


@given(st.binary(max_size=50))
def test_encodings_that_nobody_knows_are_refused(encoding: bytes) -> None:
    assume(encoding not in ENCODINGS)

    with pytest.raises(Unimplemented):
        Messages(encoding, LIMIT)


@given(st.text())
@example("\ud800 alone")
@example("100 %\r\n")
def test_any_message_is_a_header_and_comes_back(message: str) -> None:
    header = message_header(message)

    assert all(0x20 <= byte < 0x7F for byte in header)
    assert unquote_to_bytes(header.decode()).decode() == message.encode(errors="replace").decode()


@given(st.integers(0, 99_999_999), st.sampled_from("HMSmun"))
def test_any_timeout_is_understood(amount: int, unit: str) -> None:
    assert timeout_s(f"{amount}{unit}".encode()) == amount * SECONDS[unit]


@given(
    st.one_of(
        st.binary(max_size=12),
        st.text(string.digits + "HMSmunsh +-._", max_size=12).map(str.encode),
    )
)
def test_any_other_timeout_is_refused(value: bytes) -> None:
    if re.fullmatch(rb"[0-9]{1,8}[HMSmun]", value):
        assert 0.0 <= timeout_s(value) <= 99_999_999 * 3600.0
    else:
        with pytest.raises(InvalidRequest, match="grpc-timeout is "):
            timeout_s(value)


@given(st.binary(max_size=100), st.booleans(), st.lists(st.binary(max_size=9), max_size=3))
def test_binary_metadata_come_back(value: bytes, padded: bool, before: list[bytes]) -> None:
    ((_, ours),) = metadata_headers([("x-bin", value)])
    theirs = b64encode(value) if padded else ours
    joined = b",".join([*map(b64encode, before), theirs])

    assert b"=" not in ours
    assert metadata_value(b"x-bin", ours) == value
    assert metadata_value(b"x-bin", joined) == value


@given(st.binary(max_size=40))
def test_binary_metadata_are_read_or_refused(value: bytes) -> None:
    with suppress(InvalidRequest):
        assert isinstance(metadata_value(b"x-bin", value), bytes)


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF), max_size=40))
def test_text_metadata_come_back(value: str) -> None:
    ((name, sent),) = metadata_headers([("x-text", value)])

    assert metadata_value(name, sent) == value
