"""System shared memory: tensors that a client on this machine leaves in /dev/shm.

A region is a part of such a file under a name. It is read and written with `pread` and
`pwrite`, not mapped: a client that shrinks a file under a mapping would kill the server with
SIGBUS, here it gets an error. It also makes a tensor the server's own before the model sees
it. A file stays open as long as its region is registered or an inference has yet to write
into it, whichever is longer, and is closed when the last of them lets go.

Clients name files, so this is off unless the configuration trusts them.
"""

import os
import stat
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from inferd.config import SharedMemory
from inferd.errors import InvalidRequest, NotFound, Unimplemented
from inferd.inference.checks import quoted

_MOST = 1024
"""Regions registered at the same time: each holds a file open."""

_FLAGS = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class Region:
    """A registered part of a shared-memory file. Sizes and offsets in bytes."""

    def __init__(self, name: str, key: str, offset: int, byte_size: int, descriptor: int) -> None:
        self.name = name
        self.key = key
        self.offset = offset
        self.byte_size = byte_size
        self.descriptor = descriptor
        weakref.finalize(self, os.close, descriptor)


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a region where one tensor is. Holding it keeps the region's file open."""

    region: Region
    #: From the start of the region.
    offset: int
    byte_size: int
    #: The request's parameters that named it, for messages.
    field: str

    def read(self) -> bytes:
        """Return a copy of what is there now."""
        data = os.pread(self.region.descriptor, self.byte_size, self.region.offset + self.offset)
        if len(data) != self.byte_size:
            raise self._shrunk()
        return data

    def write(self, data: bytes) -> None:
        """Put `data`, of at most `byte_size`, at the start of the window."""
        at = self.region.offset + self.offset
        descriptor = self.region.descriptor
        if os.fstat(descriptor).st_size < at + len(data):
            raise self._shrunk()  # writing would make the file grow
        if os.pwrite(descriptor, data, at) != len(data):
            raise self._shrunk()

    def _shrunk(self) -> InvalidRequest:
        name, key = self.region.name, self.region.key
        text = f"the file '{key}' of shared memory region '{name}' is smaller than when registered"
        return InvalidRequest(text, field=self.field)


class Regions:
    """The registered regions, by name. `directory` is where their files are."""

    def __init__(self, config: SharedMemory, *, directory: Path = Path("/dev/shm")) -> None:
        self._config = config
        self._directory = directory
        self._regions: dict[str, Region] = {}

    def register(self, name: str, key: str, offset: int, byte_size: int) -> None:
        """Give a part of the file `key` a name.

        Raises:
            Unimplemented: shared memory is off.
            InvalidRequest: the name is taken, the key is not one, or the file is too small.
        """
        self._require_enabled()
        self._check(name, byte_size)
        file = _file_name(name, key)
        try:
            descriptor = os.open(self._directory / file, _FLAGS)
        except OSError as error:
            text = f"Unable to open shared memory region: {quoted(key)} ({error.strerror})"
            raise InvalidRequest(text, field="key") from None
        region = Region(name, key, offset, byte_size, descriptor)
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or offset + byte_size > found.st_size:
            raise InvalidRequest(
                f"failed to register shared memory region {quoted(name)}: invalid args: offset "
                f"{offset} and byte_size {byte_size} exceed the {found.st_size} bytes of "
                f"{quoted(key)}",
                field="byte_size",
            )
        self._regions[name] = region

    def unregister(self, name: str) -> None:
        """Forget a region, or with no name all of them. It need not be there."""
        self._require_enabled()
        if name:
            self._regions.pop(name, None)
        else:
            self._regions.clear()

    def status(self, name: str) -> Iterable[Region]:
        """Return the region of this name, or with no name all of them."""
        self._require_enabled()
        if not name:
            return tuple(self._regions.values())
        if name not in self._regions:
            raise NotFound(f"Unable to find system shared memory region: {quoted(name)}")
        return (self._regions[name],)

    def window(self, name: str, offset: int, byte_size: int, field: str) -> Window:
        """Return the part of a region that a tensor's parameters, at `field`, name."""
        self._require_enabled()
        region = self._regions.get(name)
        if region is None:
            raise NotFound(f"Unable to find shared memory region: {quoted(name)}")
        if offset >= region.byte_size:
            text = f"Invalid offset for shared memory region: '{name}'"
        elif offset + byte_size > region.byte_size:
            text = f"Invalid offset + byte size for shared memory region: '{name}'"
        else:
            return Window(region, offset, byte_size, field)
        text = f"{text}: {offset} + {byte_size} exceed its {region.byte_size} bytes"
        raise InvalidRequest(text, field=field)

    def close(self) -> None:
        """Forget all regions."""
        self._regions.clear()

    def _require_enabled(self) -> None:
        if not self._config.system:
            raise Unimplemented(
                "system shared memory is off: set shared_memory.system to true in the server's "
                "configuration"
            )

    def _check(self, name: str, byte_size: int) -> None:
        if not name:
            raise InvalidRequest("a shared memory region needs a name", field="name")
        if name in self._regions:
            text = f"shared memory region {quoted(name)} already in manager"
            raise InvalidRequest(f"{text}: unregister it first", field="name")
        if len(self._regions) >= _MOST:
            raise InvalidRequest(f"more than {_MOST} shared memory regions", field="name")
        most = self._config.max_region_bytes
        if not 0 < byte_size <= most:
            raise InvalidRequest(
                f"failed to register shared memory region {quoted(name)}: invalid args: expected "
                f"byte_size between 1 and {most} (shared_memory.max_region_bytes), got {byte_size}",
                field="byte_size",
            )


def _file_name(name: str, key: str) -> str:
    file = key.removeprefix("/")
    if file in {"", ".", ".."} or "/" in file or "\0" in file or len(file.encode()) > 255:
        raise InvalidRequest(
            f"failed to register shared memory region {quoted(name)}: invalid args: key "
            f"{quoted(key)} is not the name of a shared memory object",
            field="key",
        )
    return file
