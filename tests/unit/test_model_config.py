from collections.abc import Mapping
from typing import Any

import pytest

from inferd.errors import LoadFailed
from inferd.inference.repository.completion import complete
from inferd.inference.repository.model_config import ModelConfig, config_from
from inferd.inference.repository.schema import DynamicBatching, Input, Output, Warmup, WarmupInput
from inferd.runtime.graph import Graph, GraphTensor
from inferd.runtime.signature import Signature
from inferd.services.open_inference.model_config_text import parse_json, parse_pbtxt, to_proto

FULL = """
name: "digits"
platform: "onnxruntime_onnx"
max_batch_size: 32
version_policy { specific { versions: [1, 3] } }
input [ { name: "pixels" data_type: TYPE_FP32 dims: [ 64 ] format: FORMAT_NONE } ]
output [ { name: "probabilities" data_type: TYPE_FP32 dims: [ -1 ] label_filename: "labels.txt" } ]
instance_group [ { count: 2 kind: KIND_CPU }, { kind: KIND_GPU gpus: [0, 1] } ]
dynamic_batching {
  preferred_batch_size: [ 8, 32 ]
  max_queue_delay_microseconds: 5000000000
  priority_levels: 3
  default_priority_level: 2
  default_queue_policy { max_queue_size: 256 default_timeout_microseconds: 100 }
  priority_queue_policy { key: 1 value { allow_timeout_override: true } }
}
optimization { graph { level: 1 } input_pinned_memory { enable: true } }
parameters { key: "intra_op_thread_count" value { string_value: "4" } }
parameters { key: "session.set_denormal_as_zero" value { string_value: "1" } }
parameters { key: "inferd.default_deadline_ms" value { string_value: "12.5" } }
parameters { key: "arena_extend_strategy" value { string_value: "1" } }
metric_tags { key: "team" value: "search" }
model_warmup [ {
  name: "blank" batch_size: 8
  inputs { key: "pixels" value { data_type: TYPE_FP32 dims: [ 64 ] zero_data: true } }
} ]
model_transaction_policy { decoupled: false }
response_cache { enable: false }
"""


def problems_of(data: Mapping[str, Any] | str) -> str:
    """Return what is said about a configuration that must not be accepted."""
    with pytest.raises(LoadFailed) as refusal:
        config_from(parse_pbtxt(data) if isinstance(data, str) else data, model="m")
    return str(refusal.value).removeprefix("the configuration of model 'm': ")


def config(text: str = "") -> ModelConfig:
    return config_from(parse_pbtxt(text), model="m")


class TestWhatIsAccepted:
    def test_everything_that_is_supported_is_understood(self) -> None:
        config = config_from(parse_pbtxt(FULL), model="digits")

        assert config.max_batch_size == 32
        assert config.version_policy is not None
        assert config.version_policy.specific is not None
        assert config.version_policy.specific.versions == (1, 3)
        assert config.input == (Input(name="pixels", data_type="TYPE_FP32", dims=(64,)),)
        assert [each.gpus for each in config.instance_group] == [(), (0, 1)]
        assert config.dynamic_batching is not None
        assert config.dynamic_batching.max_queue_delay_microseconds == 5_000_000_000
        assert config.dynamic_batching.priority_queue_policy[1].allow_timeout_override
        assert config.options.intra_op_threads == 4
        assert config.options.session == {"session.set_denormal_as_zero": "1"}
        assert config.options.cuda == {"arena_extend_strategy": "kSameAsRequested"}
        assert config.options.default_deadline_ms == 12.5
        assert config.options.max_queue is None

    def test_what_is_accepted_survives_the_wire(self) -> None:
        config = config_from(parse_pbtxt(FULL), model="digits")

        assert config_from(parse_pbtxt(str(to_proto(config))), model="digits") == config

    def test_json_says_the_same_in_either_spelling(self) -> None:
        snake = '{"max_batch_size": 4, "dynamic_batching": {"max_queue_delay_microseconds": 7}}'
        camel = '{"maxBatchSize": 4, "dynamicBatching": {"maxQueueDelayMicroseconds": "7"}}'

        assert parse_json(snake) == parse_json(camel)
        assert parse_json(camel) == {
            "max_batch_size": 4,
            "dynamic_batching": {"max_queue_delay_microseconds": 7},
        }

    @pytest.mark.parametrize(
        ("text", "said"),
        [("", None), ("max_batch_size: 0", 0), ("# max_batch_size: 0", None)],
    )
    def test_no_batching_is_not_the_same_as_nothing_said(self, text: str, said: int | None) -> None:
        assert config(text).max_batch_size == said

    def test_the_same_goes_for_json(self) -> None:
        assert parse_json('{"maxBatchSize": 0}') == {"max_batch_size": 0}
        assert parse_json('{"maxBatchSize": null}') == {}


class TestWhatIsRefused:
    def test_all_at_once_and_each_by_its_path(self) -> None:
        problems = problems_of(
            {
                "max_batch_size": "four",
                "instance_group": [{"kind": "KIND_CPU"}, {"kind": "KIND_TPU", "passive": True}],
                "input": [{"name": "x", "dims": [1, 0]}, {"name": "x"}],
                "dynamic_batching": {"preferred_batch_size": [0]},
                "parameters": {"inferd.max_que": {"string_value": "1"}},
                "colour": "red",
            }
        )

        assert problems.split("; ") == [
            "instance_group[1].passive: True is not supported: every instance serves",
            "max_batch_size: should be a valid integer, got 'four'",
            "instance_group[1].kind: should be 'KIND_AUTO', 'KIND_GPU' or 'KIND_CPU',"
            " got 'KIND_TPU'",
            "colour: is not a known field",
            "input[0].dims[1]: must be at least 1, or -1 for any, got 0",
            "input[1].name: 'x' is listed twice",
            "dynamic_batching.preferred_batch_size[0]: must be from 1 up, got 0",
            "parameters['inferd.max_que']: is not a known parameter"
            " (did you mean inferd.max_queue?), got '1'",
        ]

    @pytest.mark.parametrize(
        ("text", "path"),
        [
            ("sequence_batching { }", "sequence_batching"),
            ("ensemble_scheduling { }", "ensemble_scheduling"),
            ('cc_model_filenames { key: "a" value: "b" }', "cc_model_filenames"),
            ('model_operations { op_library_filename: "x.so" }', "model_operations"),
            ("model_transaction_policy { decoupled: true }", "model_transaction_policy"),
            ('model_repository_agents { agents { name: "a" } }', "model_repository_agents"),
            ("response_cache { enable: true }", "response_cache"),
            ('model_metrics { metric_control { metric_identifier { family: "a" } } }', "model_m"),
            ('runtime: "x"', "runtime"),
            ('platform: "tensorrt_plan"', "platform"),
            ('backend: "python"', "backend"),
            ('input { name: "x" reshape { } }', "input[0].reshape"),
            ('output { name: "x" reshape { } }', "output[0].reshape"),
            ('input { name: "x" is_shape_tensor: true }', "input[0].is_shape_tensor"),
            ('input { name: "x" format: FORMAT_NHWC }', "input[0].format"),
            ('input { name: "x" is_non_linear_format_io: true }', "input[0].is_non"),
            ("instance_group { kind: KIND_MODEL }", "instance_group[0].kind"),
            ("instance_group { rate_limiter { priority: 1 } }", "instance_group[0].rate_limiter"),
            ('instance_group { profile: "1" }', "instance_group[0].profile"),
            ('instance_group { host_policy: "a" }', "instance_group[0].host_policy"),
            ("instance_group { secondary_devices { device_id: 1 } }", "instance_group[0].second"),
            ("optimization { priority: PRIORITY_MAX }", "optimization.priority"),
            ("optimization { cuda { graphs: true } }", "optimization.cuda"),
            (
                'optimization { execution_accelerators { cpu_execution_accelerator { name: "openvino" } } }',  # noqa: E501
                "optimization.execution_accelerators",
            ),
        ],
    )
    def test_what_inferd_does_not_do_is_refused_by_name(self, text: str, path: str) -> None:
        assert problems_of(text).startswith(path)

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ('name: "other"', "name: is 'other', but the directory is 'm'"),
            ("max_batch_size: -1", "max_batch_size: must not be negative, got -1"),
            (
                "max_batch_size: 4 dynamic_batching { preferred_batch_size: [4, 8] }",
                "dynamic_batching.preferred_batch_size[1]: must be from 1 to max_batch_size (4),"
                " got 8",
            ),
            (
                "max_batch_size: 0 dynamic_batching { }",
                "dynamic_batching: needs a max_batch_size of at least 1",
            ),
            (
                "dynamic_batching { priority_levels: 2 }",
                "dynamic_batching.default_priority_level: must be from 1 to priority_levels (2),"
                " got 0",
            ),
            (
                "dynamic_batching { default_priority_level: 1 }",
                "dynamic_batching.default_priority_level: needs priority_levels, got 1",
            ),
            (
                "dynamic_batching { priority_queue_policy { key: 1 value { } } }",
                "dynamic_batching.priority_queue_policy[1]: must be for a level from 1 to"
                " priority_levels (0)",
            ),
            (
                "dynamic_batching"
                " { priority_levels: 2 default_priority_level: 1 preserve_ordering: true }",
                "dynamic_batching.priority_levels: must be at most 1 when preserve_ordering"
                " is true",
            ),
            (
                "instance_group { kind: KIND_CPU gpus: 0 }",
                "instance_group[0].gpus: must be empty when kind is KIND_CPU",
            ),
            (
                "instance_group { count: 200 } instance_group { count: 100 }",
                "instance_group: asks for 300 instances, 256 are the most",
            ),
            ("input { }", "input[0].name: is missing"),
            ('input { name: "x" dims: -2 }', "input[0].dims[0]: must be at least 1, or -1"),
            (
                'output { name: "x" label_filename: "../labels.txt" }',
                "output[0].label_filename: must name a file in the model's directory,"
                " got '../labels.txt'",
            ),
            (
                'default_model_filename: "a/../../b.onnx"',
                "default_model_filename: must be a plain file name, got 'a/../../b.onnx'",
            ),
            (
                "version_policy { specific { } }",
                "version_policy.specific.versions: must list at least one version",
            ),
            (
                "max_batch_size: 2 model_warmup { batch_size: 3 }",
                "model_warmup[0].batch_size: must be at most 2, got 3",
            ),
            (
                'model_warmup { inputs { key: "x" value { zero_data: true dims: 1000000000 } } }',
                "model_warmup[0].inputs.x.dims: must not make more than 268435456 elements",
            ),
            (
                'model_warmup { inputs { key: "x" value { } } }',
                "model_warmup[0].inputs.x: must have exactly one of zero_data, random_data,"
                " input_data_file",
            ),
            (
                'metric_tags { key: "model" value: "x" }',
                "metric_tags['model']: is a label that inferd sets itself",
            ),
            ('metric_tags { key: "a-b" value: "x" }', "metric_tags['a-b']: must be a Prometheus"),
            ("optimization { graph { level: 3 } }", "optimization.graph.level: should be -1, 0, 1"),
        ],
    )
    def test_contradictions(self, text: str, problem: str) -> None:
        assert problems_of(text).startswith(problem)

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("intra_op_thread_count", "-1"),
            ("execution_mode", "2"),
            ("memory.enable_memory_arena_shrinkage", "cpu"),
            ("cudnn_conv_algo_search", "3"),
            ("gpu_mem_limit", "lots"),
            ("inferd.default_deadline_ms", "nan"),
            ("inferd.default_deadline_ms", "0"),
            ("inferd.max_queue", "0"),
            ("inferd.scheduling", "lifo"),
            ("inferd.scheduling", "FIFO"),
            ("inferd.colour", "red"),
            ("session.model_external_initializers_file_folder_path", "/etc"),
            ("session.enable_profiling", "1"),
            ("optimization.enable_gelu_approximation", "1"),
        ],
    )
    def test_parameters_are_read_strictly(self, key: str, value: str) -> None:
        problems = problems_of({"parameters": {key: {"string_value": value}}})

        assert problems.startswith(f"parameters['{key}']: ")

    def test_a_long_list_of_problems_is_cut(self) -> None:
        problems = problems_of({f"field_{number}": 1 for number in range(100)})

        assert problems.count("; ") == 20
        assert problems.endswith("; and 80 more")


class TestText:
    @pytest.mark.parametrize(
        ("text", "where"),
        [
            ("max_batch_size: 4\nfoo: 1", "config.pbtxt:2:1: "),
            ("input [", "config.pbtxt:1:8: "),
            ("instance_group {\n  kind: KIND_X }", "config.pbtxt:2:9: "),
            ("version_policy { latest {} all {} }", "config.pbtxt:1:28: "),
            ("name: '\x00", "config.pbtxt:1:7: "),
            ("max_batch_size: 99999999999", "config.pbtxt:1:17: "),
            ("x" * 2_000_000, "config.pbtxt: has 2000000 characters"),
            ("{" * 10_000, "config.pbtxt:1:1: "),
            ('name: "\ud800"', "config.pbtxt: is not Unicode at character 8"),
        ],
        ids=lambda text: ascii(text[:20]),
    )
    def test_a_malformed_text_is_refused_where_it_is_wrong(self, text: str, where: str) -> None:
        with pytest.raises(LoadFailed) as refusal:
            parse_pbtxt(text)

        assert str(refusal.value).startswith(where)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "null",
            "[]",
            "7",
            '{"input": {}}',
            '{"input": [1]}',
            '{"a": 1}',
            '{"name": "\ud800"}',
            '{"name": "\\ud800"}',
            '{"input": [{"data_type": "\\ud800"}]}',
            '{"name": "a", "name": "b"}',
            "[" * 100_000,
            '{"max_batch_size": ' + "9" * 5000 + "}",
        ],
        ids=lambda text: ascii(text[:20]),
    )
    def test_malformed_json_is_refused(self, text: str) -> None:
        with pytest.raises(LoadFailed, match=r"^config: "):
            parse_json(text)


def tensor(name: str, *shape: int | str | None, of: str = "tensor(float)") -> GraphTensor:
    return GraphTensor(name, of, shape)


BATCHING = Graph((tensor("x", "n", 64),), (tensor("y", "n", 10), tensor("label", "n")))
FIXED = Graph((tensor("x", 8, 64),), (tensor("y", 8, 10),))


def completed(
    graph: Graph, config: ModelConfig | None = None, labels: tuple[str, ...] = ()
) -> tuple[ModelConfig, Signature]:
    return complete(
        config, graph, model="m", default_max_batch_size=32, labels=lambda name: (name, *labels)
    )


def disagreement(graph: Graph, text: str) -> str:
    with pytest.raises(LoadFailed) as refusal:
        completed(graph, config(text))
    return str(refusal.value).removeprefix("the configuration of model 'm': ")


class TestCompletion:
    def test_a_graph_with_a_dynamic_first_dimension_batches(self) -> None:
        config, signature = completed(BATCHING)

        assert config.max_batch_size == signature.max_batch_size == 32
        assert config.dynamic_batching == DynamicBatching()
        assert config.input == (Input(name="x", data_type="TYPE_FP32", dims=(64,)),)
        assert [each.shape for each in signature.inputs] == [(-1, 64)]
        assert [each.shape for each in signature.outputs] == [(-1, 10), (-1,)]
        assert (config.platform, config.default_model_filename) == (
            "onnxruntime_onnx",
            "model.onnx",
        )
        assert [(each.name, each.count) for each in config.instance_group] == [("m", 1)]

    def test_a_graph_with_a_fixed_first_dimension_does_not(self) -> None:
        config, signature = completed(FIXED)

        assert config.max_batch_size == signature.max_batch_size == 0
        assert config.dynamic_batching is None
        assert config.input[0].dims == signature.inputs[0].shape == (8, 64)

    def test_what_was_completed_is_complete(self) -> None:
        config, signature = completed(BATCHING)
        again = config_from(parse_pbtxt(str(to_proto(config))), model="m")

        assert completed(BATCHING, again) == (config, signature)

    def test_dims_given_without_a_batch_size_are_all_there_are(self) -> None:
        _, signature = completed(BATCHING, config('input { name: "x" dims: [-1, 64] }'))

        assert not signature.batches

    def test_only_the_outputs_that_are_listed_are_served(self) -> None:
        graph = Graph(BATCHING.inputs, (*BATCHING.outputs, tensor("map", of="seq(map(int64))")))

        _, signature = completed(graph, config('output { name: "label" }'))

        assert [each.name for each in signature.outputs] == ["label"]
        assert "output.map: 'map' has the type 'seq(map(int64))'" in disagreement(graph, "")

    def test_an_output_may_be_wider_or_narrower_than_the_graph_says(self) -> None:
        graph = Graph((tensor("x", "n"),), (tensor("y", "n", 10), tensor("z", "n", 0)))
        given = 'max_batch_size: 2 output { name: "y" dims: -1 } output { name: "z" dims: 4 }'

        _, signature = completed(graph, config(given))

        assert [each.shape for each in signature.outputs] == [(-1, -1), (-1, 4)]

    def test_a_batch_of_one_may_be_fixed_in_the_graph(self) -> None:
        graph = Graph((tensor("x", 1, 64),), (tensor("y", 1, 10),))

        _, signature = completed(graph, config("max_batch_size: 1"))

        assert [each.shape for each in signature.inputs] == [(-1, 64)]
        assert signature.max_batch_size == 1

    def test_an_optional_input_may_be_batched(self) -> None:
        graph = Graph(BATCHING.inputs, BATCHING.outputs, (tensor("bias", "n", 10),))

        _, signature = completed(graph, config('input { name: "bias" optional: true }'))

        assert signature.batches
        assert signature.inputs[0].shape == (-1, 10)

    def test_labels_are_read(self) -> None:
        _, signature = completed(
            BATCHING, config('output { name: "y" label_filename: "a.txt" }'), labels=("b",)
        )

        assert signature.outputs[0].labels == ("a.txt", "b")

    def test_an_input_with_a_default_is_served_only_when_listed(self) -> None:
        graph = Graph(FIXED.inputs, FIXED.outputs, (tensor("bias", 10),))

        _, unlisted = completed(graph)
        _, listed = completed(graph, config('input { name: "bias" optional: true }'))

        assert [(each.name, each.optional) for each in unlisted.inputs] == [("x", False)]
        assert [(each.name, each.optional) for each in listed.inputs] == [
            ("bias", True),
            ("x", False),
        ]

    def test_an_instance_of_count_0_is_one(self) -> None:
        completed_config, _ = completed(FIXED, config("instance_group { count: 0 }"))

        assert [(each.name, each.count) for each in completed_config.instance_group] == [("m_0", 1)]

    def test_a_scalar_may_be_written_as_one_element(self) -> None:
        graph = Graph((tensor("x"),), (tensor("y"),))

        _, signature = completed(graph, config('input { name: "x" dims: 1 }'))

        assert (signature.inputs[0].shape, signature.outputs[0].shape) == ((1,), ())
        assert "but the graph has a scalar" in disagreement(graph, 'input { name: "x" dims: 2 }')

    @pytest.mark.parametrize(
        ("graph", "text", "problem"),
        [
            (
                FIXED,
                "max_batch_size: 4",
                "input.x: the graph fixes the batch dimension of 'x' at 8 (its shape is [8, 64]):"
                " set max_batch_size to 8, which smaller batches are filled up to, or to 0, or"
                " export it with a dynamic first dimension",
            ),
            (
                BATCHING,
                'max_batch_size: 4 input { name: "z" }',
                "input[0].name: unexpected inference input 'z', allowed inputs are: 'x'",
            ),
            (
                BATCHING,
                'input { name: "x" data_type: TYPE_INT64 }',
                "input[0].data_type: is TYPE_INT64, but the graph has TYPE_FP32",
            ),
            (
                BATCHING,
                'max_batch_size: 4 input { name: "x" dims: 32 }',
                "input[0].dims: are with the batch dimension (max_batch_size is 4) [-1, 32],"
                " but the graph has [-1, 64]",
            ),
            (
                BATCHING,
                'input { name: "x" dims: 64 }',
                "input[0].dims: are [64] (max_batch_size is 0, so they have every dimension),"
                " but the graph has [-1, 64]",
            ),
            (
                BATCHING,
                'max_batch_size: 4 input { name: "x" dims: -1 }',
                "input[0].dims: are with the batch dimension",
            ),
            (
                BATCHING,
                'input { name: "x" optional: true }',
                "input[0].optional: must be false: the graph has no default for it",
            ),
            (
                Graph(BATCHING.inputs, BATCHING.outputs, (tensor("bias", 10),)),
                'max_batch_size: 2 input { name: "bias" optional: true }',
                "input[0]: the graph fixes the batch dimension of 'bias' at 10 (its shape is [10])",
            ),
            (
                Graph(BATCHING.inputs, (tensor("y"),)),
                "max_batch_size: 2",
                "output.y: the graph says no shape of 'y': set its dims, or max_batch_size to 0",
            ),
            (
                Graph((tensor("x", 0),), ()),
                "",
                "input.x: has no elements: its shape in the graph is [0]",
            ),
            (
                Graph((tensor("x", 8, 64),), (tensor("y", 4, 10),)),
                "dynamic_batching { }",
                "dynamic_batching: needs a max_batch_size",
            ),
            (
                BATCHING,
                "dynamic_batching { preferred_batch_size: 64 }",
                "dynamic_batching.preferred_batch_size[0]: must be from 1 to max_batch_size (32)",
            ),
            (
                BATCHING,
                'model_warmup { inputs { key: "z" value { zero_data: true } } }',
                "model_warmup[0].inputs: must have 'x' too; model_warmup[0].inputs.z: is not an"
                " input of the model",
            ),
            (
                BATCHING,
                'model_warmup { inputs { key: "x" value'
                " { zero_data: true data_type: TYPE_FP64 dims: 63 } } }",
                "model_warmup[0].inputs.x.data_type: must be TYPE_FP32;"
                " model_warmup[0].inputs.x.dims: must fit [64], got [63]",
            ),
        ],
    )
    def test_disagreements_are_told(self, graph: Graph, text: str, problem: str) -> None:
        assert disagreement(graph, text).startswith(problem)

    def test_labels_that_cannot_be_read_are_a_problem_of_their_output(self) -> None:
        def labels(name: str) -> tuple[str, ...]:
            raise LoadFailed(f"there is no {name}")

        with pytest.raises(LoadFailed, match=r"output\[0\].label_filename: there is no a.txt"):
            complete(
                config('output { name: "y" label_filename: "a.txt" }'),
                BATCHING,
                model="m",
                default_max_batch_size=1,
                labels=labels,
            )


def test_parts_can_be_built_in_python_too() -> None:
    """What tests and tools write by hand is the same thing that is parsed."""
    warmup = Warmup(inputs={"x": WarmupInput(zero_data=True, dims=(64,))})
    by_hand = ModelConfig(name="m", output=(Output(name="y"),), model_warmup=(warmup,))

    assert config_from(by_hand.model_dump(), model="m") == by_hand
