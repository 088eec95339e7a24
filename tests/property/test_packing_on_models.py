"""Whoever shares a batch gets what it gets alone, from real sessions of the test repository."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferd.config import Inference, Runtime
from inferd.errors import LoadFailed, ModelFailed
from inferd.inference.batch import Batch
from inferd.inference.loading import Loaded, Loader, Source
from inferd.inference.repository.layout import read_model
from inferd.inference.repository.model_config import config_from
from inferd.inference.request import Request, Tensors
from inferd.services.open_inference.model_config_text import parse_pbtxt

REPOSITORY = Path(__file__).parents[1] / "repository"


def clock() -> float:
    return 0.0


def load(name: str, more: str = "") -> Loaded:
    """Load a model, with more text in its configuration."""
    files = read_model(REPOSITORY / name, root=REPOSITORY, wall_now=1e12)
    assert files is not None
    config = config_from(parse_pbtxt((files.config or "") + more), model=name)
    loader = Loader(Inference(warmup_runs=1), Runtime(), cores=1, clock=clock)
    source = Source(name, 1, files.versions[1], files.directory, config)
    return loader.load(source, lambda: None)


loaded = cache(load)


class Waiting:
    """The future of a caller who stays."""

    def done(self) -> bool:
        return False


def asked(model: Loaded, inputs: Tensors, rows: int) -> Request:
    outputs = tuple(each.name for each in model.signature.outputs)
    request = Request(outputs=outputs, rows=rows, deadline=1.0, arrived=0.0)
    request.inputs = inputs
    request.future = cast(Any, Waiting())
    return request


def answers(model: Loaded, requests: Sequence[Request]) -> list[Any]:
    session = model.sessions[0][0]
    batch = Batch(requests, session.stop())
    batch.run(session, clock, model.packing)
    assert batch.clean
    return batch.results


def check_strangers(model: Loaded, requests: Sequence[Request], *, exact: bool = True) -> None:
    """Compare what everyone gets together with what each gets alone, group by group."""
    groups: dict[Any, list[Request]] = {}
    for request in requests:
        groups.setdefault(model.packing.key(request.inputs), []).append(request)
    for group in groups.values():
        for request, together in zip(group, answers(model, group), strict=True):
            (alone,) = answers(model, [request])
            assert together.keys() == alone.keys()
            for name in together:
                assert together[name].shape == alone[name].shape
                assert together[name].dtype == alone[name].dtype
                if exact or together[name].dtype.kind != "f":
                    assert (together[name] == alone[name]).all()
                else:
                    np.testing.assert_allclose(together[name], alone[name], rtol=1e-5, atol=1e-6)


def rows_of(most: int) -> st.SearchStrategy[list[int]]:
    """Rows of requests that fit into one batch."""
    return st.lists(st.integers(1, most), min_size=1, max_size=most).filter(
        lambda rows: sum(rows) <= most
    )


SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=40, deadline=None)
@given(rows_of(4), SEEDS)
def test_a_graph_with_a_fixed_batch_dimension(rows: list[int], seed: int) -> None:
    model, rng = loaded("fixed_batch"), np.random.default_rng(seed)
    requests = [
        asked(model, {"INPUT0": rng.standard_normal((each, 16)).astype(np.float32)}, each)
        for each in rows
    ]

    # Bit for bit, for every run has the same size.
    check_strangers(model, requests)
    for request, answer in zip(requests, answers(model, requests), strict=True):
        assert answer["OUTPUT0"].shape == (request.rows, 8)


@settings(max_examples=40, deadline=None)
@given(rows_of(8), SEEDS)
def test_batch_buckets(rows: list[int], seed: int) -> None:
    model, rng = loaded("batch_buckets"), np.random.default_rng(seed)
    requests = [
        asked(
            model,
            {
                "INPUT0": rng.standard_normal((each, 16)).astype(np.float32),
                "TEXT": np.array([[f"{at}/{row}"] for row in range(each)], np.object_),
            },
            each,
        )
        for at, each in enumerate(rows)
    ]

    check_strangers(model, requests, exact=False)  # other sizes, other kernels
    for at, answer in enumerate(answers(model, requests)):
        assert answer["TEXT_OUT"].tolist() == [[f"{at}/{row}"] for row in range(rows[at])]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(-1000, 1000), max_size=9), min_size=1, max_size=8))
def test_ragged_requests(lists: list[list[int]]) -> None:
    model = loaded("ragged")
    requests = [asked(model, {"INPUT": np.array([each], np.int32)}, 1) for each in lists]

    check_strangers(model, requests)
    for values, answer in zip(lists, answers(model, requests), strict=True):
        assert answer["SUM"].tolist() == [[sum(values)]]
        assert answer["DOUBLE"].tolist() == [[2 * value for value in values]]


@st.composite
def sequences(draw: st.DrawFn) -> list[tuple[int, int, int]]:
    """Rows, length and unmasked length of requests."""
    found, rows = [], draw(rows_of(8))
    for each in rows:
        length = draw(st.integers(1, 16))
        found.append((each, length, draw(st.integers(0, length))))
    return found


@settings(max_examples=60, deadline=None)
@given(sequences(), SEEDS)
def test_sequence_buckets(shapes: list[tuple[int, int, int]], seed: int) -> None:
    model, rng = loaded("sequence_buckets"), np.random.default_rng(seed)
    table = np.array([1, 20, 300, 4000, 50000], np.float32)
    requests = []
    for rows, length, unmasked in shapes:
        mask = np.zeros((rows, length), np.int64)
        mask[:, :unmasked] = 1
        tokens = rng.integers(0, 5, (rows, length))
        requests.append(asked(model, {"TOKENS": tokens, "ATTENTION_MASK": mask}, rows))

    check_strangers(model, requests)
    for request in requests:
        (answer,) = answers(model, [request])
        tokens, mask = request.inputs["TOKENS"], request.inputs["ATTENTION_MASK"]
        assert (answer["SCORES"] == table[tokens]).all(), "as long as what was sent"
        means = (table[tokens] * mask).sum(1, keepdims=True) / np.maximum(
            mask.sum(1, keepdims=True), 1
        )
        np.testing.assert_allclose(answer["MEAN"], means, rtol=1e-6)


def test_the_packing_changes_nothing_that_the_model_would_have_said_itself() -> None:
    """The same graph, served as it is: no buckets, each request alone."""
    free = load("sequence_buckets", 'parameters { key: "inferd.sequence_buckets"'
                ' value { string_value: "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16" } }')  # fmt: skip
    tokens = np.arange(10).reshape(2, 5) % 5
    inputs = {"TOKENS": tokens, "ATTENTION_MASK": np.ones((2, 5), np.int64)}

    (padded,) = answers(loaded("sequence_buckets"), [asked(loaded("sequence_buckets"), inputs, 2)])
    (plain,) = answers(free, [asked(free, inputs, 2)])

    assert (padded["SCORES"] == plain["SCORES"]).all()
    np.testing.assert_allclose(padded["MEAN"], plain["MEAN"], rtol=1e-6)


def test_every_bucket_has_been_run_before_a_version_is_ready() -> None:
    assert loaded("fixed_batch").latency.buckets == (4,)
    assert loaded("batch_buckets").latency.buckets == (1, 4, 8)
    assert loaded("fixed_batch").policy.max_batch == 4


def test_poison_in_a_ragged_batch_fails_alone() -> None:
    """A request of two rows, of which the graph makes one, is its sender's problem only."""
    model = loaded("ragged")
    good = asked(model, {"INPUT": np.array([[1, 2]], np.int32)}, 1)
    bad = asked(model, {"INPUT": np.array([[3], [4]], np.int32)}, 2)
    session = model.sessions[0][0]
    batch = Batch([good, bad, good], session.stop())

    batch.run(session, clock, model.packing)

    assert [isinstance(result, ModelFailed) for result in batch.results] == [False, True, False]
    assert batch.results[0]["SUM"].tolist() == [[3]]  # type: ignore[index]


def test_a_model_with_two_variable_dimensions_has_no_sequences() -> None:
    buckets = 'parameters { key: "inferd.sequence_buckets" value { string_value: "4" } }'

    with pytest.raises(LoadFailed, match="'INPUT0' has the shape"):
        load("sequence_any", buckets)
