"""Whatever comes in whichever order, however long it takes: one at a time, in order, and all."""

import asyncio
from collections import defaultdict
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from inferd.streaming.lanes import Lanes
from inferd.streaming.offsets import Offsets
from support.streams import FakePredictor, Streaming, body
from support.streams import settings as stream_settings
from support.virtual_time import VirtualTimeLoop


@given(keys=st.lists(st.sampled_from("abc"), max_size=40), data=st.data())
def test_each_keys_items_are_begun_in_order_and_one_at_a_time(keys: list[str], data: Any) -> None:
    lanes: Lanes[int] = Lanes()
    begun: dict[str, list[int]] = defaultdict(list)
    working: dict[str, int] = {}
    left = [*enumerate(keys)]
    while left or working:
        if left and (not working or data.draw(st.booleans())):
            number, key = left.pop(0)
            if lanes.enter(key, number):
                assert key not in working
                working[key] = number
                begun[key].append(number)
        else:
            key = data.draw(st.sampled_from(sorted(working)))
            del working[key]
            if (number_or_none := lanes.leave(key)) is not None:
                working[key] = number_or_none
                begun[key].append(number_or_none)

    assert len(lanes) == 0
    for key in "abc":
        assert begun[key] == [number for number, each in enumerate(keys) if each == key]


@given(st.permutations(range(1, 13)))
def test_a_file_is_done_with_up_to_the_first_line_that_is_not(order: list[int]) -> None:
    offsets, finished = Offsets(0), set[int]()
    for end in range(1, 13):
        offsets.handed_out(end)
    for end in order:
        offsets.finished([end])
        finished.add(end)
        first_open = next((n for n in range(1, 14) if n not in finished), 13)
        assert offsets.done == first_open - 1


@settings(deadline=None, max_examples=50)
@given(
    events=st.lists(
        st.tuples(st.sampled_from(["", "u", "v"]), st.integers(0, 3), st.booleans()), max_size=30
    ),
    batch=st.integers(1, 8),
    max_in_hand=st.integers(1, 8),
)
def test_every_event_has_one_result_or_one_letter_and_users_have_theirs_in_order(
    events: list[tuple[str, int, bool]], batch: int, max_in_hand: int
) -> None:
    async def run() -> None:
        async def answer(row: list[float]) -> float:
            await asyncio.sleep(events[int(row[0])][1] / 1000)
            return row[0]

        bodies = [
            body(f"e{n}", user, amount=n) if good else b"{"
            for n, (user, _, good) in enumerate(events)
        ]
        told = stream_settings(batch=batch, max_in_hand=max_in_hand)
        it = Streaming(told, *bodies, predictor=FakePredictor(answer))

        await it.run()

        good = [n for n, each in enumerate(events) if each[2]]
        assert sorted(it.ids) == sorted(f"e{n}" for n in good)
        assert len(it.buried) == len(events) - len(good)
        assert it.source.unacknowledged == {}
        for user in "uv":
            told_ones = [each["prediction"] for each in it.published if each["user_id"] == user]
            assert told_ones == [n for n in good if events[n][0] == user]

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(run())
