"""Whatever a configuration holds, `LoadFailed` is the only thing that comes of it, or a config."""

import json
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from inferd.errors import LoadFailed
from inferd.inference.repository.completion import complete
from inferd.inference.repository.model_config import ModelConfig, config_from
from inferd.inference.repository.unsupported import UNSUPPORTED
from inferd.oip import model_config_pb2 as pb
from inferd.runtime.datatypes import BY_CONFIG
from inferd.runtime.graph import Graph, GraphTensor
from inferd.services.open_inference.model_config_text import parse_json, parse_pbtxt, to_proto

SEED = """
name: "m" backend: "onnxruntime" max_batch_size: 8
version_policy { specific { versions: [1, 2] } }
input [ { name: "x" data_type: TYPE_FP32 dims: [ 64 ] optional: false } ]
output [ { name: "y" data_type: TYPE_INT64 dims: [ -1 ] label_filename: "labels.txt" } ]
instance_group [ { count: 2 kind: KIND_GPU gpus: [0] } ]
dynamic_batching { preferred_batch_size: [4] max_queue_delay_microseconds: 9 priority_levels: 2
  default_priority_level: 1 priority_queue_policy { key: 1 value { max_queue_size: 3 } } }
optimization { graph { level: -1 } }
parameters { key: "inferd.max_queue" value { string_value: "9" } }
model_warmup { inputs { key: "x" value { dims: 64 random_data: true } } }
"""
GRAPH = Graph(
    (GraphTensor("x", "tensor(float)", ("n", 64)),), (GraphTensor("y", "tensor(int64)", ("n",)),)
)

PIECES = [*SEED.split(), "-1", "0", "1e9", "99999999999999999999", '"', "\x00", "\ud800", "[", "<"]


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """Take a good text and cut, repeat and swap pieces of it."""
    pieces = SEED.split()
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(pieces) - 1))
        match draw(st.sampled_from(["cut", "put", "swap", "twice"])):
            case "cut":
                del pieces[at : at + draw(st.integers(1, 5))]
            case "put":
                pieces.insert(at, draw(st.sampled_from(PIECES)))
            case "swap":
                pieces[at] = draw(st.sampled_from(PIECES))
            case "twice":
                pieces += pieces[at:]
        pieces = pieces or ["x"]
    return " ".join(pieces)


def accepted(text: str) -> ModelConfig | None:
    try:
        return config_from(parse_pbtxt(text), model="m")
    except LoadFailed as failure:
        str(failure).encode()
        return None


@settings(max_examples=400, deadline=None)
@given(st.one_of(mutated(), st.text(), st.text('{}[]<>:"\\,#_ abc019-\x00\n')))
@example(SEED)
@example("input { " * 5_000)
@example("name: '" + "\\" * 9_999)
def test_only_a_failed_load_comes_of_a_text(text: str) -> None:
    config = accepted(text)

    if config is not None:
        assert accepted(str(to_proto(config))) is not None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)
MESSAGES = pb.DESCRIPTOR.message_types_by_name.values()
FIELDS = sorted({name for message in MESSAGES for name in message.fields_by_name})
NAMES = sorted({*BY_CONFIG, "KIND_GPU", "KIND_MODEL", "REJECT", "DELAY", "x", "y", "m"})
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(NAMES) | st.text(),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=8), JSON | PLAIN, max_size=4))
def test_only_a_failed_load_comes_of_json(values: dict[str, Any]) -> None:
    for text in (json.dumps(values), json.dumps(values)[:-1]):
        try:
            config_from(parse_json(text), model="m")
        except LoadFailed as failure:
            str(failure).encode()


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), PLAIN, max_size=5))
def test_only_a_failed_load_comes_of_plain_values(values: dict[str, Any]) -> None:
    try:
        config = config_from(values, model="m")
    except LoadFailed as failure:
        str(failure).encode()
        return
    assert accepted(str(to_proto(config))) is not None


@settings(max_examples=150, deadline=None)
@given(mutated())
@example(SEED)
def test_what_was_completed_is_a_fixed_point(text: str) -> None:
    config = accepted(text)
    if config is None:
        return
    try:
        once = complete(
            config, GRAPH, model="m", default_max_batch_size=4, labels=lambda name: (name,)
        )
    except LoadFailed:
        return

    again = accepted(str(to_proto(once[0])))

    assert again is not None
    assert once == complete(
        again, GRAPH, model="m", default_max_batch_size=4, labels=lambda name: (name,)
    )


def test_every_field_of_tritons_message_is_supported_or_refused_by_name() -> None:
    """A field that is neither would be told as unknown, which it is not."""
    known = {*ModelConfig.model_fields, *(each.split("[")[0].split(".")[0] for each in UNSUPPORTED)}

    assert known >= {*pb.ModelConfig.DESCRIPTOR.fields_by_name}


def test_the_committed_configurations_are_accepted() -> None:
    root = Path(__file__).parents[2]
    paths = [
        *root.glob("model_repository/*/config.pbtxt"),
        *root.glob("tests/repository/*/c*.pbtxt"),
    ]

    assert paths
    for path in paths:
        config_from(parse_pbtxt(path.read_text()), model=path.parent.name)
