"""Callers of models whose batches are more than rows under rows, over the wire."""

import asyncio
import random
import re
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import inferd_client
from inferd_client import AsyncClient, RetryPolicy
from support.server import Server

AMPLE_S = 30.0
ONCE = RetryPolicy(max_attempts=1)

Arrays = dict[str, NDArray[Any]]


async def answers(server: Server, model: str, questions: list[Arrays]) -> list[Any]:
    """Ask all of them at once."""
    async with AsyncClient(server.address, retry=ONCE) as client:
        return await asyncio.gather(
            *(client.infer(model, each, timeout_s=AMPLE_S) for each in questions),
            return_exceptions=True,
        )


async def test_sequences_of_any_length_share_a_batch(server: Server) -> None:
    rng = random.Random(1)
    lists = [[rng.randrange(-100, 100) for _ in range(rng.randrange(1, 12))] for _ in range(64)]

    found = await answers(server, "ragged", [{"INPUT": np.array([x], np.int32)} for x in lists])

    for values, answer in zip(lists, found, strict=True):
        assert answer["SUM"].tolist() == [[sum(values)]]
        assert answer["DOUBLE"].tolist() == [[2 * value for value in values]]


async def test_sequences_are_as_long_as_they_were_when_they_come_back(server: Server) -> None:
    rng = np.random.default_rng(1)
    table = np.array([1, 20, 300, 4000, 50000], np.float32)
    tokens = [rng.integers(0, 5, (rng.integers(1, 4), rng.integers(1, 17))) for _ in range(64)]
    questions = [{"TOKENS": each, "ATTENTION_MASK": np.ones_like(each)} for each in tokens]

    found = await answers(server, "sequence_buckets", questions)

    for each, answer in zip(tokens, found, strict=True):
        assert answer["SCORES"].tolist() == table[each].tolist()
        np.testing.assert_allclose(answer["MEAN"], table[each].mean(1, keepdims=True), rtol=1e-5)


async def test_sequences_that_no_bucket_holds_or_that_do_not_match_are_refused(
    server: Server,
) -> None:
    def question(tokens: int, mask: int) -> Arrays:
        return {
            "TOKENS": np.zeros((1, tokens), np.int64),
            "ATTENTION_MASK": np.ones((1, mask), np.int64),
        }

    long, unequal, good = await answers(
        server, "sequence_buckets", [question(17, 17), question(3, 2), question(16, 16)]
    )

    assert isinstance(long, inferd_client.InvalidRequest)
    assert "have length 17, the model takes at most 16" in str(long)
    assert isinstance(unequal, inferd_client.InvalidRequest)
    assert "must have one length" in str(unequal)
    assert good["SCORES"].shape == (1, 16)


@pytest.mark.parametrize("rows", [1, 3, 4, 9])
async def test_a_graph_of_a_fixed_batch_takes_any_number_of_rows(server: Server, rows: int) -> None:
    x = np.random.default_rng(rows).standard_normal((rows, 16)).astype(np.float32)

    found = await answers(server, "fixed_batch", [{"INPUT0": x}] * 8)
    one_by_one = await answers(server, "fixed_batch", [{"INPUT0": row[None]} for row in x])

    expected = np.concatenate([answer["OUTPUT0"] for answer in one_by_one])
    for answer in found:
        assert answer["OUTPUT0"].tolist() == expected.tolist(), "every run has four rows"


async def test_every_row_that_was_run_is_counted_and_those_of_padding_apart(
    server: Server,
) -> None:
    await answers(server, "fixed_batch", [{"INPUT0": np.zeros((1, 16), np.float32)}] * 5)

    page = server.get("/metrics")

    def counted(name: str) -> float:
        (found,) = re.findall(rf'^{name}\{{[^}}]*model="fixed_batch"[^}}]*\}} (\S+)$', page, re.M)
        return float(found)

    run = 4 * counted("nv_inference_exec_count")
    assert run == counted("nv_inference_count") + counted("inferd_padding_rows_total")
    assert run > 0
