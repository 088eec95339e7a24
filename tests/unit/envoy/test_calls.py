"""gRPC over ASGI: what a caller hears, however it calls."""

import asyncio
import gzip
import math
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from google.rpc import error_details_pb2, status_pb2

from inferd import errors
from inferd.call import Call
from inferd.services.status import DETAILS, PUSHBACK, Code
from inferd.transport.envoy.calls import ARRIVED
from inferd.transport.envoy.messages import ENCODINGS, compressed, framed
from support.echo import Act, Note, a_note
from unit.envoy.host import GRPC, NOON, Bench, Headers, Host

LIMIT = 1000


def raising(error: BaseException) -> Act:
    async def act(request: Any, call: Call) -> Any:
        raise error

    return act


def growing(size: int) -> Act:
    async def act(request: Any, call: Call) -> Any:
        return Note(text="x" * size)

    return act


async def refused(host: Host) -> Host:
    await host.ended()
    assert host.trailers_only
    assert (host.status, host.body) == (200, b"")
    assert host.said["content-type"] == "application/grpc"
    return host


async def test_one_message_is_answered_by_one() -> None:
    bench = Bench()

    host = await bench.say("hello").ended()

    assert (host.answers, host.code, host.message) == (["hello"], Code.OK, "")
    assert host.headers == [(b"content-type", b"application/grpc")]
    assert host.trailers == [(b"grpc-status", b"0")]
    assert bench.counted() == {"OK": 1}


async def test_a_call_asks_the_host_for_no_more_than_its_message() -> None:
    host = await Bench().say("hello").ended()

    assert len(host.asked_at) == 1


async def test_a_stream_is_collected_into_one_answer() -> None:
    bench = Bench()
    host = bench.open("Collect")
    for text in "abc":
        host.bring(framed(a_note(text)), more=True)
        await host.settled()
    host.bring(b"")

    await host.ended()

    assert (host.answers, host.code) == (["a b c"], Code.OK)
    assert bench.counted("Collect") == {"OK": 1}


async def test_one_message_is_expanded_into_a_stream() -> None:
    bench = Bench()

    host = await bench.say("a b c", "Expand").ended()

    assert (host.answers, host.code) == (["a", "b", "c"], Code.OK)
    assert bench.counted("Expand") == {"OK": 1}


async def test_a_conversation_is_answered_message_by_message() -> None:
    bench = Bench()
    host = bench.open("Converse")

    for text in "abc":
        host.bring(framed(a_note(text)), more=True)
        await host.settled()
        assert host.answers[-1] == text
    host.bring(b"")

    assert (await host.ended()).code == Code.OK
    assert bench.counted("Converse") == {"OK": 1}


async def test_a_conversation_may_be_ended_by_the_server() -> None:
    bench = Bench()
    host = bench.open("Converse")
    host.bring(framed(a_note("a")) + framed(a_note("bye")), more=True)

    assert (await host.ended()).code == Code.OK
    assert host.answers == ["a"]
    assert bench.counted("Converse") == {"OK": 1}


@pytest.mark.parametrize("name", ["Collect", "Expand", "Converse"])
async def test_a_stream_may_be_empty(name: str) -> None:
    host = Bench().open(name)
    host.bring(framed(b"") if name == "Expand" else b"")

    await host.ended()

    assert (host.code, host.trailers_only) == (Code.OK, False)
    assert host.answers == ([""] if name == "Collect" else [])


@pytest.mark.parametrize("name", ["Collect", "Converse"])
async def test_a_stream_may_be_empty_from_its_headers_on(name: str) -> None:
    host = await Bench().open(name, complete=True).ended()

    assert host.code == Code.OK


@pytest.mark.parametrize("name", ["SayOnce", "Collect", "Expand", "Converse"])
async def test_a_message_may_be_cut_anywhere(name: str) -> None:
    wire = framed(a_note("hello"))

    for cut in range(len(wire) + 1):
        host = Bench().open(name)
        host.bring(wire[:cut], more=True)
        await host.settled()
        host.bring(wire[cut:])
        assert (await host.ended()).answers == ["hello"]


async def test_a_message_may_come_byte_by_byte() -> None:
    host = Bench().open()
    for byte in framed(a_note("hello")):
        host.bring(bytes([byte]), more=True)
        await host.settled()
    host.bring(b"")

    assert (await host.ended()).answers == ["hello"]


@pytest.mark.parametrize(
    ("allowed", "seconds"),
    [
        (b"2H", 7200.0),
        (b"2M", 120.0),
        (b"2S", 2.0),
        (b"2m", 0.002),
        (b"2u", 2e-6),
        (b"2n", 2e-9),
        (b"0S", 0.0),
        (b"00000001S", 1.0),
        (b"99999999H", 99999999 * 3600.0),
    ],
)
async def test_a_deadline_in_every_unit(allowed: bytes, seconds: float) -> None:
    bench = Bench()

    await bench.say(more=[(b"grpc-timeout", allowed)]).ended()

    assert bench.echo.call is not None
    assert bench.echo.call.deadline.at == pytest.approx(seconds, rel=1e-12)


async def test_a_call_without_a_timeout_has_no_deadline() -> None:
    bench = Bench()

    await bench.say().ended()

    assert bench.echo.call is not None
    assert bench.echo.call.deadline.at == math.inf


@pytest.mark.parametrize(
    "allowed",
    [
        *(b"", b"1", b"S", b"1s", b"-1S", b"+1S", b" 1S", b"1S ", b"1.5S", b"1_0S", b"1S,2S"),
        *(b"123456789S", b"9" * 5000 + b"S", b"\xb2S", b"1\xb5"),
    ],
)
async def test_a_timeout_that_is_none_is_refused(allowed: bytes) -> None:
    host = await refused(Bench().say(more=[(b"grpc-timeout", allowed)]))

    assert host.code == Code.INVALID_ARGUMENT
    assert host.message.startswith("grpc-timeout is ")
    assert violated(host) == ["grpc-timeout"]


def violated(host: Host) -> list[str]:
    details = status_pb2.Status.FromString(host.said[DETAILS])
    wrong = error_details_pb2.BadRequest()
    fields: list[str] = []
    for each in details.details:
        if each.Unpack(wrong):
            fields += (violation.field for violation in wrong.field_violations)
    return fields


async def test_time_spent_in_envoy_counts() -> None:
    bench = Bench()
    await asyncio.sleep(1.0)
    note = b"%d" % round((NOON + 0.75) * 1e6)

    await bench.say(more=[(ARRIVED, note), (b"grpc-timeout", b"2S")]).ended()

    assert bench.echo.call is not None
    assert bench.echo.call.arrived == pytest.approx(0.75, abs=1e-6)
    assert bench.echo.call.deadline.at == pytest.approx(2.75, abs=1e-6)
    assert ARRIVED.decode() not in bench.echo.call.metadata


@pytest.mark.parametrize(
    "note",
    [
        *(b"", b"noon", b"-1", b"nan", b"inf", b"-inf", b"1e999", b"9" * 5000),
        *(b"%d" % round(wrong_s * 1e6) for wrong_s in (NOON - 3600, NOON + 3600)),
    ],
)
async def test_a_note_that_cannot_be_true_is_no_note(note: bytes) -> None:
    bench = Bench()

    host = await bench.say(more=[(ARRIVED, note)]).ended()

    assert host.code == Code.OK
    assert bench.echo.call is not None
    assert bench.echo.call.arrived == 0.0


@pytest.mark.parametrize(
    ("sent", "value"),
    [
        (b"YQ==", b"a"),
        (b"YQ", b"a"),
        (b"AP8", b"\x00\xff"),
        (b"", b""),
        (b"YQ,Yg", b"b"),
        (b"YQ==, Yg==", b"b"),
        (b"YQ,,Yg", b"b"),
    ],
)
async def test_binary_metadata(sent: bytes, value: bytes) -> None:
    bench = Bench()

    await bench.say(more=[(b"x-raw-bin", sent)]).ended()

    assert bench.echo.call is not None
    assert bench.echo.call.metadata == {"x-raw-bin": value}


@pytest.mark.parametrize("sent", [b"Y", b"YQ===", b"=YQ", b"Y Q", b"YQ=a", b"_-__", b"YQ,Y"])
async def test_metadata_that_are_not_binary_are_refused(sent: bytes) -> None:
    host = await refused(Bench().say(more=[(b"x-raw-bin", sent)]))

    assert (host.code, host.message) == (
        Code.INVALID_ARGUMENT,
        "metadata x-raw-bin is not base64",
    )
    assert violated(host) == ["x-raw-bin"]


async def test_metadata_without_what_is_the_protocols() -> None:
    bench = Bench()
    more: Headers = [
        (b"grpc-timeout", b"1H"),
        (b"grpc-encoding", b"identity"),
        (b"grpc-accept-encoding", b"gzip"),
        (b"user-agent", b"a test"),
        (b"x-id", b"7"),
        (b"x-id", b"8"),
        (b"x-latin", b"\xe9"),
        (b"x-empty", b""),
    ]

    await bench.say(more=more).ended()

    call = bench.echo.call
    assert call is not None
    assert call.metadata == {"user-agent": "a test", "x-id": "8", "x-latin": "é", "x-empty": ""}
    assert (call.method, call.peer) == ("/inferd.test.Echo/SayOnce", "ipv4:192.0.2.1:5000")


async def test_metadata_go_out_before_and_after_the_answer() -> None:
    async def act(request: Any, call: Call) -> Any:
        call.initial.append(("x-before", "1"))
        call.trailing += [("x-after", "2"), ("x-raw-bin", b"\x00\xff\x10")]
        return request

    for name in ("SayOnce", "Converse"):
        host = await Bench(act).say("a", name).ended()
        assert host.headers == [(b"content-type", b"application/grpc"), (b"x-before", b"1")]
        assert host.trailers == [
            (b"grpc-status", b"0"),
            (b"x-after", b"2"),
            (b"x-raw-bin", b"AP8Q"),
        ]


async def test_metadata_go_out_with_a_refusal() -> None:
    async def act(request: Any, call: Call) -> Any:
        call.trailing.append(("x-after", "2"))
        raise errors.NotFound("no")

    host = await refused(Bench(act).say())

    assert (host.code, host.said["x-after"]) == (Code.NOT_FOUND, "2")


async def test_an_error_comes_with_its_details() -> None:
    bench = Bench(raising(errors.Shed("later", retry_after_s=0.25)))

    host = await refused(bench.say())

    details = status_pb2.Status.FromString(host.said[DETAILS])
    assert (host.code, host.message, host.said[PUSHBACK]) == (Code.UNAVAILABLE, "later", "250")
    assert (details.code, details.message, len(details.details)) == (14, "later", 2)
    assert bench.counted() == {"UNAVAILABLE": 1}


async def test_a_stream_ends_with_its_error_after_what_was_answered() -> None:
    bench = Bench(raising(errors.ModelFailed("no")))

    host = await bench.say("a b", "Expand").ended()

    assert (host.answers, host.trailers_only) == (["a"], False)
    assert (host.code, host.message) == (Code.INTERNAL, "no")
    assert bench.counted("Expand") == {"INTERNAL": 1}


async def test_a_stream_that_fails_before_its_first_answer_says_nothing_else() -> None:
    host = await refused(Bench(raising(errors.NotFound("no"))).say("a", "Converse"))

    assert host.code == Code.NOT_FOUND


@pytest.mark.parametrize(
    ("message", "sent"),
    [
        ("plain, with ~ and /?=&+", b"plain, with ~ and /?=&+"),
        ("100 %", b"100 %25"),
        ("%41", b"%2541"),
        ("two\nlines\r\n\tand a tab", b"two%0Alines%0D%0A%09and a tab"),
        ("\x00\x1f\x7f", b"%00%1F%7F"),
        ("naïve ☃ 😀", b"na%C3%AFve %E2%98%83 %F0%9F%98%80"),
        ("", None),
    ],
)
async def test_any_text_may_be_a_message(message: str, sent: bytes | None) -> None:
    host = await refused(Bench(raising(errors.NotFound(message))).say())

    assert dict(host.headers).get(b"grpc-message") == sent
    assert status_pb2.Status.FromString(host.said[DETAILS]).message == message


def deflated(body: bytes) -> bytes:
    return b"\x01" + len(zlib.compress(body)).to_bytes(4) + zlib.compress(body)


def gzipped(body: bytes) -> bytes:
    return b"\x01" + len(gzip.compress(body)).to_bytes(4) + gzip.compress(body)


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [(b"gzip", gzipped), (b"deflate", deflated), (b"gzip", framed), (b"identity", framed)],
)
@pytest.mark.parametrize("name", ["SayOnce", "Collect", "Expand", "Converse"])
async def test_a_compressed_message_is_read(
    encoding: bytes, compress: Callable[[bytes], bytes], name: str
) -> None:
    host = Bench().open(name, more=[(b"grpc-encoding", encoding)])
    host.bring(compress(a_note("hello" * 100)))

    assert (await host.ended()).answers == ["hello" * 100]


@pytest.mark.parametrize("name", ["SayOnce", "Collect", "Expand", "Converse"])
async def test_an_unknown_encoding_is_refused_and_the_known_are_named(name: str) -> None:
    host = Bench().open(name, more=[(b"grpc-encoding", b"snappy")])
    host.bring(framed(a_note("hello")))

    await refused(host)

    assert host.code == Code.UNIMPLEMENTED
    assert host.message == 'grpc-encoding "snappy" is not supported; identity,deflate,gzip are'
    assert host.said["grpc-accept-encoding"] == ENCODINGS.decode()


def bomb(size: int) -> bytes:
    return compressed(bytes(size), b"gzip")


def longer(wire: bytes) -> bytes:
    return b"\x01" + (len(wire) - 5 + 1).to_bytes(4) + wire[5:] + b"!"


@pytest.mark.parametrize(
    ("wire", "encoding", "code", "message"),
    [
        (compressed(b"", b"gzip"), b"identity", Code.INTERNAL, "does not say how"),
        (b"\x02\0\0\0\0", b"gzip", Code.INTERNAL, "the flags 0x02"),
        (b"\xff\0\0\0\0", b"gzip", Code.INTERNAL, "the flags 0xff"),
        (b"\x01\0\0\0\0", b"gzip", Code.INTERNAL, "cut off"),
        (b"\x01\0\0\0\x03abc", b"gzip", Code.INTERNAL, "not gzip"),
        (b"\x01\0\0\0\x03abc", b"deflate", Code.INTERNAL, "not deflate"),
        (compressed(b"x", b"deflate"), b"gzip", Code.INTERNAL, "not gzip"),
        (bomb(LIMIT + 1), b"gzip", Code.RESOURCE_EXHAUSTED, f"(1001 vs. {LIMIT})"),
        (bomb(500 * LIMIT), b"gzip", Code.RESOURCE_EXHAUSTED, f"(1001 vs. {LIMIT})"),
        (longer(compressed(b"", b"gzip")), b"gzip", Code.INTERNAL, "goes on after its end"),
        (framed(b"")[:4], b"identity", Code.INVALID_ARGUMENT, "after 4 bytes of it"),
        (framed(b"abc")[:-1], b"identity", Code.INVALID_ARGUMENT, "after 7 bytes of it"),
        (framed(bytes(LIMIT + 1)), b"identity", Code.RESOURCE_EXHAUSTED, "(1001 vs. 1000)"),
        (b"\0\xff\xff\xff\xff", b"identity", Code.RESOURCE_EXHAUSTED, "(4294967295 vs. 1000)"),
        (framed(b"\xff\xff"), b"identity", Code.INVALID_ARGUMENT, "not a valid inferd.test.Note"),
    ],
)
@pytest.mark.parametrize("name", ["SayOnce", "Collect", "Expand", "Converse"])
async def test_what_is_no_message_is_refused(
    wire: bytes, encoding: bytes, code: Code, message: str, name: str
) -> None:
    bench = Bench(max_receive_bytes=LIMIT)
    host = bench.open(name, more=[(b"grpc-encoding", encoding)])
    host.bring(wire)

    await refused(host)

    assert host.code == code
    assert message in host.message
    if name in ("Collect", "Converse"):  # others have not begun
        assert bench.counted(name) == {code.name: 1}


@pytest.mark.parametrize("name", ["SayOnce", "Expand"])
@pytest.mark.parametrize(
    ("messages", "said"), [([], "none came"), ([b"", b""], "more came"), ([b""] * 9, "more came")]
)
async def test_a_method_takes_one_message(name: str, messages: list[bytes], said: str) -> None:
    host = Bench().open(name)
    host.bring(b"".join(map(framed, messages)))

    await refused(host)

    assert (host.code, host.message) == (
        Code.UNIMPLEMENTED,
        f"the method takes one message, and {said}",
    )


async def test_nothing_but_headers_is_no_message() -> None:
    host = await refused(Bench().open(complete=True))

    assert host.code == Code.UNIMPLEMENTED


@pytest.mark.parametrize("name", ["SayOnce", "Collect", "Expand", "Converse"])
async def test_a_message_that_is_too_large_is_refused_before_it_has_come(name: str) -> None:
    bench = Bench(max_receive_bytes=LIMIT)
    host = bench.open(name)
    host.bring(framed(bytes(LIMIT + 1))[:5], more=True)

    await refused(host)

    assert host.code == Code.RESOURCE_EXHAUSTED
    assert host.message == "received message larger than max (1001 vs. 1000)"


@pytest.mark.parametrize("name", ["SayOnce", "Expand"])
async def test_what_follows_the_only_message_is_refused_before_all_of_it_has_come(
    name: str,
) -> None:
    host = Bench().open(name)
    host.bring(framed(a_note("hello")), more=True)
    await host.settled()
    host.bring(b"\0", more=True)

    assert (await refused(host)).code == Code.UNIMPLEMENTED


@pytest.mark.parametrize("name", ["SayOnce", "Collect", "Expand", "Converse"])
async def test_bytes_after_the_last_message_are_refused(name: str) -> None:
    host = Bench().open(name)
    host.bring(framed(a_note("hello")) + b"!")

    await host.ended()

    assert (host.code, host.message) == (
        Code.INVALID_ARGUMENT,
        "the request ended within a message, after 1 bytes of it",
    )


async def test_a_stream_is_answered_up_to_what_is_no_message() -> None:
    bench = Bench(max_receive_bytes=LIMIT)
    host = bench.open("Converse")
    host.bring(framed(a_note("a")) + b"\0\xff\xff\xff\xff", more=True)

    await host.ended()

    assert (host.answers, host.code) == (["a"], Code.RESOURCE_EXHAUSTED)
    assert bench.counted("Converse") == {"RESOURCE_EXHAUSTED": 1}


@pytest.mark.parametrize("compression", ["gzip", "deflate"])
@pytest.mark.parametrize("name", ["SayOnce", "Collect", "Expand", "Converse"])
async def test_answers_are_compressed_for_whoever_understands(compression: str, name: str) -> None:
    bench = Bench(compression=compression)
    accepting = [(b"grpc-accept-encoding", b"identity, " + compression.encode())]

    host = await bench.say("x" * 100, name, more=accepting).ended()

    wbits = 16 + zlib.MAX_WBITS if compression == "gzip" else zlib.MAX_WBITS
    assert host.said["grpc-encoding"] == compression
    assert host.body[0] == 1
    assert int.from_bytes(host.body[1:5]) == len(host.body) - 5
    assert zlib.decompress(host.body[5:], wbits) == a_note("x" * 100)


@pytest.mark.parametrize("accepted", [None, b"", b"identity", b"x-gzip", b"gzipped,deflate"])
async def test_answers_are_not_compressed_for_others(accepted: bytes | None) -> None:
    more = [] if accepted is None else [(b"grpc-accept-encoding", accepted)]

    host = await Bench(compression="gzip").say("hello", more=more).ended()

    assert "grpc-encoding" not in host.said
    assert host.answers == ["hello"]


async def test_an_answer_that_is_too_large_is_refused() -> None:
    host = await refused(Bench(growing(LIMIT), max_send_bytes=LIMIT).say())

    assert host.code == Code.RESOURCE_EXHAUSTED
    assert host.message == "sent message larger than max (1003 vs. 1000)"


async def test_a_stream_ends_where_an_answer_is_too_large() -> None:
    bench = Bench(max_send_bytes=LIMIT)
    host = bench.open("Converse")
    for text in ("a", "x" * LIMIT, "b"):
        host.bring(framed(a_note(text)), more=True)

    await host.ended()

    assert (host.answers, host.trailers_only) == (["a"], False)
    assert host.code == Code.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("name", ["SayOnce", "Collect", "Converse"])
async def test_a_bug_of_ours_is_an_internal_error(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(raising(RuntimeError("a secret of ours")))

    host = await refused(bench.say(name=name))

    assert (host.code, host.message) == (Code.INTERNAL, "internal error")
    assert "a secret of ours" in caplog.text
    assert bench.counted(name) == {"INTERNAL": 1}


@pytest.mark.parametrize("name", ["SayOnce", "Converse"])
@pytest.mark.parametrize("value", ["a\nb", "\x00", "☃"])
@pytest.mark.parametrize("when", ["initial", "trailing"])
async def test_metadata_that_cannot_be_sent_do_not_leave_the_caller_waiting(
    name: str, value: str, when: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def act(request: Any, call: Call) -> Any:
        getattr(call, when).append(("x-bad", value))
        return request

    host = await Bench(act).say("a", name).ended()

    assert (host.code, host.message) == (Code.INTERNAL, "internal error")
    assert "x-bad" not in host.said
    assert "unforeseen error in /inferd.test.Echo/" in caplog.text


def without(name: bytes) -> Headers:
    return [header for header in GRPC if header[0] != name]


def with_type(kind: bytes) -> Headers:
    return [*without(b"content-type"), (b"content-type", kind)]


@pytest.mark.parametrize("name", ["SayOnce", "Shout"])
@pytest.mark.parametrize(
    ("headers", "method", "status"),
    [
        (without(b"content-type"), "POST", 415),
        (with_type(b""), "POST", 415),
        (with_type(b"application/json"), "POST", 415),
        (with_type(b"application/grpcs"), "POST", 415),
        (with_type(b"application/grpc-web"), "POST", 415),
        (with_type(b"application/grpc-web+proto"), "POST", 415),
        (with_type(b"text/\xff"), "POST", 415),
        (GRPC, "GET", 405),
        (GRPC, "OPTIONS", 405),
        ([], "GET", 415),
    ],
)
async def test_what_is_no_call_is_answered_as_http(
    name: str, headers: Headers, method: str, status: int
) -> None:
    host = await Bench().open(name, headers=headers, method=method, complete=True).ended()

    assert host.status == status
    assert host.headers == [(b"content-type", b"text/plain")]
    assert host.body.endswith(b"\n")


@pytest.mark.parametrize("kind", [b"application/grpc+proto", b"application/grpc;charset=utf-8"])
async def test_a_content_type_may_say_more(kind: bytes) -> None:
    host = await Bench().say("hello", headers=with_type(kind)).ended()

    assert host.answers == ["hello"]


@pytest.mark.parametrize("name", ["SayOnce", "Shout"])
@pytest.mark.parametrize("headers", [without(b"te"), [*without(b"te"), (b"te", b"gzip")]])
async def test_trailers_that_will_not_arrive_are_an_error(name: str, headers: Headers) -> None:
    host = await refused(Bench().open(name, headers=headers))

    assert host.code == Code.INTERNAL
    assert host.message.startswith('the header "te: trailers" is missing')


async def test_a_method_that_is_not_there_is_unimplemented() -> None:
    host = await refused(Bench().open("Shout"))

    assert (host.code, host.message) == (Code.UNIMPLEMENTED, "Method not found!")


@pytest.mark.parametrize(
    ("client", "peer"),
    [
        (("192.0.2.1", 5000), "ipv4:192.0.2.1:5000"),
        (("2001:db8::1", 5000), "ipv6:%5B2001:db8::1%5D:5000"),
        (None, ""),
    ],
)
async def test_a_call_knows_where_it_comes_from(client: tuple[str, int] | None, peer: str) -> None:
    bench = Bench()

    await bench.say(client=client).ended()

    assert bench.echo.call is not None
    assert bench.echo.call.peer == peer


async def test_no_more_calls_than_are_allowed() -> None:
    go_on = asyncio.Event()

    async def act(request: Any, call: Call) -> Any:
        await go_on.wait()
        return request

    bench = Bench(act, max_concurrent_calls=2)
    running, arriving = bench.say("a"), bench.open()
    await running.settled()
    third = await refused(bench.say("c"))
    go_on.set()
    arriving.bring(framed(a_note("b")))

    assert third.code == Code.RESOURCE_EXHAUSTED
    assert third.message == "2 calls are under way, as many as are allowed"
    assert (await running.ended()).answers == ["a"]
    assert (await arriving.ended()).answers == ["b"]
    assert (await bench.say("d").ended()).answers == ["d"]


@pytest.mark.parametrize("name", [b"x-large", b"x-large-bin"])
async def test_metadata_that_are_too_large_are_refused(name: bytes) -> None:
    bench = Bench(max_metadata_bytes=2000)

    fits = await bench.say("a", more=[(name, b"YWFh" * 400)]).ended()
    large = await refused(bench.say("a", more=[(name, b"YWFh" * 500)]))
    many = await refused(bench.say("a", more=[(name, b"")] * 50))

    assert fits.answers == ["a"]
    assert large.code == many.code == Code.RESOURCE_EXHAUSTED
    assert large.message.startswith("received metadata larger than max (2")


async def test_calls_that_say_how_critical_they_are_are_counted() -> None:
    bench = Bench()

    for said in (b"SHEDDABLE", b"sheddable", b"CRITICAL_PLUS"):
        await bench.say("x", more=[(b"x-criticality", said)]).ended()
    await bench.say("x").ended()

    came = {each.value: count for each, count in bench.arrivals.take().items() if count}
    assert came == {"SHEDDABLE": 2, "CRITICAL_PLUS": 1}
