"""Questions to a server under test, beside the transport that is tested.

One line of JSON on its standard input is a question, one on its standard output the answer:
nothing that a test does to the transport disturbs it. When the input ends, so does the server.
"""

import asyncio
import json
import os
import selectors
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import IO, Any

#: Far more than any answer takes: what hangs should fail.
ANSWER_S = 30.0
_BYTES = "base16"

Answerer = Callable[..., Awaitable[Any]]


class Failed(AssertionError):
    """The server could not say, or is no more."""


class Control:
    """The test's end: asks one question at a time."""

    def __init__(self, questions: IO[bytes], answers: IO[bytes]) -> None:
        self._questions = questions
        self._answers = answers
        self._read = b""

    def ask(self, question: str, /, **about: Any) -> Any:
        """Ask, and wait for the answer. Raises `Failed`."""
        try:
            self._questions.write(_line([question, about]))
            self._questions.flush()
        except OSError as error:
            raise Failed(f"{question}: nobody listens") from error
        return self.answer()

    def answer(self) -> Any:
        """Wait for what the server says next. Raises `Failed`."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._answers, selectors.EVENT_READ)
            while b"\n" not in self._read:
                if not selector.select(ANSWER_S):
                    raise Failed("no answer")
                chunk = os.read(self._answers.fileno(), 1 << 16)
                if not chunk:
                    raise Failed("the server has ended")
                self._read += chunk
        line, _, self._read = self._read.partition(b"\n")
        answer = json.loads(line, object_hook=_with_bytes)
        if "failed" in answer:
            raise Failed(answer["failed"])
        return answer["is"]

    def close(self) -> None:
        """Ask no more: the server ends."""
        self._questions.close()
        self._answers.close()


async def answering(answerers: Mapping[str, Answerer]) -> None:
    """Answer questions on the standard streams until they end; in the server."""
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        what, about = json.loads(line)
        try:
            async with asyncio.timeout(ANSWER_S / 2):
                answer = {"is": await answerers[what](**about)}
        except Exception as error:
            answer = {"failed": f"{what}: {error!r}"}
        tell(answer)


def tell(answer: Mapping[str, Any]) -> None:
    """Say something to the test; in the server."""
    os.write(1, _line(answer))


def _line(what: object) -> bytes:
    return json.dumps(what, default=_from_bytes).encode() + b"\n"


def _from_bytes(value: bytes) -> dict[str, str]:
    return {_BYTES: value.hex()}


def _with_bytes(value: dict[str, Any]) -> Any:
    return bytes.fromhex(value[_BYTES]) if _BYTES in value else value
