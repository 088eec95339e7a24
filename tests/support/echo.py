"""A service of each kind of method, described here and nowhere else, to carry real messages."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from inferd.call import Call

SERVICE_NAME = "inferd.test.Echo"


def _described() -> ServiceDescriptor:
    file = FileDescriptorProto(name="test/echo.proto", package="inferd.test", syntax="proto3")
    note = file.message_type.add(name="Note")
    for number, name in enumerate(("name", "text"), start=1):
        note.field.add(
            name=name,
            number=number,
            type=FieldDescriptorProto.TYPE_STRING,
            label=FieldDescriptorProto.LABEL_OPTIONAL,
        )
    service = file.service.add(name="Echo")
    for name, client, server in (
        ("SayOnce", False, False),
        ("Collect", True, False),
        ("Expand", False, True),
        ("Converse", True, True),
    ):
        service.method.add(
            name=name,
            input_type=".inferd.test.Note",
            output_type=".inferd.test.Note",
            client_streaming=client,
            server_streaming=server,
        )
    pool = DescriptorPool()
    pool.Add(file)
    return pool.FindServiceByName(SERVICE_NAME)


SERVICE = _described()
Note: Any = GetMessageClass(SERVICE.file.message_types_by_name["Note"])


def a_note(text: str = "", *, name: str = "") -> bytes:
    """Return the bytes of a note."""
    encoded: bytes = Note(name=name, text=text).SerializeToString()
    return encoded


def text_of(body: bytes) -> str:
    """Return what a note says."""
    text: str = Note.FromString(body).text
    return text


Act = Callable[[Any, Call], Awaitable[Any]]


class Echo:
    """Says what it is told, until it is told `bye`. Keeps the calls.

    `act`, if there is one, happens at every message.
    """

    def __init__(self, act: Act | None = None) -> None:
        self._act = act
        self.calls: list[Call] = []
        #: Streams that have been cleaned up.
        self.closed = 0

    @property
    def call(self) -> Call | None:
        """The last call."""
        return self.calls[-1] if self.calls else None

    async def say_once(self, request: Any, call: Call) -> Any:
        self.calls.append(call)
        return await self._act(request, call) if self._act else request

    async def collect(self, requests: AsyncIterator[Any], call: Call) -> Any:
        self.calls.append(call)
        texts = []
        async for request in requests:
            answer = await self._act(request, call) if self._act else request
            texts.append(answer.text)
        return Note(text=" ".join(texts))

    async def expand(self, request: Any, call: Call) -> AsyncIterator[Any]:
        self.calls.append(call)
        try:
            for word in request.text.split():
                yield Note(text=word)
                if self._act:
                    await self._act(request, call)
        finally:
            self.closed += 1

    async def converse(self, requests: AsyncIterator[Any], call: Call) -> AsyncIterator[Any]:
        self.calls.append(call)
        async for request in requests:
            if request.text == "bye":
                return
            yield await self._act(request, call) if self._act else request
