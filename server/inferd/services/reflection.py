"""What this server can be asked, for tools that bring no protos: `grpc.reflection`, v1 and v1alpha.

Every service's files are read once, at the start, from whatever descriptor pool they live
in. The two versions of the protocol differ in their package's name and nothing else, so v1
is derived from v1alpha, and one implementation answers both with the same messages.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Any

from google.protobuf import text_format
from google.protobuf.descriptor import Descriptor, FileDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha import reflection_pb2 as pb

from inferd.call import Call
from inferd.services.routes import Route, bind
from inferd.services.status import Code


def _renamed(file: FileDescriptor) -> ServiceDescriptor:
    proto = FileDescriptorProto()
    file.CopyToProto(proto)
    renamed = text_format.Parse(
        text_format.MessageToString(proto).replace("v1alpha", "v1"), FileDescriptorProto()
    )
    pool = DescriptorPool()
    pool.Add(renamed)
    return pool.FindServiceByName("grpc.reflection.v1.ServerReflection")


V1ALPHA: ServiceDescriptor = pb.DESCRIPTOR.services_by_name["ServerReflection"]
V1 = _renamed(pb.DESCRIPTOR)


class Reflection:
    """Answers both versions of `ServerReflection`, for `services` and for itself."""

    def __init__(self, services: Iterable[ServiceDescriptor]) -> None:
        described = (*services, V1, V1ALPHA)
        self._names = sorted(service.full_name for service in described)
        self._files: dict[str, FileDescriptor] = {}
        # Clients look up what is in `grpc-status-details-bin`, too, to show it to people.
        for file in (*(service.file for service in described), error_details_pb2.DESCRIPTOR):
            self._files |= _with_dependencies(file)
        self._symbols = {symbol: file for file in self._files.values() for symbol in _symbols(file)}

    def routes(self) -> list[Route]:
        """Return the routes of both versions."""
        return [route for each in (V1, V1ALPHA) for route in bind(each, self, unconditional=None)]

    async def server_reflection_info(
        self, requests: AsyncIterator[Any], _: Call
    ) -> AsyncIterator[pb.ServerReflectionResponse]:
        """Answer one question after another; an error is an answer, not the end."""
        async for request in requests:
            response = self._answer(request)
            response.valid_host = request.host
            response.original_request.MergeFromString(request.SerializeToString())
            yield response

    def _answer(self, request: Any) -> pb.ServerReflectionResponse:
        match request.WhichOneof("message_request"):
            case "list_services":
                names = [pb.ServiceResponse(name=name) for name in self._names]
                return pb.ServerReflectionResponse(
                    list_services_response=pb.ListServiceResponse(service=names)
                )
            case "file_by_filename":
                return _file(self._files.get(request.file_by_filename), request.file_by_filename)
            case "file_containing_symbol":
                symbol = request.file_containing_symbol
                return _file(self._symbols.get(symbol), symbol)
            case "file_containing_extension":
                return _error(Code.NOT_FOUND, "nothing here is extended")
            case "all_extension_numbers_of_type":
                return self._extensions(request.all_extension_numbers_of_type)
            case _:
                return _error(Code.INVALID_ARGUMENT, "the request asks for nothing")

    def _extensions(self, type_name: str) -> pb.ServerReflectionResponse:
        if type_name not in self._symbols:
            return _error(Code.NOT_FOUND, f"{type_name!r} is not known here")
        return pb.ServerReflectionResponse(
            all_extension_numbers_response=pb.ExtensionNumberResponse(base_type_name=type_name)
        )


def _file(file: FileDescriptor | None, asked_for: str) -> pb.ServerReflectionResponse:
    if file is None:
        return _error(Code.NOT_FOUND, f"{asked_for!r} is not known here")
    protos = [each.serialized_pb for each in _with_dependencies(file).values()]
    return pb.ServerReflectionResponse(
        file_descriptor_response=pb.FileDescriptorResponse(file_descriptor_proto=protos)
    )


def _error(code: Code, message: str) -> pb.ServerReflectionResponse:
    return pb.ServerReflectionResponse(
        error_response=pb.ErrorResponse(error_code=code, error_message=message)
    )


def _with_dependencies(file: FileDescriptor) -> dict[str, FileDescriptor]:
    """Return `file` and all that it needs by name, itself first."""
    files = {file.name: file}
    for dependency in file.dependencies:
        files |= _with_dependencies(dependency)
    return files


def _symbols(file: FileDescriptor) -> Iterator[str]:
    for service in file.services_by_name.values():
        yield service.full_name
        yield from (method.full_name for method in service.methods)
    yield from (enum.full_name for enum in file.enum_types_by_name.values())
    yield from (extension.full_name for extension in file.extensions_by_name.values())
    yield from _messages(tuple(file.message_types_by_name.values()))


def _messages(messages: Sequence[Descriptor]) -> Iterator[str]:
    for message in messages:
        yield message.full_name
        yield from (field.full_name for field in message.fields)
        yield from (enum.full_name for enum in message.enum_types)
        yield from _messages(message.nested_types)
