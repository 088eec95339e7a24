"""The last events, sorted by event time."""

from inferd.features.windows.ring import Event, Ring


def event(event_us: int, name: str = "") -> Event:
    return event_us, (name, True)


def test_events_are_sorted_by_time_and_those_of_one_time_by_arrival() -> None:
    ring = Ring(9)
    events = [event(2, "first"), event(1), event(3), event(2, "second")]

    assert [ring.add(each) for each in events] == [None] * 4
    assert ring.all() == [event(1), event(2, "first"), event(2, "second"), event(3)]


def test_when_it_is_full_the_oldest_goes_also_if_it_has_just_come() -> None:
    ring = Ring(2)
    ring.add(event(5))
    ring.add(event(7))

    assert ring.add(event(6)) == event(5)
    assert ring.add(event(1)) == event(1)
    assert ring.all() == [event(6), event(7)]


def test_between_two_times_is_without_the_first_and_with_the_second() -> None:
    ring = Ring(9, [event(time) for time in range(6)])

    assert ring.between(1, 4) == [event(2), event(3), event(4)]
    assert ring.pop_until(1) == [event(0), event(1)]
    assert len(ring.all()) == 4
