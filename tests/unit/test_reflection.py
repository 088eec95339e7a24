"""Reflection answers from the files of the services it was given, wherever those live."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha import reflection_pb2 as pb

from inferd.call import Call
from inferd.oip import grpc_service_pb2
from inferd.services import health
from inferd.services.reflection import V1, V1ALPHA, Reflection

OIP = grpc_service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]


async def ask(**question: Any) -> Any:
    async def requests() -> AsyncIterator[Any]:
        yield pb.ServerReflectionRequest(**question)

    reflection = Reflection([OIP, health.SERVICE])
    (answer,) = [
        each async for each in reflection.server_reflection_info(requests(), Call("", arrived=0.0))
    ]
    return answer


async def files_for(**question: Any) -> list[Any]:
    answer = await ask(**question)
    protos = answer.file_descriptor_response.file_descriptor_proto
    return [FileDescriptorProto.FromString(proto) for proto in protos]


async def test_lists_every_service_and_itself() -> None:
    answer = await ask(list_services="*", host="here")

    assert [service.name for service in answer.list_services_response.service] == [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "inference.GRPCInferenceService",
    ]
    assert (answer.valid_host, answer.original_request.list_services) == ("here", "*")


@pytest.mark.parametrize(
    "symbol",
    [
        "inference.GRPCInferenceService",
        "inference.GRPCInferenceService.ModelInfer",
        "inference.ModelInferRequest",
        "inference.ModelInferRequest.InferInputTensor",
        "inference.ModelInferRequest.model_name",
    ],
)
async def test_a_symbol_leads_to_its_file_and_all_that_the_file_needs(symbol: str) -> None:
    files = await files_for(file_containing_symbol=symbol)

    assert [file.name for file in files] == [
        "inferd/oip/grpc_service.proto",
        "inferd/oip/model_config.proto",
    ]


@pytest.mark.parametrize("symbol", ["inference.DataType", "inference.ModelInput.Format"])
async def test_enumerations_are_found_at_any_depth(symbol: str) -> None:
    (file,) = await files_for(file_containing_symbol=symbol)

    assert file.name == "inferd/oip/model_config.proto"


async def test_a_file_is_found_by_its_name() -> None:
    (file,) = await files_for(file_by_filename="inferd/oip/model_config.proto")

    assert file.package == "inference"


@pytest.mark.parametrize(
    "question",
    [
        {"file_by_filename": "no/such.proto"},
        {"file_containing_symbol": "no.such.Symbol"},
        {"all_extension_numbers_of_type": "no.such.Symbol"},
        {"file_containing_extension": {"containing_type": "a.B", "extension_number": 1}},
    ],
    ids=lambda question: next(iter(question)),
)
async def test_what_is_not_there_is_an_answer(question: dict[str, Any]) -> None:
    answer = await ask(**question)

    assert answer.error_response.error_code == 5
    assert answer.error_response.error_message


async def test_a_question_without_content_is_an_answer_too() -> None:
    answer = await ask(host="here")

    assert answer.error_response.error_code == 3


async def test_nothing_is_extended() -> None:
    answer = await ask(all_extension_numbers_of_type="inference.ModelInferRequest")

    numbers = answer.all_extension_numbers_response
    assert (numbers.base_type_name, list(numbers.extension_number)) == (
        "inference.ModelInferRequest",
        [],
    )


def test_v1_is_v1alpha_under_another_name() -> None:
    question = GetMessageClass(V1.methods[0].input_type)(file_containing_symbol="a.B", host="h")
    same = pb.ServerReflectionRequest(file_containing_symbol="a.B", host="h")

    assert V1.full_name == "grpc.reflection.v1.ServerReflection"
    assert question.SerializeToString() == same.SerializeToString()
    assert {route.path for route in Reflection([]).routes()} == {
        f"/{each.full_name}/ServerReflectionInfo" for each in (V1, V1ALPHA)
    }


async def test_a_client_can_build_the_services_from_the_answers() -> None:
    pool = DescriptorPool()
    for file in reversed(await files_for(file_containing_symbol=OIP.full_name)):
        pool.Add(file)

    assert [method.name for method in pool.FindServiceByName(OIP.full_name).methods] == [
        method.name for method in OIP.methods
    ]


def test_the_health_service_has_list() -> None:
    assert [method.name for method in health.SERVICE.methods] == ["Check", "Watch", "List"]
