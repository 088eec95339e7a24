"""What no gRPC library does to a server, done to a real Envoy frame by frame.

Whatever a test does, afterwards the server answers a good call, has no call under way and has
nothing to say in its log.
"""

import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import hpack
import pytest
from hyperframe import frame as h2

from inferd.services.status import Code
from inferd.transport.envoy import launch
from inferd.transport.envoy.messages import framed
from support.acting import doing
from support.echo import SERVICE_NAME, a_note, text_of
from support.server import eventually
from support.wire import EchoProcess, echo_process

WHY_NOT = launch.missing()
pytestmark = pytest.mark.skipif(bool(WHY_NOT) and "CI" not in os.environ, reason=WHY_NOT)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#: Far more than any answer takes: what hangs should fail.
ANSWER_S = 20.0
KINDS = ["SayOnce", "Collect", "Expand", "Converse"]
CANCEL = 8
MIB = 1 << 20
WAIT = framed(doing("wait", text="a b"))

Headers = list[tuple[str, str]]


@dataclass
class Answer:
    """What came back on one stream."""

    headers: Headers = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    trailers: Headers = field(default_factory=list)
    #: The code of a reset.
    reset: int | None = None

    @property
    def said(self) -> dict[str, str]:
        return dict([*self.headers, *self.trailers])

    @property
    def code(self) -> int:
        return int(self.said["grpc-status"])

    @property
    def answers(self) -> list[str]:
        texts, rest = [], self.body
        while rest:
            end = 5 + int.from_bytes(rest[1:5])
            texts.append(text_of(bytes(rest[5:end])))
            rest = rest[end:]
        return texts


class Connection:
    """A client that sends what it is told to, and knows no rules.

    It keeps to the windows of the other side only in `upload`, and does not open its own.
    """

    def __init__(self, port: int, *, patience_s: float = ANSWER_S, **settings: int) -> None:
        self._patience_s = patience_s
        self._socket = socket.create_connection(("127.0.0.1", port), ANSWER_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._encoder = hpack.Encoder()
        self._decoder = hpack.Decoder()
        self._received = bytearray()
        self._streams = iter(range(1, 2**31, 2))
        self._answers: dict[int, Answer] = {}
        self._windows: dict[int, int] = {0: 65535}
        self._their_window = 65535
        numbers = {getattr(h2.SettingsFrame, name): value for name, value in settings.items()}
        self.write(PREFACE + h2.SettingsFrame(0, settings=numbers).serialize())

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    # Frames out.

    def write(self, wire: bytes) -> None:
        self._socket.sendall(wire)

    def send(self, *frames: h2.Frame) -> None:
        self.write(b"".join(each.serialize() for each in frames))

    def headers(
        self, name: str = "SayOnce", more: Headers | None = None, *, end: bool = False
    ) -> h2.HeadersFrame:
        """Return the frame that opens a call."""
        return self.request(
            [
                (":method", "POST"),
                (":scheme", "http"),
                (":path", f"/{SERVICE_NAME}/{name}"),
                (":authority", "here"),
                ("content-type", "application/grpc"),
                ("te", "trailers"),
                *(more or []),
            ],
            end=end,
        )

    def request(self, headers: Headers, *, end: bool = False) -> h2.HeadersFrame:
        """Return the frame that opens a stream."""
        stream = next(self._streams)
        self._answers[stream] = Answer()
        self._windows[stream] = self._their_window
        flags = ["END_HEADERS", *(["END_STREAM"] if end else [])]
        return h2.HeadersFrame(stream, self._encoder.encode(headers, huffman=False), flags=flags)

    def open(self, *arguments: object, **options: object) -> int:
        """Open a call and return its stream."""
        frame = self.headers(*arguments, **options)  # type: ignore[arg-type]
        self.send(frame)
        return frame.stream_id

    def data(self, stream: int, body: bytes, *, end: bool = False) -> None:
        self.send(h2.DataFrame(stream, body, flags=["END_STREAM"] if end else []))

    def reset(self, stream: int, code: int = CANCEL) -> None:
        self.send(h2.RstStreamFrame(stream, code))

    def widen(self, stream: int, by: int) -> None:
        """Let the server send more."""
        self.send(h2.WindowUpdateFrame(stream, by), h2.WindowUpdateFrame(0, by))

    def upload(self, stream: int, body: bytes, *, for_s: float = ANSWER_S) -> int:
        """Send no more than the server takes; return how many bytes that was."""
        sent, give_up = 0, time.monotonic() + for_s
        while sent < len(body) and time.monotonic() < give_up:
            room = min(16384, len(body) - sent, self._windows[0], self._windows[stream])
            if room <= 0:
                self._read(0.05)
                continue
            self.data(stream, body[sent : sent + room])
            self._windows[0] -= room
            self._windows[stream] -= room
            sent += room
        return sent

    def settle(self) -> None:
        """Wait until the server has seen all that was sent."""
        self.send(h2.PingFrame(0, b"a moment"))
        self._until(lambda frame: isinstance(frame, h2.PingFrame))

    def vanish(self) -> None:
        """Close the connection by a reset."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    # Frames in.

    def answer(self, stream: int) -> Answer:
        """Wait for the end of a stream."""
        answer = self._answers[stream]

        def is_last(frame: h2.Frame) -> bool:
            return frame.stream_id == stream and (
                "END_STREAM" in frame.flags or isinstance(frame, h2.RstStreamFrame)
            )

        if answer.reset is None and not answer.trailers:
            self._until(is_last)
        return answer

    def come(self, stream: int, size: int) -> None:
        """Wait for so much of a stream's body."""
        while len(self._answers[stream].body) < size:
            self._read(ANSWER_S)

    def closed(self) -> bool:
        """Wait for the server to close the connection."""
        with suppress(ConnectionError):
            self._until(lambda _: False)
        return True

    def _until(self, is_it: Callable[[h2.Frame], bool]) -> None:
        give_up = time.monotonic() + self._patience_s
        while time.monotonic() < give_up:
            frame = self._read(self._patience_s)
            if frame is not None and is_it(frame):
                return
        raise TimeoutError

    def _read(self, for_s: float) -> h2.Frame | None:
        """Take note of one frame, if one comes."""
        self._socket.settimeout(for_s)
        try:
            frame, length = h2.Frame.parse_frame_header(memoryview(self._bytes(9)))
            frame.parse_body(memoryview(self._bytes(9 + length)[9:]))
        except TimeoutError:
            return None
        finally:
            self._socket.settimeout(ANSWER_S)
        del self._received[: 9 + length]
        self._note(frame)
        return frame

    def _bytes(self, count: int) -> bytes:
        while len(self._received) < count:
            chunk = self._socket.recv(1 << 16)
            if not chunk:
                raise ConnectionError("closed")
            self._received += chunk
        return bytes(self._received[:count])

    def _note(self, frame: h2.Frame) -> None:
        match frame:
            case h2.SettingsFrame() if "ACK" not in frame.flags:
                window = frame.settings.get(h2.SettingsFrame.INITIAL_WINDOW_SIZE, 65535)
                for stream in self._answers:
                    self._windows[stream] += window - self._their_window
                self._their_window = window
                self.send(h2.SettingsFrame(0, flags=["ACK"]))
            case h2.WindowUpdateFrame():
                self._windows[frame.stream_id] += frame.window_increment
            case h2.HeadersFrame():
                answer = self._answers[frame.stream_id]
                headers = [
                    (str(name), str(value)) for name, value in self._decoder.decode(frame.data)
                ]
                if answer.headers:
                    answer.trailers = headers
                else:
                    answer.headers = headers
            case h2.DataFrame():
                self._answers[frame.stream_id].body += frame.data
            case h2.RstStreamFrame():
                self._answers[frame.stream_id].reset = frame.error_code


@pytest.fixture(scope="module")
def the_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EchoProcess]:
    log = tmp_path_factory.mktemp("wire") / "log"
    # Envoy is not to refuse calls by lot, however busy this makes the server.
    alone = {"shed_above_busy": 1.0}
    with echo_process("envoy", log, max_receive_bytes=2 * MIB, envoy=alone) as server:
        yield server


@pytest.fixture
def server(the_server: EchoProcess) -> Iterator[EchoProcess]:
    """Return a server that is seen to be unharmed afterwards."""
    the_server.control.ask("forget")
    yield the_server
    the_server.control.ask("idle")
    assert said(the_server, "still there") == "still there"
    # What was reset may still be on its way from Envoy.
    eventually(lambda: the_server.control.ask("in flight") == 0)
    assert the_server.news() == ""


@pytest.fixture
def connection(server: EchoProcess) -> Iterator[Connection]:
    with Connection(server.port) as connection:
        yield connection


def said(server: EchoProcess, text: str) -> str:
    """Make a good call on a connection of its own."""
    with Connection(server.port) as connection:
        stream = connection.open()
        connection.data(stream, framed(a_note(text)), end=True)
        (answer,) = connection.answer(stream).answers
    return answer


def until(server: EchoProcess, what: str, count: int = 1) -> None:
    server.control.ask("until", what=what, count=count)


# Cut in odd places.


def test_frames_of_one_byte(connection: Connection) -> None:
    stream = connection.open()
    for byte in framed(a_note("hello")):
        connection.data(stream, bytes([byte]))
    connection.data(stream, b"", end=True)

    assert connection.answer(stream).answers == ["hello"]


@pytest.mark.parametrize("name", KINDS)
def test_packets_of_one_byte(connection: Connection, name: str) -> None:
    body = framed(a_note("hello"))
    head = connection.headers(name)
    data = h2.DataFrame(head.stream_id, body, flags=["END_STREAM"])
    for byte in head.serialize() + data.serialize():
        connection.write(bytes([byte]))

    assert connection.answer(head.stream_id).answers == ["hello"]


def test_many_messages_in_one_frame(connection: Connection) -> None:
    words = [f"word {n}" for n in range(500)]
    stream = connection.open("Converse")
    connection.data(stream, b"".join(framed(a_note(word)) for word in words), end=True)

    assert connection.answer(stream).answers == words


def test_headers_in_pieces_padding_and_trailers(connection: Connection) -> None:
    whole = connection.headers()
    stream = whole.stream_id
    pieces = [whole.data[at : at + 7] for at in range(0, len(whole.data), 7)]
    head = h2.HeadersFrame(stream, pieces[0])
    rest = [h2.ContinuationFrame(stream, piece) for piece in pieces[1:]]
    rest[-1].flags.add("END_HEADERS")
    body = h2.DataFrame(stream, framed(a_note("hello")), pad_length=99, flags=["PADDED"])
    trailers = connection.request([("x-after", "all")], end=True)
    trailers.stream_id = stream
    connection.send(head, *rest, body, h2.PingFrame(0, b"between."), trailers)

    assert connection.answer(stream).answers == ["hello"]


# Half a call, or half of half.


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("in_headers", [True, False])
def test_a_call_without_a_message(connection: Connection, name: str, in_headers: bool) -> None:
    stream = connection.open(name, end=in_headers)
    if not in_headers:
        connection.data(stream, b"", end=True)

    takes_none = name in ("Collect", "Converse")
    assert connection.answer(stream).code == (Code.OK if takes_none else Code.UNIMPLEMENTED)


@pytest.mark.parametrize("name", KINDS)
def test_a_call_that_ends_within_a_message(connection: Connection, name: str) -> None:
    stream = connection.open(name)
    connection.data(stream, framed(a_note("hello"))[:-1], end=True)

    assert connection.answer(stream).code == Code.INVALID_ARGUMENT


@pytest.mark.parametrize("name", KINDS)
def test_a_body_that_never_ends_is_late(connection: Connection, name: str) -> None:
    stream = connection.open(name, [("grpc-timeout", "200m")])
    for byte in framed(a_note("hello"))[:7]:
        connection.data(stream, bytes([byte]))

    assert connection.answer(stream).code == Code.DEADLINE_EXCEEDED


def test_many_bodies_that_never_end(server: EchoProcess) -> None:
    with Connection(server.port) as connection:
        streams = [connection.open(KINDS[n % 4]) for n in range(400)]
        for _ in range(3):
            for stream in streams:
                connection.data(stream, b"\0")
        connection.settle()

        assert said(server, "in between") == "in between"


# More than was asked for.


def test_data_after_the_end(server: EchoProcess, connection: Connection) -> None:
    stream = connection.open()
    connection.data(stream, WAIT, end=True)
    until(server, "begun")
    connection.data(stream, framed(a_note("more")))

    with suppress(ConnectionError):  # a connection on which this happens may be closed
        assert connection.answer(stream).reset is not None
    until(server, "cancelled")


@pytest.mark.parametrize("name", ["SayOnce", "Expand"])
def test_a_second_message(connection: Connection, name: str) -> None:
    stream = connection.open(name)
    connection.data(stream, framed(a_note("a")))
    connection.data(stream, framed(a_note("b")))

    assert connection.answer(stream).code == Code.UNIMPLEMENTED


@pytest.mark.parametrize("name", KINDS)
def test_a_message_that_is_too_large_is_not_waited_for(connection: Connection, name: str) -> None:
    stream = connection.open(name)
    connection.data(stream, framed(bytes(2 * MIB + 1))[:5])

    assert connection.answer(stream).code == Code.RESOURCE_EXHAUSTED


def test_an_upload_that_nobody_wants(connection: Connection) -> None:
    refused = connection.open("Shout")
    connection.upload(refused, bytes(MIB))
    code = connection.answer(refused).code
    good = connection.open()
    connection.data(good, framed(a_note("hello")), end=True)

    assert code == Code.UNIMPLEMENTED
    assert connection.answer(good).answers == ["hello"]


def test_an_upload_is_taken_no_faster_than_it_is_handled(
    server: EchoProcess, connection: Connection
) -> None:
    connection.settle()
    stream = connection.open("Converse")
    connection.data(stream, WAIT)
    until(server, "begun")

    sent = connection.upload(stream, framed(a_note("x" * MIB)) * 64, for_s=1.0)

    # The windows, buffers on both sides, and what is on its way.
    assert sent < 32 * MIB
    connection.reset(stream)
    server.control.ask("go on")


def test_a_caller_who_leaves_when_nobody_takes_what_it_sends(
    server: EchoProcess, connection: Connection
) -> None:
    stream = connection.open("Converse")
    connection.data(stream, WAIT * 9)
    until(server, "begun")
    connection.reset(stream)

    until(server, "cancelled")


@pytest.mark.parametrize(
    ("size", "count"), [(60_000, 1), (200_000, 1), (10, 400), (10, 5000), (8000, 100)]
)
def test_metadata_that_are_too_large(server: EchoProcess, size: int, count: int) -> None:
    with Connection(server.port) as connection:
        whole = connection.headers(more=[(f"x-{n}", "v" * size) for n in range(count)], end=True)
        pieces = [whole.data[at : at + 16384] for at in range(0, len(whole.data), 16384)]
        head = h2.HeadersFrame(whole.stream_id, pieces[0], flags=["END_STREAM"])
        frames = [head, *(h2.ContinuationFrame(whole.stream_id, each) for each in pieces[1:])]
        frames[-1].flags.add("END_HEADERS")

        with suppress(ConnectionError):  # so large that Envoy will not even look
            connection.send(*frames)
            answer = connection.answer(whole.stream_id)
            assert answer.reset is not None or answer.code == Code.RESOURCE_EXHAUSTED


def test_headers_without_an_end(server: EchoProcess) -> None:
    with Connection(server.port) as connection:
        whole = connection.headers()
        with suppress(OSError):
            connection.send(h2.HeadersFrame(whole.stream_id, whole.data))
            for _ in range(5000):
                connection.send(h2.ContinuationFrame(whole.stream_id, b""))

        assert connection.closed()


# Resets.


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("sent", [0, 3, 5, 9, None])
def test_a_reset_before_the_end_of_the_request(
    connection: Connection, name: str, sent: int | None
) -> None:
    stream = connection.open(name)
    connection.data(stream, framed(a_note("hello"))[:sent])
    connection.settle()
    connection.reset(stream)


@pytest.mark.parametrize("name", KINDS)
def test_a_reset_while_the_call_runs(
    server: EchoProcess, connection: Connection, name: str
) -> None:
    stream = connection.open(name)
    connection.data(stream, WAIT, end=True)
    until(server, "begun")
    connection.reset(stream)

    until(server, "cancelled")


def test_a_reset_between_two_answers(connection: Connection) -> None:
    stream = connection.open("Converse")
    connection.data(stream, framed(a_note("hello")))
    connection.come(stream, len(framed(a_note("hello"))))
    connection.reset(stream)


def test_a_reset_after_the_answer(connection: Connection) -> None:
    stream = connection.open()
    connection.data(stream, framed(a_note("hello")), end=True)
    answer = connection.answer(stream)
    connection.reset(stream)

    assert answer.answers == ["hello"]


@pytest.mark.parametrize("code", range(14))
def test_a_reset_for_any_reason(server: EchoProcess, connection: Connection, code: int) -> None:
    stream = connection.open()
    connection.data(stream, WAIT, end=True)
    until(server, "begun")
    connection.reset(stream, code)

    until(server, "cancelled")


@pytest.mark.parametrize(("connections", "calls"), [(1, 10_000), (100, 100)])
def test_ten_thousand_calls_opened_and_reset_at_once(
    server: EchoProcess, connections: int, calls: int
) -> None:
    for _ in range(connections):
        with Connection(server.port) as connection:
            wire = b""
            for n in range(calls):
                head = connection.headers(KINDS[n % 4])
                reset = h2.RstStreamFrame(head.stream_id, CANCEL)
                wire += head.serialize() + reset.serialize()
            connection.write(wire)

            if connections == 1:
                assert said(server, "in between") == "in between"


def test_thousands_of_calls_under_way_reset_at_once(server: EchoProcess) -> None:
    connections = [Connection(server.port) for _ in range(4)]
    for connection in connections:
        for n in range(500):
            stream = connection.open(KINDS[n % 4])
            connection.data(stream, WAIT, end=True)
    until(server, "begun", 2000)
    for connection in connections:
        connection.vanish()

    until(server, "cancelled", 2000)


# Windows.

GROW = framed(doing("grow", size=MIB))


def test_a_caller_who_reads_when_it_likes(server: EchoProcess) -> None:
    with Connection(server.port, INITIAL_WINDOW_SIZE=0) as connection:
        stream = connection.open("Converse")
        connection.data(stream, GROW + GROW, end=True)
        until(server, "taken", 2)
        while not connection._answers[stream].trailers:
            connection.widen(stream, 100_000)
            connection.settle()

        assert [len(text) for text in connection.answer(stream).answers] == [MIB, MIB]


@pytest.mark.parametrize("leave", [Connection.vanish, lambda connection: connection.reset(1)])
@pytest.mark.parametrize("name", ["SayOnce", "Converse"])
def test_a_caller_who_never_reads(
    server: EchoProcess, name: str, leave: Callable[[Connection], None]
) -> None:
    with Connection(server.port, INITIAL_WINDOW_SIZE=0) as connection:
        stream = connection.open(name)
        connection.data(stream, GROW * (1 if name == "SayOnce" else 40), end=True)
        until(server, "taken")

        assert said(server, "in between") == "in between"
        leave(connection)


def test_a_stream_goes_no_further_than_its_caller_reads(server: EchoProcess) -> None:
    with Connection(server.port, INITIAL_WINDOW_SIZE=0) as connection:
        stream = connection.open("Converse")
        connection.data(stream, GROW * 200, end=True)
        until(server, "taken")
        before = -1
        while (taken := server.control.ask("tally", what="taken")) != before:
            before = taken
            time.sleep(0.3)

        assert taken < 100
        connection.reset(stream)


def test_a_deadline_passes_for_who_never_reads(server: EchoProcess) -> None:
    with Connection(server.port, INITIAL_WINDOW_SIZE=0) as connection:
        stream = connection.open("Converse", [("grpc-timeout", "1S")])
        connection.data(stream, GROW * 200, end=True)
        until(server, "taken")
        server.control.ask("idle")
        connection.widen(stream, 2**31 - 1 - 65535)

        assert connection.answer(stream).code == Code.DEADLINE_EXCEEDED


# The connection.


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("end", [Connection.vanish, Connection.__exit__])
def test_a_connection_that_ends_while_a_call_runs(
    server: EchoProcess, name: str, end: Callable[[Connection], None]
) -> None:
    connection = Connection(server.port)
    stream = connection.open(name)
    connection.data(stream, WAIT, end=True)
    until(server, "begun")
    end(connection)

    until(server, "cancelled")


@pytest.mark.parametrize("cut", [10, 24, 33, 40, 100])
def test_a_connection_that_ends_within_a_frame(server: EchoProcess, cut: int) -> None:
    with Connection(server.port) as proper:
        head = proper.headers()
        data = h2.DataFrame(head.stream_id, framed(a_note("hello")))
    wire = PREFACE + h2.SettingsFrame(0).serialize() + head.serialize() + data.serialize()
    with socket.create_connection(("127.0.0.1", server.port)) as half:
        half.sendall(wire[:cut])


NOT_HTTP2 = [
    b"GET / HTTP/1.1\r\nhost: here\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),  # TLS
    PREFACE + b"\xff" * 100,
    # A stream that is not a client's to open, and headers that are not HPACK.
    PREFACE + h2.SettingsFrame(0).serialize() + h2.HeadersFrame(2, b"\x82").serialize(),
    PREFACE
    + h2.SettingsFrame(0).serialize()
    + h2.HeadersFrame(1, b"\xff" * 50, flags=["END_HEADERS"]).serialize(),
]


def test_what_is_not_http2_is_hung_up_on(server: EchoProcess) -> None:
    strangers: list[socket.socket] = []
    with ExitStack() as stack:
        for wire in NOT_HTTP2:
            address = ("127.0.0.1", server.port)
            stranger = stack.enter_context(socket.create_connection(address, ANSWER_S))
            stranger.sendall(wire)
            strangers.append(stranger)
        for stranger in strangers:
            with suppress(ConnectionError):
                while stranger.recv(1 << 16):
                    pass


# What a request may claim.


def test_when_a_request_came_is_not_for_its_caller_to_say(connection: Connection) -> None:
    long_ago = f"{(time.time() - 30) * 1e6:.0f}"
    claims: Headers = [("x-inferd-arrived", long_ago), ("x-inferd-arrived", "never")]
    stream = connection.open("SayOnce", [("grpc-timeout", "10S"), *claims])
    connection.data(stream, framed(a_note("hello")), end=True)

    assert connection.answer(stream).answers == ["hello"]


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"content-type": "application/json"}, "415"),
        ({"content-type": ""}, "415"),
        ({":method": "GET"}, "405"),
        ({"te": "gzip"}, None),
    ],
)
@pytest.mark.parametrize("path", ["SayOnce", "Shout"])
def test_what_is_no_call(
    connection: Connection, changed: dict[str, str], status: str | None, path: str
) -> None:
    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": f"/{SERVICE_NAME}/{path}",
        ":authority": "here",
        "content-type": "application/grpc",
        "te": "trailers",
    }
    head = connection.request([*(headers | changed).items()], end=True)
    connection.send(head)

    answer = connection.answer(head.stream_id)
    if status is None:
        assert answer.reset is not None or answer.code == Code.INTERNAL
    else:
        assert answer.said[":status"] == status


NOWHERE = ["/", "*", "//", "/a?b=\xff", "/a#b", f"/{SERVICE_NAME}/%53hout", "/" + "a" * 8000]


@pytest.mark.parametrize("path", NOWHERE)
def test_a_path_to_nowhere(connection: Connection, path: str) -> None:
    answer = asked_for(connection, path)

    # What is no path is refused by Envoy already.
    assert answer.reset is not None or answer.code in (Code.UNIMPLEMENTED, Code.INTERNAL)


def test_a_path_that_is_no_text(tmp_path: Path) -> None:
    with (
        echo_process("envoy", tmp_path / "log") as server,
        Connection(server.port, patience_s=1.0) as connection,
    ):
        answer = asked_for(connection, "/%ff")

        assert answer.reset is not None or answer.code != Code.OK


def asked_for(connection: Connection, path: str) -> Answer:
    head = connection.request(
        [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "here"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
        ],
        end=True,
    )
    connection.send(head)
    return connection.answer(head.stream_id)
