"""Rows as bytes, and bytes that are no rows."""

import msgspec
import pytest
from msgspec import UNSET

from inferd.cache.blobs import HEAD, STAMPED, stamp_of
from inferd.features.kinds import Kind
from inferd.features.rows import Codec, Row

EVENT_US = 1_800_000_000_000_000
CODEC = Codec(
    [(name, Kind.named(kind)) for name, kind in (("class", "int64"), ("b", "float_list[2]"))]
)
ROW = Row(EVENT_US, (7, (0.5, 1.0)), "here")


def test_a_row_comes_back() -> None:
    assert CODEC.decode(CODEC.encode(EVENT_US, ROW.cells), "here") == ROW


def test_a_row_is_plain_msgpack_that_others_can_read() -> None:
    blob = CODEC.encode(EVENT_US, ROW.cells)

    assert msgspec.msgpack.decode(blob) == [EVENT_US, {"class": 7, "b": [0.5, 1.0]}]


def test_its_stamp_is_where_stores_look_for_it() -> None:
    blob = CODEC.encode(EVENT_US, ROW.cells)

    assert blob.startswith(HEAD)
    assert stamp_of(blob) == EVENT_US
    assert len(blob) > STAMPED


def test_a_feature_that_was_not_declared_then_is_unset_and_one_that_is_no_more_is_ignored() -> None:
    before = Codec([("b", Kind.named("float_list[2]")), ("gone", Kind.named("string"))])

    row = CODEC.decode(before.encode(EVENT_US, ((0.5, 1.0), "x")), "here")

    assert row == Row(EVENT_US, (UNSET, (0.5, 1.0)), "here")


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"\x00",
        b"nonsense",
        CODEC.encode(EVENT_US, ROW.cells)[:-1],
        CODEC.encode(EVENT_US, ROW.cells) + b"\x00",
        CODEC.encode(EVENT_US, ("text", UNSET)),
        CODEC.encode(EVENT_US, (7, (0.5,))),
        CODEC.encode(EVENT_US, (7, (0.5, "x"))),  # type: ignore[arg-type]
        CODEC.encode(EVENT_US, (2**63, UNSET)),
        CODEC.encode(2**60, ROW.cells),
        CODEC.encode(-5, ROW.cells),
        msgspec.msgpack.encode([EVENT_US]),
        msgspec.msgpack.encode([EVENT_US, [7, 8]]),
        msgspec.msgpack.encode({"a": 1}),
    ],
)
def test_bytes_that_are_no_row_of_the_view_are_none(blob: bytes) -> None:
    assert CODEC.decode(blob, "here") is None


def test_text_that_is_not_utf_8_is_no_row() -> None:
    codec = Codec([("a", Kind.named("string"))])
    blob = codec.encode(EVENT_US, ("text",))

    assert codec.decode(blob.replace(b"text", b"te\xfft"), "here") is None
