"""What a configuration and a graph say of batches that are more than rows under rows."""

from typing import Any

import numpy as np
import pytest

from inferd.errors import LoadFailed
from inferd.inference.packing import ROWS, BatchInput, Kind, Lengths, Ragged, Rows
from inferd.inference.packing.chosen import packing_of
from inferd.inference.repository.completion import complete
from inferd.inference.repository.model_config import ModelConfig, config_from
from inferd.runtime.graph import Graph, GraphTensor
from inferd.runtime.signature import Signature
from inferd.services.open_inference.model_config_text import parse_pbtxt, to_proto


def tensor(name: str, *shape: int | str | None, of: str = "tensor(float)") -> GraphTensor:
    return GraphTensor(name, of, shape)


def parameter(key: str, value: str) -> str:
    return f' parameters {{ key: "inferd.{key}" value {{ string_value: "{value}" }} }}\n'


def completed(graph: Graph, text: str = "") -> tuple[ModelConfig, Signature]:
    config = config_from(parse_pbtxt(text), model="m")
    found = complete(
        config, graph, model="m", default_max_batch_size=32, labels=lambda name: (name,)
    )
    again = config_from(parse_pbtxt(str(to_proto(found[0]))), model="m")
    assert found == complete(
        again, graph, model="m", default_max_batch_size=32, labels=lambda name: (name,)
    ), "what was completed says all there is to say"
    return found


def packing(graph: Graph, text: str = "") -> Any:
    return packing_of(*completed(graph, text))[0]


def problem(graph: Graph, text: str) -> str:
    with pytest.raises(LoadFailed) as refusal:
        completed(graph, text)
    return str(refusal.value).removeprefix("the configuration of model 'm': ")


FREE = Graph((tensor("x", "n", 64),), (tensor("y", "n", 10),))
FIXED = Graph((tensor("x", 8, 64),), (tensor("y", 8, 10),))


class TestBatchSizes:
    @pytest.mark.parametrize(
        "text",
        [
            "max_batch_size: 8",
            "dynamic_batching { }",
            parameter("batch_buckets", "8"),
            'max_batch_size: 8 input { name: "x" dims: 64 }',
        ],
    )
    def test_a_graph_that_fixes_the_batch_dimension_is_run_at_that_size(self, text: str) -> None:
        _, signature = completed(FIXED, text)

        assert signature.max_batch_size == 8
        assert signature.batch_sizes == (8,)
        assert [each.shape for each in signature.inputs] == [(-1, 64)]
        assert isinstance(packing(FIXED, text), Rows)

    @pytest.mark.parametrize("text", ["", "max_batch_size: 0", 'input { name: "x" dims: [8, 64] }'])
    def test_unless_nobody_says_that_it_counts_rows(self, text: str) -> None:
        _, signature = completed(FIXED, text)

        assert (signature.max_batch_size, signature.batch_sizes) == (0, ())
        assert packing(FIXED, text) is ROWS

    def test_one_tensor_that_is_fixed_fixes_all(self) -> None:
        graph = Graph((tensor("x", 8, 64), tensor("w", "n", 1)), (tensor("y", None, 10),))

        assert completed(graph, "max_batch_size: 8")[1].batch_sizes == (8,)

    def test_a_batch_of_one_needs_no_padding(self) -> None:
        graph = Graph((tensor("x", 1, 64),), (tensor("y", 1, 10),))

        assert packing(graph, "max_batch_size: 1") is ROWS

    def test_a_model_can_name_the_sizes_it_wants(self) -> None:
        text = parameter("batch_buckets", "1, 4,16")

        assert completed(FREE, text)[1].batch_sizes == (1, 4, 16)
        assert completed(FREE, text)[1].max_batch_size == 16
        assert completed(FREE, f"max_batch_size: 16 {text}")[1].batch_sizes == (1, 4, 16)

    def test_a_model_that_names_none_takes_any(self) -> None:
        assert completed(FREE)[1].batch_sizes == ()
        assert packing(FREE) is ROWS

    @pytest.mark.parametrize("value", ["", "0,1", "4,1", "1,1", "1,,2", "a", "-1", "1.5", "65537"])
    def test_sizes_are_read_strictly(self, value: str) -> None:
        text = parameter("batch_buckets", value)

        assert problem(FREE, text).startswith("parameters['inferd.batch_buckets']: must be ")

    @pytest.mark.parametrize(
        ("graph", "text", "told"),
        [
            (
                FIXED,
                "max_batch_size: 4",
                "input.x: the graph fixes the batch dimension of 'x' at 8 (its shape is [8, 64]):"
                " set max_batch_size to 8, which smaller batches are filled up to",
            ),
            (
                Graph((tensor("x", 8, 64),), (tensor("y", 4, 10),)),
                "max_batch_size: 8",
                "output.y: the graph fixes the batch dimension of 'y' at 4",
            ),
            (
                FIXED,
                "max_batch_size: 8" + parameter("batch_buckets", "4,8"),
                "parameters['inferd.batch_buckets']: must be 8, at which the graph fixes",
            ),
            (
                FREE,
                "max_batch_size: 8" + parameter("batch_buckets", "4,16"),
                "parameters['inferd.batch_buckets']: must end with max_batch_size (8)",
            ),
            (
                FREE,
                "max_batch_size: 0" + parameter("batch_buckets", "4"),
                "parameters['inferd.batch_buckets']: must end with max_batch_size (0)",
            ),
            (
                FREE,
                "dynamic_batching { preferred_batch_size: 6 }" + parameter("batch_buckets", "4,8"),
                "dynamic_batching.preferred_batch_size[0]: must be one of inferd.batch_buckets,"
                " got 6",
            ),
        ],
    )
    def test_contradictions_are_told(self, graph: Graph, text: str, told: str) -> None:
        assert problem(graph, text).startswith(told)


TOKENS = Graph(
    (
        tensor("ids", "n", "length", of="tensor(int64)"),
        tensor("mask", "n", "length", of="tensor(int64)"),
        tensor("age", "n", 1),
    ),
    (tensor("scores", "n", "length"), tensor("pairs", "n", "length", None), tensor("mean", "n", 1)),
)
BUCKETS = parameter("sequence_buckets", "16,32")


class TestLengths:
    def lengths(self, text: str = "", graph: Graph = TOKENS) -> Lengths:
        _, lengths = packing_of(*completed(graph, BUCKETS + text))
        assert lengths is not None
        return lengths

    def test_the_dimensions_that_vary_are_filled_up(self) -> None:
        lengths = self.lengths()

        assert lengths.buckets == (16, 32)
        assert lengths.inputs == {"ids": 1, "mask": 1}
        assert lengths.outputs == {"scores": (1,), "pairs": (1, 2), "mean": ()}
        assert lengths.fill == {"ids": 0, "mask": 0}

    @pytest.mark.parametrize(
        ("value", "fill"),
        [
            ("7", {"ids": 7, "mask": 0}),
            ("7, ids=0", {"ids": 0, "mask": 0}),
            ("mask=1", {"ids": 0, "mask": 1}),
            ("ids=-1, mask=1", {"ids": -1, "mask": 1}),
        ],
    )
    def test_masks_are_filled_up_with_zeros_unless_they_are_named(
        self, value: str, fill: dict[str, int]
    ) -> None:
        assert self.lengths(parameter("sequence_pad_value", value)).fill == fill

    def test_a_bf16_is_filled_up_with_its_bits(self) -> None:
        graph = Graph((tensor("x", "n", "m", of="tensor(bfloat16)"),), (tensor("y", "n", 1),))

        lengths = self.lengths(parameter("sequence_pad_value", "1"), graph)

        assert lengths.fill == {"x": 0x3F80}

    def test_batches_may_have_sizes_as_well(self) -> None:
        _, signature = completed(TOKENS, BUCKETS + parameter("batch_buckets", "1,4"))

        assert signature.batch_sizes == (1, 4)

    @pytest.mark.parametrize(
        ("graph", "text", "told"),
        [
            (
                FREE,
                BUCKETS,
                "parameters['inferd.sequence_buckets']: needs an input with a variable dimension,"
                " and the model has none",
            ),
            (
                Graph((tensor("x", "n", "a", "b"),), (tensor("y", "n", 1),)),
                BUCKETS,
                "parameters['inferd.sequence_buckets']: needs inputs with one variable dimension,"
                " but 'x' has the shape [-1, -1, -1]",
            ),
            (
                Graph((tensor("q", "n", "a"), tensor("d", "n", "b")), (tensor("y", "n", 1),)),
                BUCKETS,
                "parameters['inferd.sequence_buckets']: needs inputs of one length, but the graph"
                " calls their dimensions 'a', 'b'",
            ),
            (
                TOKENS,
                "max_batch_size: 0" + BUCKETS,
                "parameters['inferd.sequence_buckets']: needs a max_batch_size of at least 1",
            ),
            (
                TOKENS,
                parameter("sequence_pad_value", "1"),
                "parameters['inferd.sequence_pad_value']: needs inferd.sequence_buckets",
            ),
            (
                TOKENS,
                BUCKETS + parameter("sequence_pad_value", "age=1"),
                "parameters['inferd.sequence_pad_value']: 'age' is not an input with a variable",
            ),
            (
                TOKENS,
                BUCKETS + parameter("sequence_pad_value", "ids=0.5"),
                "parameters['inferd.sequence_pad_value']: 'ids' is INT64 and cannot hold 0.5",
            ),
            (
                TOKENS,
                BUCKETS + parameter("sequence_pad_value", "1e30"),
                "parameters['inferd.sequence_pad_value']: 'ids' is INT64 and cannot hold 1e+30",
            ),
            (
                TOKENS,
                BUCKETS + parameter("sequence_pad_value", "ids=nan"),
                "parameters['inferd.sequence_pad_value']: must be a number, or numbers by input",
            ),
        ],
    )
    def test_contradictions_are_told(self, graph: Graph, text: str, told: str) -> None:
        assert problem(graph, text).startswith(told)

    @pytest.mark.parametrize(
        ("of", "value", "holds"),
        [
            ("tensor(bool)", "1", True),
            ("tensor(bool)", "2", False),
            ("tensor(string)", "0", True),
            ("tensor(string)", "1", False),
            ("tensor(uint8)", "255", True),
            ("tensor(uint8)", "256", False),
            ("tensor(double)", "0.5", True),
            ("tensor(float16)", "65504", True),
            ("tensor(float16)", "-65520", False),
            ("tensor(bfloat16)", "3e38", True),
            ("tensor(bfloat16)", "3.4e38", False),
            ("tensor(float)", "1e39", False),
        ],
    )
    def test_what_is_filled_in_fits_the_datatype(self, of: str, value: str, holds: bool) -> None:
        graph = Graph((tensor("x", "n", "m", of=of),), (tensor("y", "n", 1),))
        text = BUCKETS + parameter("sequence_pad_value", value)

        if holds:
            completed(graph, text)
        else:
            assert "'x' is " in problem(graph, text)


LIST = Graph(
    (tensor("INPUT", None), tensor("INDEX", None)), (tensor("sum", "n", 1), tensor("twice", None))
)
RAGGED = 'max_batch_size: 16 input { name: "INPUT" dims: -1 allow_ragged_batch: true }\n'
INDEX = (
    ' batch_input { kind: BATCH_ACCUMULATED_ELEMENT_COUNT target_name: "INDEX"'
    ' data_type: TYPE_FP32 source_input: "INPUT" }\n'
)
TWICE = (
    'output { name: "sum" } output { name: "twice" dims: -1 }'
    ' batch_output { target_name: "twice" source_input: "INPUT" }\n'
)


class TestRagged:
    def test_what_requests_carry_and_what_they_get(self) -> None:
        config, signature = completed(LIST, RAGGED + INDEX + TWICE)

        assert [(each.name, each.shape, each.ragged) for each in signature.inputs] == [
            ("INPUT", (-1, -1), True)
        ]
        assert {each.name: each.shape for each in signature.outputs} == {
            "sum": (-1, 1),
            "twice": (-1, -1),
        }
        assert config.input[0].allow_ragged_batch

    def test_the_packing_follows(self) -> None:
        found = packing(LIST, RAGGED + INDEX + TWICE)

        assert found == Ragged(
            frozenset(["INPUT"]),
            [BatchInput(Kind.ACCUMULATED_ELEMENT_COUNT, ("INDEX",), "INPUT", np.dtype(np.float32))],
            {"twice": ("INPUT", (-1, -1))},
        )

    def test_an_input_that_is_not_ragged_can_be_told_of_too(self) -> None:
        graph = Graph((tensor("x", "n", "m"), tensor("INDEX", None)), (tensor("y", "n", 1),))

        found = packing(graph, "max_batch_size: 4" + INDEX.replace("INPUT", "x"))

        assert found.flat == frozenset()
        assert [each.source for each in found.batch_inputs] == ["x"]

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            (
                RAGGED.replace("16", "0") + INDEX,
                "max_batch_size: must be at least 1 where batches are ragged",
            ),
            (
                RAGGED.replace("dims: -1", "") + INDEX,
                "input[0].dims: are needed where allow_ragged_batch is true",
            ),
            (
                RAGGED + INDEX + 'input { name: "INDEX" }',
                "input[1].name: 'INDEX' is a target of batch_input",
            ),
            (
                RAGGED + INDEX.replace("FP32", "INT64"),
                "batch_input[0].data_type: must be TYPE_INT32 or TYPE_FP32, got TYPE_INT64",
            ),
            (
                RAGGED + INDEX.replace("data_type: TYPE_FP32", ""),
                "batch_input[0].data_type: must be TYPE_INT32 or TYPE_FP32, got nothing",
            ),
            (
                RAGGED + INDEX.replace("FP32", "INT32"),
                "batch_input[0].data_type: is TYPE_INT32, but the graph has TYPE_FP32",
            ),
            (
                RAGGED + INDEX.replace('source_input: "INPUT"', ""),
                "batch_input[0].source_input: must name one input, got 0",
            ),
            (
                RAGGED + INDEX.replace('source_input: "INPUT"', 'source_input: "sum"'),
                "batch_input[0].source_input: 'sum' is not an input of the model",
            ),
            (
                RAGGED + INDEX + INDEX,
                "batch_input[1].target_name: 'INDEX' is named twice",
            ),
            (
                RAGGED + INDEX.replace('target_name: "INDEX"', ""),
                "batch_input[0].target_name: is missing",
            ),
            (
                RAGGED + INDEX + INDEX.replace("INDEX", "nothing"),
                "batch_input[1].target_name: 'nothing' is not an input of the graph",
            ),
            (
                RAGGED + INDEX.replace("BATCH_ACCUMULATED_ELEMENT_COUNT", "BATCH_ITEM_SHAPE"),
                "batch_input[0].target_name: 'INDEX' has 1 dimensions in the graph, a batch input"
                " of the kind BATCH_ITEM_SHAPE has 2",
            ),
            (
                RAGGED + INDEX.replace("BATCH_ACCUMULATED_ELEMENT_COUNT", "7"),
                "batch_input[0].kind: ",
            ),
            (
                RAGGED
                + INDEX
                + TWICE
                + TWICE[TWICE.index("batch_output") :].replace("twice", "none"),
                "batch_output[1].target_name: 'none' is not an output of the model",
            ),
            (
                RAGGED + INDEX + TWICE.replace("dims: -1", ""),
                "batch_output[0].target_name: 'twice' needs an output with its dims",
            ),
            (
                RAGGED + INDEX + TWICE[TWICE.index("batch_output") :],
                "batch_output[0].target_name: 'twice' needs an output with its dims",
            ),
            (
                RAGGED + INDEX + TWICE.replace("dims: -1", "dims: [-1, -1]"),
                "batch_output[0].target_name: 'twice' has the shape [-1, -1, -1], of which 'INPUT'"
                " with [-1, -1] cannot tell every size",
            ),
            (
                RAGGED + INDEX + parameter("batch_buckets", "4,16"),
                "parameters['inferd.batch_buckets']: cannot go with ragged batches",
            ),
            (
                RAGGED + INDEX + BUCKETS,
                "parameters['inferd.sequence_buckets']: cannot go with ragged batches",
            ),
        ],
    )
    def test_contradictions_are_told(self, text: str, told: str) -> None:
        assert problem(LIST, text).startswith(told)

    def test_the_graph_must_take_one_list(self) -> None:
        graph = Graph((tensor("INPUT", "n", "m"), tensor("INDEX", None)), (tensor("sum", "n", 1),))

        assert problem(graph, RAGGED + INDEX).startswith(
            "input[0].allow_ragged_batch: needs one variable dimension in the graph,"
            " which has [-1, -1]"
        )

    def test_an_input_that_may_be_left_out_tells_nothing(self) -> None:
        graph = Graph((tensor("INDEX", None),), (tensor("sum", "n", 1),), (tensor("INPUT", None),))
        text = RAGGED.replace("true", "true optional: true")

        assert problem(graph, text + INDEX).startswith(
            "batch_input[0].source_input: 'INPUT' must not be optional"
        )
