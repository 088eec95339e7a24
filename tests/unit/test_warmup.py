from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inferd.errors import InvalidRequest, LoadFailed, ModelFailed
from inferd.inference.packing import (
    ROWS,
    BatchInput,
    Kind,
    Lengths,
    Member,
    Packing,
    Ragged,
    Rows,
)
from inferd.inference.recordings import recordings, with_recordings
from inferd.inference.repository.layout import ModelFiles
from inferd.inference.repository.schema import Warmup, WarmupInput
from inferd.inference.warmup import (
    ENOUGH_S,
    Sample,
    as_request,
    made_up,
    of_buckets,
    of_config,
    recorded,
    warm_up,
)
from inferd.oip import grpc_service_pb2 as pb
from inferd.runtime.signature import Signature, Tensor
from inferd.services.open_inference.recorded import decoder
from support.fake_models import tensor

Arrays = Mapping[str, NDArray[Any]]
BUCKETS = (1, 2, 4)
HERE = Path()


def signature(
    *inputs: Tensor, outputs: Sequence[Tensor] = (), max_batch_size: int = 4
) -> Signature:
    return Signature(
        inputs or (tensor("x", "FP32", -1, 2),),
        tuple(outputs) or (tensor("y", "FP32", -1, 2),),
        max_batch_size,
    )


class FakeRunner:
    """A session that takes `seconds` for a run, answers its input, and remembers it."""

    def __init__(self, seconds: float = 0.001) -> None:
        self.seconds = seconds
        self.now = 0.0
        self.asked: list[Arrays] = []

    def clock(self) -> float:
        return self.now

    def stop(self) -> None:
        return None

    def run(self, inputs: Arrays, outputs: Sequence[str], stop: None) -> list[NDArray[Any]]:
        self.now += self.seconds
        self.asked.append(inputs)
        array = self.answered(next(iter(inputs.values())))
        return [array for _ in outputs]

    def answered(self, array: NDArray[Any]) -> NDArray[Any]:
        return array


class Answers(FakeRunner):
    """A session that answers the same, whatever it is asked."""

    def __init__(self, array: NDArray[Any]) -> None:
        super().__init__()
        self.array = array

    def answered(self, array: NDArray[Any]) -> NDArray[Any]:
        return self.array


class Seeds(list[tuple[int, float]]):
    def seed(self, rows: int, seconds: float) -> None:
        self.append((rows, seconds))


def warm(
    runner: FakeRunner,
    requests: Sequence[Sample],
    seeds: Seeds | None = None,
    *,
    run_time: Seeds | None = None,
    given: Signature | None = None,
    packing: Packing = ROWS,
    runs: int = 3,
    largest: int = BUCKETS[-1],
) -> list[str]:
    return warm_up(
        runner,
        given or signature(),
        requests,
        packing=packing,
        runs=runs,
        largest=largest,
        latency=seeds if seeds is not None else Seeds(),
        run_time=run_time if run_time is not None else Seeds(),
        clock=runner.clock,
    )


def buckets(given: Signature | None = None, like: Sequence[Sample] = ()) -> list[Sample]:
    return list(of_buckets(given or signature(), BUCKETS, like=like))


def declared(given: Signature, directory: Path = HERE, **fields: Any) -> list[Sample]:
    inputs = {"x": WarmupInput(**fields.pop("x", {"dims": (2,), "zero_data": True}))}
    return list(of_config(given, [Warmup(name="w", inputs=inputs, **fields)], directory))


class TestEveryBucket:
    def test_every_bucket_runs_once_cold_and_is_then_timed(self) -> None:
        runner, seeds = FakeRunner(), Seeds()

        warm(runner, buckets(), seeds, runs=3)

        rows = [next(iter(inputs.values())).shape[0] for inputs in runner.asked]
        assert rows == [1] * 4 + [2] * 4 + [4] * 4
        assert [size for size, _ in seeds] == [size for size in BUCKETS for _ in range(3)]
        assert [seconds for _, seconds in seeds] == pytest.approx([0.001] * 9)

    def test_a_slow_model_is_timed_only_for_a_while(self) -> None:
        runner, seeds = FakeRunner(seconds=0.6 * ENOUGH_S), Seeds()

        warm(runner, buckets()[:1], seeds, runs=100)

        assert len(seeds) == 2

    def test_buckets_are_made_of_what_somebody_wrote_down(self) -> None:
        like = Sample("w", {"x": np.array([[1, 2], [3, 4], [5, 6]], np.float32)}, 3)

        samples = buckets(like=[like])

        assert [sample.inputs["x"][:, 0].tolist() for sample in samples] == [
            [1], [1, 3], [1, 3, 5, 1],
        ]  # fmt: skip
        assert not any(sample.made_up for sample in samples)

    def test_an_empty_request_is_nothing_to_make_them_of(self) -> None:
        like = Sample("w", {"x": np.empty((0, 2), np.float32)}, 0)

        assert all(sample.made_up for sample in buckets(like=[like]))

    def test_a_model_that_does_not_batch_has_one(self) -> None:
        given = signature(tensor("x", "FP32", 2), max_batch_size=0)
        like = Sample("w", {"x": np.ones(2, np.float32)}, 1)

        (sample,) = of_buckets(given, (1,), like=[like])
        (other,) = of_buckets(given, (1,), like=[])

        assert sample.inputs is like.inputs
        assert other.inputs["x"].shape == (2,)

    def test_more_rows_than_any_bucket_has_are_not_timed(self) -> None:
        seeds = Seeds()
        sample = Sample("w", {"x": np.ones((5, 2), np.float32)}, 5, timed=True)

        doubts = warm(FakeRunner(), [sample], seeds, largest=4)

        assert doubts == []
        assert seeds == []

    def test_the_time_of_the_model_alone_is_told_apart(self) -> None:
        runner, seeds, run_time = FakeRunner(seconds=1.0), Seeds(), Seeds()

        class Slow(Rows):
            def unpack(self, members: Sequence[Member], outputs: Arrays) -> list[Arrays]:
                runner.now += 0.25
                return super().unpack(members, outputs)

        warm(runner, buckets(), seeds, run_time=run_time, packing=Slow(), runs=1)

        assert seeds == [(bucket, 1.25) for bucket in BUCKETS]
        assert run_time == [(bucket, 1.0) for bucket in BUCKETS]


class TestSequences:
    GIVEN = signature(tensor("x", "FP32", -1, -1), outputs=[tensor("y", "FP32", -1, -1)])
    LENGTHS = Lengths((2, 4), {"x": 1}, {"y": (1,)})

    def samples(self, *like: Sample) -> list[Sample]:
        return list(of_buckets(self.GIVEN, (1, 2), like=like, lengths=self.LENGTHS))

    def warm(self, runner: FakeRunner, seeds: Seeds) -> None:
        packing = Rows((), self.LENGTHS)
        warm(runner, self.samples(), seeds, given=self.GIVEN, packing=packing, largest=2)

    def test_every_length_is_run_in_every_batch_and_only_the_longest_timed(self) -> None:
        runner, seeds = FakeRunner(), Seeds()

        self.warm(runner, seeds)

        shapes = [next(iter(inputs.values())).shape for inputs in runner.asked]
        assert shapes == [(1, 2), *[(1, 4)] * 4, (2, 2), *[(2, 4)] * 4]
        assert [size for size, _ in seeds] == [1] * 3 + [2] * 3

    def test_they_are_made_of_what_somebody_wrote_down(self) -> None:
        written = Sample("w", {"x": np.array([[5, 6, 7]], np.float32)}, 1)

        assert [sample.inputs["x"].tolist() for sample in self.samples(written)] == [
            [[5, 6]],
            [[5, 6, 7, 5]],
            [[5, 6]] * 2,
            [[5, 6, 7, 5]] * 2,
        ]

    def test_an_output_of_another_length_fails_the_load(self) -> None:
        with pytest.raises(
            LoadFailed, match=r"sequences of 2 failed: output 'y' has shape \[1, 3\]"
        ):
            self.warm(Answers(np.zeros((1, 3), np.float32)), Seeds())


class TestPacking:
    def test_a_batch_is_made_of_many_requests_and_a_written_one_stays_one(self) -> None:
        given = signature(tensor("x", "INT32", -1, -1), outputs=[tensor("y", "INT32", -1)])
        packing = Ragged(
            frozenset("x"), [BatchInput(Kind.ELEMENT_COUNT, ("n",), "x", np.dtype(np.int32))]
        )
        written = Sample("w", {"x": np.array([[1, 2], [3, 4]], np.int32)}, 2)

        class Counts(FakeRunner):
            def run(self, inputs: Arrays, outputs: Sequence[str], stop: None) -> Any:
                self.asked.append(inputs)
                return [inputs["n"]]

        runner = Counts()
        samples = list(of_buckets(given, (1, 2), like=[written]))
        warm(runner, samples, given=given, packing=packing, runs=1, largest=2)

        assert [inputs["n"].tolist() for inputs in runner.asked] == [[2], [2], [2, 2], [2, 2]]
        with pytest.raises(LoadFailed, match="w failed: output 'y' has shape"):
            warm(runner, [written], given=given, packing=packing)

    def test_a_recorded_request_that_no_bucket_holds_fails_the_load(self) -> None:
        given = signature(tensor("x", "FP32", -1, -1), outputs=[tensor("y", "FP32", -1, 2)])
        written = Sample("w", {"x": np.zeros((1, 9), np.float32)}, 1)

        packing = Rows((), Lengths((4,), {"x": 1}))

        with pytest.raises(LoadFailed, match="w: the inputs have length 9"):
            warm(FakeRunner(), [written], given=given, packing=packing)


class TestMadeUp:
    def test_inputs_fit_and_optional_ones_are_left_out(self) -> None:
        given = signature(
            tensor("text", "BYTES", -1, -1),
            tensor("whole", "INT8", -1, 3),
            tensor("half", "FP16", -1, 1),
            tensor("bits", "BF16", -1, 1),
            tensor("more", "FP32", -1, 1, optional=True),
        )

        arrays = made_up(given, 2)

        assert {name: array.shape for name, array in arrays.items()} == {
            "text": (2, 1), "whole": (2, 3), "half": (2, 1), "bits": (2, 1),
        }  # fmt: skip
        assert arrays["text"].tolist() == [[""], [""]]
        assert arrays["whole"].dtype == np.int8
        assert arrays["half"].dtype == np.float16
        assert arrays["bits"].dtype == np.uint16

    def test_what_is_not_finite_is_doubtful(self) -> None:
        doubts = warm(Answers(np.full((1, 2), np.nan, np.float32)), buckets()[:1])

        assert doubts == ["warm-up with made-up inputs in a batch of 1: output 'y' is not finite"]

    def test_a_model_that_cannot_do_with_it_says_what_to_do(self) -> None:
        class Picky(FakeRunner):
            def answered(self, array: NDArray[Any]) -> NDArray[Any]:
                raise ModelFailed("not a number")

        with pytest.raises(LoadFailed, match="of 1 failed: not a number; declare a model_warmup"):
            warm(Picky(), buckets())


class TestChecks:
    @pytest.mark.parametrize("shape", [(2, 2), (1, 3), (1,), (1, 2, 1)])
    def test_an_answer_of_another_shape_fails_the_load(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(LoadFailed) as caught:
            warm(Answers(np.zeros(shape, np.float32)), buckets()[:1])

        assert f"output 'y' has shape {list(shape)}, expected [1, 2]" in str(caught.value)

    def test_a_size_that_is_left_open_may_be_any(self) -> None:
        given = signature(outputs=[tensor("y", "FP32", -1, -1)])

        warm(Answers(np.zeros((1, 9), np.float32)), buckets(given)[:1], given=given)

    @pytest.mark.parametrize(
        ("datatype", "array"),
        [
            ("FP32", np.array([[0, np.inf]], np.float32)),
            ("FP16", np.array([[0, np.nan]], np.float16)),
            ("BF16", np.array([[0, 0x7FC0]], np.uint16)),
            ("BF16", np.array([[0, 0xFF80]], np.uint16)),
        ],
    )
    def test_an_answer_to_declared_data_must_be_finite(
        self, datatype: str, array: NDArray[Any]
    ) -> None:
        given = signature(outputs=[tensor("y", datatype, -1, 2)])

        with pytest.raises(LoadFailed, match="warm-up 'w': output 'y' is not finite"):
            warm(Answers(array), declared(given), given=given)

    @pytest.mark.parametrize(
        ("datatype", "array"),
        [
            ("BF16", np.array([[0, 0x7F7F]], np.uint16)),
            ("INT32", np.array([[0, -1]], np.int32)),
            ("BYTES", np.array([["nan", ""]], np.object_)),
        ],
    )
    def test_what_is_finite_is_let_through(self, datatype: str, array: NDArray[Any]) -> None:
        given = signature(outputs=[tensor("y", datatype, -1, 2)])

        assert warm(Answers(array), declared(given), given=given) == []


class TestDeclared:
    def test_a_request_runs_as_often_as_it_says(self) -> None:
        runner, seeds = FakeRunner(), Seeds()

        warm(runner, declared(signature(), batch_size=2, count=4), seeds)

        assert [inputs["x"].tolist() for inputs in runner.asked] == [[[0, 0], [0, 0]]] * 4
        assert seeds == []

    def test_a_model_that_does_not_batch_gets_the_dims_alone(self) -> None:
        given = signature(tensor("x", "FP32", 2), max_batch_size=0)

        (sample,) = declared(given)

        assert (sample.rows, sample.inputs["x"].shape) == (1, (2,))

    @pytest.mark.parametrize(
        ("datatype", "data", "values"),
        [
            ("INT16", b"\x01\x00\xff\xff", [[1, -1]]),
            ("BOOL", b"\x00\x02", [[False, True]]),
            ("BYTES", b"\x03\x00\x00\x00zw\xc3\x01\x00\x00\x00\xb6", None),
            ("BYTES", b"\x02\x00\x00\x00\xc3\xb6\x00\x00\x00\x00", [["ö", ""]]),
            ("BYTES", b"\x02\x00\x00\x00ab", None),
            ("BYTES", b"\x09\x00\x00\x00ab", None),
            ("INT16", b"\x01\x00\xff", None),
            ("INT16", b"\x01\x00\xff\xff\x00\x00", None),
        ],
    )
    def test_data_come_from_a_file(
        self, tmp_path: Path, datatype: str, data: bytes, values: list[Any] | None
    ) -> None:
        (tmp_path / "warmup").mkdir()
        (tmp_path / "warmup" / "data").write_bytes(data)
        given = signature(tensor("x", datatype, -1, 2))
        x = {"dims": (2,), "input_data_file": "data"}

        if values is None:
            with pytest.raises(LoadFailed, match=r"^warmup/data"):
                declared(given, tmp_path, x=x)
        else:
            assert declared(given, tmp_path, x=x)[0].inputs["x"].tolist() == values

    def test_a_file_that_is_missing_or_elsewhere_is_named(self, tmp_path: Path) -> None:
        warmup = tmp_path / "repository" / "m" / "warmup"
        warmup.mkdir(parents=True)
        (tmp_path / "secret").write_bytes(bytes(8))
        (warmup / "link").symlink_to(tmp_path / "secret")

        for name, problem in [
            ("none", "cannot read warmup/none: No such file or directory"),
            ("link", "warmup/link is a link that leads out of the model repository"),
            (".", "warmup/. is not a regular file"),
        ]:
            with pytest.raises(LoadFailed) as caught:
                declared(signature(), warmup.parent, x={"dims": (2,), "input_data_file": name})
            assert str(caught.value) == problem


class TestRecorded:
    def test_a_request_runs_once_and_in_the_parts_that_it_would_be_served_in(self) -> None:
        runner, seeds = FakeRunner(), Seeds()
        inputs = {"x": np.arange(12, dtype=np.float32).reshape(6, 2)}

        warm(runner, list(recorded("warmup/a.pb", signature(), inputs)), seeds)

        assert [asked["x"][:, 0].tolist() for asked in runner.asked] == [[0, 2, 4, 6], [8, 10]]
        assert seeds == []

    def test_its_answer_must_be_finite(self) -> None:
        samples = recorded("warmup/a.pb", signature(), {"x": np.ones((1, 2), np.float32)})

        with pytest.raises(LoadFailed, match=r"warmup/a\.pb: output 'y' is not finite"):
            warm(Answers(np.full((1, 2), np.nan, np.float32)), list(samples))

    def test_a_model_that_does_not_batch_gets_it_whole(self) -> None:
        given = signature(tensor("x", "FP32", 9), max_batch_size=0)

        (sample,) = recorded("warmup/a.pb", given, {"x": np.ones(9, np.float32)})

        assert (sample.rows, sample.inputs["x"].shape) == (1, (9,))

    def test_files_are_found_by_their_suffix_in_order(self, tmp_path: Path) -> None:
        assert list(recordings(tmp_path)) == []
        (tmp_path / "warmup").mkdir()
        for name in ("b.pb", "a.pb", "c.bin", "d.pb"):
            (tmp_path / "warmup" / name).write_bytes(name.encode())

        assert list(recordings(tmp_path, but={"d.pb"})) == [("a.pb", b"a.pb"), ("b.pb", b"b.pb")]

    def test_they_belong_to_what_a_model_looks_like(self, tmp_path: Path) -> None:
        before = ModelFiles("m", tmp_path)
        assert with_recordings(before, 1e10) is before
        (tmp_path / "warmup").mkdir()
        path = tmp_path / "warmup" / "a.pb"
        path.write_bytes(b"a")
        now = path.stat().st_ctime + 5.0

        first, again = (with_recordings(before, now) for _ in range(2))
        path.write_bytes(b"longer")
        changed = with_recordings(before, now)

        assert first.config_stamp == again.config_stamp != changed.config_stamp
        assert first.config_age_s == pytest.approx(5.0)


class TestDecoding:
    given = signature(tensor("x", "INT32", -1, 2), tensor("s", "BYTES", -1, 1))

    def decoded(self, request: pb.ModelInferRequest) -> Arrays:
        decode = decoder(max_elements=100)
        return decode(request.SerializeToString(), self.given, "m")

    def request(self) -> pb.ModelInferRequest:
        request = pb.ModelInferRequest(model_name="another")
        request.inputs.add(name="x", datatype="INT32", shape=[1, 2])
        request.inputs.add(name="s", datatype="BYTES", shape=[1, 1])
        return request

    def test_raw_and_typed_contents_are_the_same(self) -> None:
        raw, typed = self.request(), self.request()
        raw.raw_input_contents.extend([np.array([1, 2], "<i4").tobytes(), b"\x02\x00\x00\x00ab"])
        typed.inputs[0].contents.int_contents.extend([1, 2])
        typed.inputs[1].contents.bytes_contents.append(b"ab")

        for request in (raw, typed):
            arrays = self.decoded(request)
            assert {name: array.tolist() for name, array in arrays.items()} == {
                "x": [[1, 2]], "s": [[b"ab"]],
            }  # fmt: skip

    def test_what_does_not_fit_is_refused_as_serving_would(self) -> None:
        short, wrong = self.request(), self.request()
        short.raw_input_contents.append(bytes(8))
        wrong.inputs[0].datatype = "FP32"
        decode = decoder(max_elements=100)

        with pytest.raises(InvalidRequest, match="1 raw_input_contents for 2 inputs"):
            self.decoded(short)
        with pytest.raises(InvalidRequest, match="data-type is 'FP32'"):
            self.decoded(wrong)
        with pytest.raises(InvalidRequest, match="is not a serialised"):
            decode(b"\xff\xff", self.given, "m")
        with pytest.raises(InvalidRequest):
            decode(b"", self.given, "m")


def test_of_a_batch_of_ours_the_first_row_is_a_request() -> None:
    given = signature(tensor("x", "FP32", -1, 2), max_batch_size=4)
    batch = Sample("b", {"x": np.arange(8, dtype=np.float32).reshape(4, 2)}, 4, timed=True)

    request = as_request(batch, given)

    assert (request.rows, request.inputs["x"].tolist()) == (1, [[0, 1]])


def test_what_somebody_wrote_down_is_a_request_as_it_is() -> None:
    given = signature(tensor("x", "FP32", -1, 2), max_batch_size=4)
    written = Sample("w", {"x": np.zeros((3, 2), np.float32)}, 3)

    assert as_request(written, given) is written
