"""`ModelInfer`: a request becomes arrays, arrays become a response, and failures are counted."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from inferd.call import Call
from inferd.config import Config, Inference, SharedMemory
from inferd.errors import InferdError, InvalidRequest, NotFound, Shed, Unimplemented
from inferd.oip import grpc_service_pb2 as pb
from inferd.services.open_inference import OpenInference
from inferd.services.open_inference.shared_memory import Regions
from inferd.telemetry.statistics import Duration
from support.fake_models import FakeModels, FakeVersion, tensor

NOW = 100.0


def serving(*versions: FakeVersion, regions: Regions | None = None, **config: Any) -> OpenInference:
    models: Any = FakeModels(*versions)
    return OpenInference(models, Config(**config), clock=lambda: NOW, regions=regions)


def a_call() -> Call:
    return Call("/inference.GRPCInferenceService/ModelInfer", arrived=NOW - 0.5)


async def infer(
    service: OpenInference, request: pb.ModelInferRequest, call: Call
) -> pb.ModelInferResponse:
    return pb.ModelInferResponse.FromString(await service.model_infer(request, call))


def a_request(model: str = "m", **fields: Any) -> pb.ModelInferRequest:
    return pb.ModelInferRequest(model_name=model, **fields)


def add_raw(
    request: pb.ModelInferRequest, name: str, datatype: str, shape: list[int], data: bytes
) -> pb.ModelInferRequest:
    request.inputs.add(name=name, datatype=datatype, shape=shape)
    request.raw_input_contents.append(data)
    return request


def two_floats(rows: int = 1, **fields: Any) -> pb.ModelInferRequest:
    """Return what the fake version takes by default."""
    data = np.arange(rows * 2, dtype="<f4").tobytes()
    return add_raw(a_request(**fields), "x", "FP32", [rows, 2], data)


def typed_floats(*values: float, **fields: Any) -> pb.ModelInferRequest:
    request = a_request(**fields)
    contents = pb.InferTensorContents(fp32_contents=values)
    request.inputs.add(name="x", datatype="FP32", shape=[1, 2], contents=contents)
    return request


def failures(version: FakeVersion) -> dict[str, int]:
    return {reason: count for reason, count in version.statistics.failures.items() if count}


async def refusal_of(version: FakeVersion, request: pb.ModelInferRequest, **config: Any) -> Any:
    """Return the error, having seen that it was counted and nothing was run."""
    with pytest.raises(InferdError) as refused:
        await infer(serving(version, **config), request, a_call())
    assert version.asked == []
    assert failures(version) == {"OTHER": 1}
    assert version.statistics.fail == Duration(1, 500_000_000)
    return refused.value


async def violation_of(
    version: FakeVersion, request: pb.ModelInferRequest, **config: Any
) -> tuple[str, str]:
    error = await refusal_of(version, request, **config)
    assert isinstance(error, InvalidRequest)
    [violation] = error.violations
    return violation.field, violation.description


async def test_a_raw_request_has_a_raw_answer() -> None:
    version = FakeVersion(version="3")
    version.run = lambda inputs: {"y": inputs["x"].sum(axis=1, keepdims=True)}

    response = await infer(serving(version), two_floats(2, id="abc"), a_call())

    assert response == pb.ModelInferResponse(
        model_name="m",
        model_version="3",
        id="abc",
        outputs=[pb.ModelInferResponse.InferOutputTensor(name="y", datatype="FP32", shape=[2, 1])],
        raw_output_contents=[np.array([1, 5], "<f4").tobytes()],
    )
    [asked] = version.asked
    assert asked.inputs["x"].tolist() == [[0, 1], [2, 3]]
    assert (asked.rows, asked.outputs) == (2, ("y",))
    assert (asked.priority, asked.timeout_s) == (0, None)


async def test_answers_of_different_sizes_do_not_mix() -> None:
    version = FakeVersion()
    service = serving(version)

    for rows in (1, 3, 1, 2):
        response = await infer(service, two_floats(rows), a_call())
        assert list(response.outputs[0].shape) == [rows, 1]
        assert [len(raw) for raw in response.raw_output_contents] == [4 * rows]
        assert response.id == ""


async def test_the_version_asked_for_answers() -> None:
    old, new = FakeVersion(version="1"), FakeVersion(version="2")
    old.labels = ("stable",)
    service = serving(old, new)

    async def answered_by(version: str) -> str:
        return (await infer(service, two_floats(model_version=version), a_call())).model_version

    assert [await answered_by(each) for each in ("", "1", "2", "stable")] == ["2", "1", "2", "1"]


async def test_a_model_that_is_not_there_is_told_by_the_models() -> None:
    with pytest.raises(NotFound, match="Request for unknown model: 'q' is not found"):
        await infer(serving(FakeVersion()), a_request("q"), a_call())


async def test_outputs_come_in_the_order_asked_for() -> None:
    names = ("y", "z", "w")
    version = FakeVersion(outputs=[tensor(name, "FP32", -1, 1) for name in names])
    service = serving(version)

    async def outputs(*asked: str) -> list[str]:
        request = two_floats()
        for name in asked:
            request.outputs.add(name=name)
        return [each.name for each in (await infer(service, request, a_call())).outputs]

    assert await outputs() == ["y", "z", "w"]
    assert await outputs("w", "y") == ["w", "y"]
    assert await outputs("z") == ["z"]
    assert [asked.outputs for asked in version.asked] == [names, ("w", "y"), ("z",)]


async def test_an_unknown_output_is_refused_before_anything_is_run() -> None:
    request = two_floats()
    request.outputs.add(name="q")

    assert await violation_of(FakeVersion(), request) == (
        "outputs[0].name",
        "unexpected inference output 'q' for model 'm'",
    )


async def test_an_output_can_be_asked_for_once() -> None:
    request = two_floats()
    request.outputs.add(name="y")
    request.outputs.add(name="y").parameters["classification"].int64_param = 1

    field, text = await violation_of(FakeVersion(), request)

    assert field == "outputs[1].name"
    assert text == "more than one request for output 'y' for model 'm'"
    del request.outputs[1].parameters["classification"]
    assert (await violation_of(FakeVersion(), request))[0] == "outputs[1].name"


async def test_several_inputs_of_all_kinds() -> None:
    version = FakeVersion(
        inputs=[
            tensor("flag", "BOOL", -1),
            tensor("text", "BYTES", -1, 2),
            tensor("half", "FP16", -1, 1),
            tensor("brain", "BF16", -1, 1),
        ]
    )
    request = a_request()
    add_raw(request, "text", "BYTES", [1, 2], b"\x01\0\0\0a\0\0\0\0")
    add_raw(request, "brain", "BF16", [1, 1], b"\x80\x3f")
    add_raw(request, "flag", "BOOL", [1], b"\x01")
    add_raw(request, "half", "FP16", [1, 1], b"\0\x3c")

    await infer(serving(version), request, a_call())

    inputs = version.asked[0].inputs
    assert {name: array.tolist() for name, array in inputs.items()} == {
        "text": [[b"a", b""]],
        "brain": [[0x3F80]],
        "flag": [True],
        "half": [[1.0]],
    }
    assert inputs["brain"].dtype == np.uint16


async def test_a_wrong_declaration_is_refused_before_its_bytes_are_looked_at() -> None:
    request = add_raw(a_request(), "x", "FP32", [1, 3], b"not even a multiple of four")

    field, text = await violation_of(FakeVersion(), request)

    assert field == "inputs[0].shape"
    assert text.startswith(
        "unexpected shape for input 'x' for model 'm'. Expected [-1,2], got [1,3]"
    )


async def test_the_wrong_number_of_bytes_is_refused() -> None:
    request = add_raw(a_request(), "x", "FP32", [1, 2], bytes(40))

    assert await violation_of(FakeVersion(), request) == (
        "raw_input_contents[0]",
        "input byte size mismatch for input 'x' for model 'm'. Expected 8, got 40",
    )


async def test_too_many_elements_are_refused() -> None:
    limited = {"inference": Inference(max_elements=3)}

    field, text = await violation_of(FakeVersion(), two_floats(2), **limited)

    assert field == "inputs[0].shape"
    assert "4 elements, the limit (inference.max_elements) is 3" in text


async def test_raw_and_typed_do_not_mix() -> None:
    request = typed_floats(1, 2)
    request.raw_input_contents.append(bytes(8))

    assert await violation_of(FakeVersion(), request) == (
        "raw_input_contents[0]",
        "contents field must not be specified when using raw_input_contents for 'x' for model 'm'",
    )


async def test_every_input_needs_its_data() -> None:
    request = a_request()
    request.inputs.add(name="x", datatype="FP32", shape=[1, 2])
    text = "unable to find data for input tensor 'x' for model 'm' in request."
    assert await violation_of(FakeVersion(), request) == ("inputs[0]", text)

    pair = FakeVersion(inputs=[tensor("x", "FP32", -1, 2), tensor("w", "FP32", -1, 2)])
    request = two_floats()
    request.inputs.add(name="w", datatype="FP32", shape=[1, 2])
    text = "unable to find data for input tensor 'w' for model 'm' in request."
    assert await violation_of(pair, request) == ("raw_input_contents[1]", text)


async def test_data_without_an_input_is_refused() -> None:
    request = two_floats()
    request.raw_input_contents.append(b"")

    field, text = await violation_of(FakeVersion(), request)

    assert field == "raw_input_contents"
    assert text.startswith("expected 1 raw_input_contents for model 'm'")
    assert text.endswith("got 2")


async def test_a_typed_request_has_a_typed_answer() -> None:
    outputs = [tensor("y", "FP32", -1, 1), tensor("s", "BYTES", -1, 1)]
    version = FakeVersion(outputs=outputs)
    version.run = lambda _: {
        "y": np.array([[0.5]], "<f4"),
        "s": np.array([[b"yes"]], np.object_),
    }

    response = await infer(serving(version), typed_floats(1, 2), a_call())

    assert version.asked[0].inputs["x"].tolist() == [[1, 2]]
    assert [each.contents for each in response.outputs] == [
        pb.InferTensorContents(fp32_contents=[0.5]),
        pb.InferTensorContents(bytes_contents=[b"yes"]),
    ]
    assert [list(each.shape) for each in response.outputs] == [[1, 1], [1, 1]]
    assert not response.raw_output_contents


async def test_one_output_that_cannot_be_typed_makes_all_raw() -> None:
    outputs = [tensor("y", "FP32", -1, 1), tensor("h", "FP16", -1, 1)]

    response = await infer(serving(FakeVersion(outputs=outputs)), typed_floats(1, 2), a_call())

    assert [len(raw) for raw in response.raw_output_contents] == [4, 2]
    assert not any(each.HasField("contents") for each in response.outputs)


@pytest.mark.parametrize("typed_request", [True, False])
@pytest.mark.parametrize(
    ("for_all", "for_it", "raw"),
    [(True, None, True), (False, None, False), (False, True, True), (True, False, False)],
)
async def test_the_caller_may_choose_how_outputs_travel(
    typed_request: bool, for_all: bool, for_it: bool | None, raw: bool
) -> None:
    request = typed_floats(1, 2) if typed_request else two_floats()
    request.parameters["binary_data_output"].bool_param = for_all
    output = request.outputs.add(name="y")
    if for_it is not None:
        output.parameters["binary_data"].bool_param = for_it

    response = await infer(serving(FakeVersion()), request, a_call())

    assert bool(response.raw_output_contents) is raw
    assert response.outputs[0].HasField("contents") is not raw


async def test_classes_instead_of_numbers() -> None:
    labelled = tensor("y", "FP32", -1, 3, labels=("cat", "dog", "fox"))
    version = FakeVersion(outputs=[labelled])
    version.run = lambda _: {"y": np.array([[0.1, 0.7, 0.2]], "<f4")}
    request = two_floats()
    request.outputs.add(name="y").parameters["classification"].int64_param = 2

    response = await infer(serving(version), request, a_call())

    [output] = response.outputs
    assert (output.name, output.datatype, list(output.shape)) == ("y", "BYTES", [1, 2])
    assert response.raw_output_contents[0] == (
        b"\x0e\0\0\x000.700000:1:dog\x0e\0\0\x000.200000:2:fox"
    )


@pytest.mark.parametrize("count", [0, -1])
async def test_at_least_one_class(count: int) -> None:
    request = two_floats()
    request.outputs.add(name="y").parameters["classification"].int64_param = count

    field, text = await violation_of(FakeVersion(), request)

    assert field == "outputs[0].parameters[classification]"
    assert text.startswith("invalid value for 'classification' parameter")


async def test_strings_cannot_be_classified() -> None:
    request = two_floats()
    request.outputs.add(name="s").parameters["classification"].int64_param = 1

    field, text = await violation_of(FakeVersion(outputs=[tensor("s", "BYTES", -1, 1)]), request)

    assert field == "outputs[0].parameters[classification]"
    assert text.startswith("class result not available for output 's' of model 'm'")


async def test_timeout_and_priority_are_handed_on() -> None:
    version = FakeVersion()
    request = two_floats()
    request.parameters["timeout"].int64_param = 2500
    request.parameters["priority"].uint64_param = 2

    await infer(serving(version), request, a_call())

    assert version.asked[0].timeout_s == pytest.approx(0.0025)
    assert version.asked[0].priority == 2


async def test_reserved_parameters_that_ask_for_nothing_and_unknown_ones_are_fine() -> None:
    version = FakeVersion()
    request = two_floats()
    request.parameters["timeout"].int64_param = 0
    request.parameters["priority"].int64_param = 0
    request.parameters["sequence_id"].int64_param = 0
    request.parameters["sequence_start"].bool_param = False
    request.parameters["triton_enable_empty_final_response"].bool_param = True
    request.parameters["my_own"].double_param = 0.5
    request.inputs[0].parameters["my_own"].string_param = "x"

    response = await infer(serving(version), request, a_call())

    assert version.asked[0].timeout_s is None
    assert not response.parameters


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("timeout", {"int64_param": -1}, "invalid value for 'timeout'"),
        ("timeout", {"string_param": "1"}, "invalid value type for 'timeout' parameter, expected"),
        ("priority", {"int64_param": -1}, "invalid value for 'priority', expected value >= 0."),
        ("priority", {"bool_param": True}, "invalid value type for 'priority' parameter, expected"),
        (
            "sequence_id",
            {"bool_param": True},
            "invalid value type for 'sequence_id' parameter, expected int64_param or string_param.",
        ),
        (
            "sequence_end",
            {},
            "invalid value type for 'sequence_end' parameter, expected bool_param.",
        ),
        ("binary_data_output", {"int64_param": 1}, "invalid value type for 'binary_data_output'"),
    ],
)
async def test_reserved_parameters_have_their_types(
    name: str, value: dict[str, Any], text: str
) -> None:
    request = two_floats()
    request.parameters[name].CopyFrom(pb.InferParameter(**value))

    field, description = await violation_of(FakeVersion(), request)

    assert field == f"parameters[{name}]"
    assert description.startswith(text)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sequence_id", {"int64_param": 7}),
        ("sequence_id", {"string_param": "s"}),
        ("sequence_start", {"bool_param": True}),
        ("sequence_end", {"bool_param": True}),
    ],
)
async def test_sequences_are_refused_by_name(name: str, value: dict[str, Any]) -> None:
    request = two_floats()
    request.parameters[name].CopyFrom(pb.InferParameter(**value))

    error = await refusal_of(FakeVersion(), request)

    assert isinstance(error, Unimplemented)
    assert f"'{name}'" in str(error)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
async def test_nan_is_data_unless_the_model_refuses_it(bad: float) -> None:
    request = add_raw(a_request(), "x", "FP32", [1, 2], np.array([0, bad], "<f4").tobytes())
    tolerant = FakeVersion()
    await infer(serving(tolerant), request, a_call())
    assert len(tolerant.asked) == 1

    field, text = await violation_of(FakeVersion(parameters={"refuse_nan": "true"}), request)

    assert field == "raw_input_contents[0]"
    assert text == f"element [0,1] of input 'x' for model 'm' is {bad}, expected a finite number"


async def test_what_the_model_counts_itself_is_not_counted_twice() -> None:
    version = FakeVersion()

    def shed(_: object) -> Any:
        raise Shed("too much to do")

    version.run = shed

    with pytest.raises(Shed):
        await infer(serving(version), two_floats(), a_call())

    assert failures(version) == {}


async def test_a_request_that_the_model_finds_invalid_is_counted() -> None:
    version = FakeVersion()

    def refuse(_: object) -> Any:
        raise InvalidRequest("not valid UTF-8", field="inputs[0]")

    version.run = refuse

    with pytest.raises(InvalidRequest):
        await infer(serving(version), two_floats(), a_call())

    assert failures(version) == {"OTHER": 1}


async def test_a_version_that_was_replaced_is_forgotten() -> None:
    models = FakeModels(FakeVersion())
    service = OpenInference(cast("Any", models), Config(), clock=lambda: NOW)
    await infer(service, two_floats(), a_call())

    models.versions = [FakeVersion(inputs=[tensor("x", "INT32", -1, 2)])]
    for listener in models.listeners:
        listener()

    with pytest.raises(InvalidRequest, match="expects 'INT32'"):
        await infer(service, two_floats(), a_call())
    service.close()
    assert models.listeners == []


class TestSharedMemory:
    """Tensors that are left in shared memory instead of the request."""

    @pytest.fixture
    def regions(self, tmp_path: Path) -> Regions:
        (tmp_path / "in").write_bytes(np.array([9, 1, 2], "<f4").tobytes())
        (tmp_path / "out").write_bytes(bytes(16))
        regions = Regions(SharedMemory(system=True), directory=tmp_path)
        regions.register("in", "/in", 0, 12)
        regions.register("out", "/out", 4, 12)
        return regions

    def in_region(self, parameters: Any, region: str, byte_size: int, offset: int) -> None:
        parameters["shared_memory_region"].string_param = region
        parameters["shared_memory_byte_size"].int64_param = byte_size
        parameters["shared_memory_offset"].int64_param = offset

    def a_request(self, byte_size: int = 8, offset: int = 4) -> pb.ModelInferRequest:
        request = a_request()
        shared = request.inputs.add(name="x", datatype="FP32", shape=[1, 2])
        self.in_region(shared.parameters, "in", byte_size, offset)
        return request

    async def test_an_input_is_read_from_there(self, regions: Regions) -> None:
        version = FakeVersion()

        response = await infer(serving(version, regions=regions), self.a_request(), a_call())

        assert version.asked[0].inputs["x"].tolist() == [[1, 2]]
        assert response.raw_output_contents == [bytes(4)]

    async def test_it_takes_no_raw_entry(self, regions: Regions) -> None:
        version = FakeVersion(inputs=[tensor("x", "FP32", -1, 2), tensor("w", "UINT8", -1, 1)])
        request = add_raw(self.a_request(), "w", "UINT8", [1, 1], b"\x07")

        await infer(serving(version, regions=regions), request, a_call())

        assert version.asked[0].inputs["w"].tolist() == [[7]]

    async def test_it_takes_no_contents(self, regions: Regions) -> None:
        request = self.a_request()
        request.inputs[0].contents.fp32_contents.append(1)

        with pytest.raises(InvalidRequest, match="unexpected 'content' provided when using"):
            await infer(serving(FakeVersion(), regions=regions), request, a_call())

    @pytest.mark.parametrize(
        ("byte_size", "offset", "text"),
        [
            (4, 0, "input byte size mismatch for input 'x' for model 'm'. Expected 8, got 4"),
            (8, 12, "Invalid offset for shared memory region: 'in'"),
            (8, 8, "Invalid offset + byte size for shared memory region: 'in'"),
            (8, -4, "invalid value for 'shared_memory_offset' parameter for tensor 'x'"),
            (-8, 0, "invalid value for 'shared_memory_byte_size' parameter for tensor 'x'"),
            (2**63 - 1, 2**63 - 1, "Invalid offset for shared memory region: 'in'"),
        ],
    )
    async def test_it_lies_within_its_region(
        self, regions: Regions, byte_size: int, offset: int, text: str
    ) -> None:
        with pytest.raises(InvalidRequest) as refused:
            await infer(
                serving(FakeVersion(), regions=regions), self.a_request(byte_size, offset), a_call()
            )

        assert str(refused.value).startswith(text)
        assert refused.value.violations[0].field.startswith("inputs[0]")

    async def test_an_unknown_region_is_not_found(self, regions: Regions) -> None:
        regions.unregister("in")
        version = FakeVersion()

        with pytest.raises(NotFound, match="Unable to find shared memory region: 'in'"):
            await infer(serving(version, regions=regions), self.a_request(), a_call())

        assert failures(version) == {"OTHER": 1}

    async def test_an_output_is_left_there(self, regions: Regions, tmp_path: Path) -> None:
        version = FakeVersion(outputs=[tensor("y", "FP32", -1, 1), tensor("z", "FP32", -1, 1)])
        version.run = lambda _: {"y": np.array([[5]], "<f4"), "z": np.array([[6]], "<f4")}
        request = two_floats()
        self.in_region(request.outputs.add(name="y").parameters, "out", 8, 4)
        request.outputs.add(name="z")

        response = await infer(serving(version, regions=regions), request, a_call())

        assert np.frombuffer((tmp_path / "out").read_bytes(), "<f4").tolist() == [0, 0, 5, 0]
        assert response.raw_output_contents == [b"", np.array([6], "<f4").tobytes()]
        shared = response.outputs[0]
        assert (shared.datatype, list(shared.shape)) == ("FP32", [1, 1])
        assert shared.parameters["shared_memory_region"].string_param == "out"
        assert shared.parameters["shared_memory_offset"].int64_param == 4
        assert shared.parameters["shared_memory_byte_size"].int64_param == 4

    async def test_an_output_must_fit(self, regions: Regions) -> None:
        request = two_floats()
        self.in_region(request.outputs.add(name="y").parameters, "out", 3, 0)

        with pytest.raises(InvalidRequest) as refused:
            await infer(serving(FakeVersion(), regions=regions), request, a_call())

        assert str(refused.value) == (
            "shared memory size specified with the request for output 'y' (3 bytes) should be "
            "at least 4 bytes to hold the results"
        )

    async def test_a_region_unregistered_while_the_model_runs_is_still_written(
        self, regions: Regions, tmp_path: Path
    ) -> None:
        version = FakeVersion()

        def run(_: object) -> Any:
            regions.unregister("")
            return {"y": np.array([[5]], "<f4")}

        version.run = run
        request = two_floats()
        self.in_region(request.outputs.add(name="y").parameters, "out", 4, 0)

        await infer(serving(version, regions=regions), request, a_call())

        assert np.frombuffer((tmp_path / "out").read_bytes(), "<f4").tolist() == [0, 5, 0, 0]

    async def test_parameters_of_a_region_belong_together(self, regions: Regions) -> None:
        for name, value, text in (
            ("shared_memory_offset", {"int64_param": 0}, "can not be specified without"),
            ("shared_memory_region", {"string_param": "in"}, "must be specified along with"),
            ("shared_memory_region", {"int64_param": 0}, "expected string_param"),
        ):
            request = two_floats()
            request.inputs[0].parameters[name].CopyFrom(pb.InferParameter(**value))
            with pytest.raises(InvalidRequest, match=text):
                await infer(serving(FakeVersion(), regions=regions), request, a_call())
