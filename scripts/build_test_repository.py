"""Write `tests/repository`: small models that each show one thing. With `--check`, only compare.

A probe is described once, by its tensors and its nodes; both the graph and the
`config.pbtxt` follow from that, so they cannot disagree.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import DTypeLike
from onnx import NodeProto, TensorProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "tests" / "repository"

#: What ONNX Runtime reads; the onnx package's own defaults are newer than that.
IR_VERSION = 10
OPSET = 21

#: The protocol's names of the datatypes, and ONNX's.
DATATYPES = {
    "BOOL": TensorProto.BOOL,
    "UINT8": TensorProto.UINT8,
    "UINT16": TensorProto.UINT16,
    "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64,
    "INT8": TensorProto.INT8,
    "INT16": TensorProto.INT16,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "FP16": TensorProto.FLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BYTES": TensorProto.STRING,
    "BF16": TensorProto.BFLOAT16,
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output. A dimension with a name instead of a size is variable."""

    name: str
    datatype: str
    dims: tuple[int | str, ...]
    optional: bool = field(default=False, kw_only=True)
    labels: str = field(default="", kw_only=True)
    #: In the graph it is one flat list of this length: a ragged input, or a scattered output.
    flat: str = field(default="", kw_only=True)

    def value_info(self, batch: int | str) -> onnx.ValueInfoProto:
        """Describe the tensor to ONNX, which sees the batch dimension, if there is one."""
        shape = (batch, *self.dims) if batch else self.dims
        shape = (self.flat,) if self.flat else shape
        return helper.make_tensor_value_info(self.name, DATATYPES[self.datatype], shape)

    def pbtxt(self, kind: str) -> str:
        """Describe the tensor to Triton, which does not see the batch dimension."""
        dims = ", ".join("-1" if isinstance(dim, str) else str(dim) for dim in self.dims)
        datatype = "STRING" if self.datatype == "BYTES" else self.datatype
        lines = [
            f'  name: "{self.name}"',
            f"  data_type: TYPE_{datatype}",
            f"  dims: [ {dims} ]",
        ]
        if self.optional:
            lines.append("  optional: true")
        if self.flat and kind == "input":
            lines.append("  allow_ragged_batch: true")
        if self.labels:
            lines.append(f'  label_filename: "{self.labels}"')
        return "\n".join([f"{kind} {{", *lines, "}"]) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One model directory."""

    name: str
    #: What the model is for; the first lines of its config.
    why: str
    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]
    nodes: Sequence[NodeProto]
    constants: Mapping[str, np.ndarray] = field(default_factory=dict)
    #: Zero: the first dimension is not a batch.
    max_batch_size: int = 8
    #: The batch dimension in the graph: a name, or a size that is fixed.
    batch: int | str = "batch"
    #: Inputs of the graph that no request carries, and so no config lists.
    unlisted: Sequence[Tensor] = ()
    #: Without a config, everything has to come from the graph.
    configured: bool = True
    #: More text for the config.
    settings: str = ""
    #: Other files in the model's directory.
    files: Mapping[str, str] = field(default_factory=dict)

    def model(self) -> onnx.ModelProto:
        """Build the graph."""
        batch = self.batch if self.max_batch_size else ""
        # A size of its own, and not that of the batch.
        unlisted = [tensor.value_info("") for tensor in self.unlisted]
        model = helper.make_model(
            helper.make_graph(
                self.nodes,
                self.name,
                [*(tensor.value_info(batch) for tensor in self.inputs), *unlisted],
                [tensor.value_info(batch) for tensor in self.outputs],
                [numpy_helper.from_array(array, name) for name, array in self.constants.items()],
            ),
            producer_name="scripts/build_test_repository.py",
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
        )
        onnx.checker.check_model(model, full_check=True)
        return model

    def config(self) -> str:
        """Write the config."""
        why = "".join(f"# {line}\n" for line in self.why.splitlines())
        head = f'name: "{self.name}"\nplatform: "onnxruntime_onnx"\n'
        batch = f"max_batch_size: {self.max_batch_size}\n"
        inputs = "".join(tensor.pbtxt("input") for tensor in self.inputs)
        outputs = "".join(tensor.pbtxt("output") for tensor in self.outputs)
        return f"{why}\n{head}{batch}{inputs}{outputs}{self.settings}"

    def tree(self) -> Iterator[tuple[str, bytes]]:
        """Yield each file's path below the repository, and its content."""
        yield f"{self.name}/1/model.onnx", self.model().SerializeToString(deterministic=True)
        if self.configured:
            yield f"{self.name}/config.pbtxt", self.config().encode()
        for path, text in self.files.items():
            yield f"{self.name}/{path}", text.encode()


def node(operator: str, inputs: str, output: str, **attributes: Any) -> NodeProto:
    """Make a node with one output; `inputs` is separated by spaces."""
    return helper.make_node(operator, inputs.split(), [output], **attributes)


def array(values: object, dtype: DTypeLike) -> np.ndarray:
    """Make a constant."""
    return np.array(values, dtype=dtype)


def weights(rows: int, columns: int) -> np.ndarray:
    """Make a matrix of numbers between -1 and 1, the same on every machine."""
    numbers = np.arange(rows * columns, dtype=np.float32).reshape(rows, columns)
    return (numbers * 37 % 64 - 32) / 32


def parameter(key: str, value: str) -> str:
    """Write one of the config's `parameters`."""
    return f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}\n'


def simple() -> Iterator[Probe]:
    """Copy Triton's `simple`, which its own client examples expect."""
    inputs = [Tensor("INPUT0", "INT32", (16,)), Tensor("INPUT1", "INT32", (16,))]
    outputs = [Tensor("OUTPUT0", "INT32", (16,)), Tensor("OUTPUT1", "INT32", (16,))]
    nodes = [node("Add", "INPUT0 INPUT1", "OUTPUT0"), node("Sub", "INPUT0 INPUT1", "OUTPUT1")]
    yield Probe(
        name="simple",
        why="Triton's classic: the sum and the difference of two vectors.",
        inputs=inputs,
        outputs=outputs,
        nodes=nodes,
        settings="dynamic_batching { }\n",
    )
    yield Probe(
        name="simple_no_config",
        why="",
        inputs=inputs,
        outputs=outputs,
        nodes=nodes,
        configured=False,
    )


def identities() -> Iterator[Probe]:
    """Return what comes in: datatypes, variable shapes, empty tensors."""
    for name, datatype, max_batch_size in [
        ("identity_fp32", "FP32", 32),
        ("identity_bytes", "BYTES", 8),
        ("identity_bf16", "BF16", 8),
    ]:
        yield Probe(
            name=name,
            why=f"Returns its input: {datatype}, of any length.",
            inputs=[Tensor("INPUT0", datatype, ("length",))],
            outputs=[Tensor("OUTPUT0", datatype, ("length",))],
            nodes=[node("Identity", "INPUT0", "OUTPUT0")],
            max_batch_size=max_batch_size,
            settings="dynamic_batching { }\n",
        )
    yield Probe(
        name="sequence_any",
        why="Returns its input: FP32, variable in both dimensions.",
        inputs=[Tensor("INPUT0", "FP32", ("rows", "columns"))],
        outputs=[Tensor("OUTPUT0", "FP32", ("rows", "columns"))],
        nodes=[node("Identity", "INPUT0", "OUTPUT0")],
        settings="dynamic_batching { }\n",
    )
    # Not BF16: NumPy has no such type, so a caller of ONNX Runtime needs another way for it.
    datatypes = [datatype for datatype in DATATYPES if datatype != "BF16"]
    lengths = {datatype: (f"length_{datatype.lower()}",) for datatype in datatypes}
    yield Probe(
        name="identity_all",
        why="Returns its inputs, one of every datatype but BF16, each of its own length.",
        inputs=[Tensor(f"INPUT_{d}", d, lengths[d]) for d in datatypes],
        outputs=[Tensor(f"OUTPUT_{d}", d, lengths[d]) for d in datatypes],
        nodes=[node("Identity", f"INPUT_{d}", f"OUTPUT_{d}") for d in datatypes],
    )


def shapes() -> Iterator[Probe]:
    """Show what a config may say of a tensor beyond name, type and variable shape."""
    yield Probe(
        name="no_batch",
        why="Has no batch dimension: transposes one matrix.",
        inputs=[Tensor("INPUT0", "FP32", (2, 3))],
        outputs=[Tensor("OUTPUT0", "FP32", (3, 2))],
        nodes=[node("Transpose", "INPUT0", "OUTPUT0", perm=[1, 0])],
        max_batch_size=0,
    )
    yield Probe(
        name="optional_input",
        why="INPUT0 + INPUT1. INPUT1 may be left out and is 10 then, by the graph's initializer.",
        inputs=[Tensor("INPUT0", "FP32", (4,)), Tensor("INPUT1", "FP32", (4,), optional=True)],
        outputs=[Tensor("OUTPUT0", "FP32", (4,))],
        nodes=[node("Add", "INPUT0 INPUT1", "OUTPUT0")],
        constants={"INPUT1": array([[10, 10, 10, 10]], np.float32)},
        settings="dynamic_batching { }\n",
    )
    yield Probe(
        name="classifier",
        why="Returns its input as the scores of four labelled classes.",
        inputs=[Tensor("INPUT0", "FP32", (4,))],
        outputs=[Tensor("OUTPUT0", "FP32", (4,), labels="labels.txt")],
        nodes=[node("Identity", "INPUT0", "OUTPUT0")],
        settings="dynamic_batching { }\n",
        files={"labels.txt": "north\neast\nsouth\nwest\n"},
    )


def batches() -> Iterator[Probe]:
    """Want batches of another make than rows under rows, any number."""
    yield Probe(
        name="fixed_batch",
        why="Has batches of four rows and no others: each row through a layer of its own.",
        inputs=[Tensor("INPUT0", "FP32", (16,))],
        outputs=[Tensor("OUTPUT0", "FP32", (8,))],
        nodes=[node("MatMul", "INPUT0 weights", "product"), node("Tanh", "product", "OUTPUT0")],
        constants={"weights": weights(16, 8)},
        max_batch_size=4,
        batch=4,
        settings="dynamic_batching { }\n",
    )
    yield Probe(
        name="batch_buckets",
        why="Is run with one, four or eight rows, whatever there are: as an engine would want it.",
        inputs=[Tensor("INPUT0", "FP32", (16,)), Tensor("TEXT", "BYTES", (1,))],
        outputs=[Tensor("OUTPUT0", "FP32", (8,)), Tensor("TEXT_OUT", "BYTES", (1,))],
        nodes=[
            node("MatMul", "INPUT0 weights", "product"),
            node("Tanh", "product", "OUTPUT0"),
            node("Identity", "TEXT", "TEXT_OUT"),
        ],
        constants={"weights": weights(16, 8)},
        settings="dynamic_batching { }\n" + parameter("inferd.batch_buckets", "1,4,8"),
    )
    yield ragged()
    yield sequences()


def ragged() -> Probe:
    """Sum up what is in a flat list between one end and the next, and return its double.

    In whole numbers: there, sums do not depend on what else is in the list.
    """
    return Probe(
        name="ragged",
        why="Of sequences of any length: SUM is one number for each, DOUBLE twice the sequence.",
        inputs=[Tensor("INPUT", "INT32", ("length",), flat="elements")],
        unlisted=[Tensor("ENDS", "INT32", ("requests",))],
        outputs=[
            Tensor("SUM", "INT32", (1,)),
            Tensor("DOUBLE", "INT32", ("length",), flat="elements"),
        ],
        nodes=[
            node("Add", "INPUT INPUT", "DOUBLE"),
            node("CumSum", "INPUT first", "sums_of_some"),
            node("Concat", "zero sums_of_some", "sums", axis=0),
            node("Gather", "sums ENDS", "sums_at_ends"),
            node("Slice", "sums_at_ends start before_last", "all_but_one"),
            node("Concat", "zero all_but_one", "sums_at_starts", axis=0),
            node("Sub", "sums_at_ends sums_at_starts", "sum"),
            node("Unsqueeze", "sum last", "SUM"),
        ],
        constants={
            "first": array(0, np.int64),
            "zero": array([0], np.int32),
            "start": array([0], np.int64),
            "before_last": array([-1], np.int64),
            "last": array([-1], np.int64),
        },
        settings=(
            "dynamic_batching { }\n"
            "batch_input {\n"
            "  kind: BATCH_ACCUMULATED_ELEMENT_COUNT\n"
            '  target_name: "ENDS"\n'
            "  data_type: TYPE_INT32\n"
            '  source_input: "INPUT"\n'
            "}\n"
            "batch_output {\n"
            "  kind: BATCH_SCATTER_WITH_INPUT_SHAPE\n"
            '  target_name: "DOUBLE"\n'
            '  source_input: "INPUT"\n'
            "}\n"
        ),
    )


def sequences() -> Probe:
    """Look up a number for every token, and average those that the mask lets through."""
    return Probe(
        name="sequence_buckets",
        why="Of tokens and their mask: SCORES is a number for each, MEAN that of the unmasked.",
        inputs=[
            Tensor("TOKENS", "INT64", ("length",)),
            Tensor("ATTENTION_MASK", "INT64", ("length",)),
        ],
        outputs=[Tensor("SCORES", "FP32", ("length",)), Tensor("MEAN", "FP32", (1,))],
        nodes=[
            node("Gather", "table TOKENS", "SCORES"),
            node("Cast", "ATTENTION_MASK", "mask", to=TensorProto.FLOAT),
            node("Mul", "SCORES mask", "unmasked"),
            node("ReduceSum", "unmasked last", "sum", keepdims=1),
            node("ReduceSum", "mask last", "count", keepdims=1),
            node("Max", "count one", "at_least_one"),
            node("Div", "sum at_least_one", "MEAN"),
        ],
        constants={
            "table": array([1, 20, 300, 4000, 50000], np.float32),
            "last": array([-1], np.int64),
            "one": array([1], np.float32),
        },
        settings=(
            "dynamic_batching { }\n"
            + parameter("inferd.sequence_buckets", "4,8,16")
            + parameter("inferd.sequence_pad_value", "4")
        ),
    )


def misbehaving() -> Iterator[Probe]:
    """Take long, fail, or answer with nonsense."""
    yield slow()
    yield Probe(
        name="poison",
        why="OUTPUT0 = 10 * (INDEX + 1). An index outside -4..3 fails the whole run.",
        inputs=[Tensor("INDEX", "INT64", (1,))],
        outputs=[Tensor("OUTPUT0", "FP32", (1,))],
        nodes=[node("Gather", "table INDEX", "OUTPUT0")],
        constants={"table": array([10, 20, 30, 40], np.float32)},
        max_batch_size=16,
        settings="dynamic_batching { }\n",
    )
    yield Probe(
        name="nan_maker",
        why="INPUT0 / INPUT0: one, but NaN where the input is zero, as in this warm-up.",
        inputs=[Tensor("INPUT0", "FP32", (4,))],
        outputs=[Tensor("OUTPUT0", "FP32", (4,))],
        nodes=[node("Div", "INPUT0 INPUT0", "OUTPUT0")],
        settings=(
            "dynamic_batching { }\n"
            "model_warmup {\n"
            '  name: "zeros"\n'
            "  batch_size: 1\n"
            "  inputs {\n"
            '    key: "INPUT0"\n'
            "    value { data_type: TYPE_FP32 dims: [ 4 ] zero_data: true }\n"
            "  }\n"
            "}\n"
        ),
    )


def slow() -> Probe:
    """Make a row into a square matrix, and average that with itself 640 times.

    The matrix is constant to begin with, so averaging leaves it as it is: OUTPUT0 equals
    INPUT0, exactly for small whole numbers. The work is proportional to the rows.
    """
    side, rounds = 128, 640
    state = [helper.make_tensor_value_info("state", TensorProto.FLOAT, ["batch", side, side])]
    body = helper.make_graph(
        [node("Identity", "going", "going_on"), node("MatMul", "state weights", "averaged")],
        "round",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            *state,
        ],
        [
            helper.make_tensor_value_info("going_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("averaged", TensorProto.FLOAT, ["batch", side, side]),
        ],
    )
    nth = numpy_helper.from_array(array([1 / side], np.float32))
    return Probe(
        name="slow",
        why="Returns its input after about 25 ms per row on one core.",
        inputs=[Tensor("INPUT0", "FP32", (1,))],
        outputs=[Tensor("OUTPUT0", "FP32", (1,))],
        nodes=[
            node("ConstantOfShape", "square", "weights", value=nth),
            node("Unsqueeze", "INPUT0 last", "column"),
            node("Expand", "column one_square", "constant"),
            helper.make_node("Loop", ["rounds", "", "constant"], ["result"], body=body),
            node("ReduceMax", "result rows", "largest", keepdims=1),
            node("Squeeze", "largest last", "OUTPUT0"),
        ],
        constants={
            "square": array([side, side], np.int64),
            "one_square": array([1, side, side], np.int64),
            "rounds": array(rounds, np.int64),
            "rows": array([1, 2], np.int64),
            "last": array([-1], np.int64),
        },
        settings="dynamic_batching { }\n",
    )


def repository() -> dict[str, bytes]:
    """Build every file, keyed by its path below the repository."""
    probes = [*simple(), *identities(), *shapes(), *batches(), *misbehaving()]
    return {path: content for probe in probes for path, content in probe.tree()}


def differences(fresh: Mapping[str, bytes], target: Path) -> Iterator[str]:
    """Yield the paths whose file is missing, different or not one of ours."""
    present = {
        path.relative_to(target).as_posix(): path for path in target.rglob("*") if path.is_file()
    }
    for name in sorted(fresh.keys() | present.keys()):
        if name not in fresh or name not in present or present[name].read_bytes() != fresh[name]:
            yield name


def main() -> int:
    """Write the repository, or with `--check` report what differs and return 1."""
    parser = argparse.ArgumentParser(description="Build the repository of test models.")
    parser.add_argument("--out", type=Path, default=TARGET, help="default: tests/repository")
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args()
    fresh = repository()
    if options.check:
        stale = list(differences(fresh, options.out))
        for name in stale:
            print(f"{options.out / name} is not what scripts/build_test_repository.py writes")
        return 1 if stale else 0
    for name, content in fresh.items():
        path = options.out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
