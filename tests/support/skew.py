"""A log of what happened to a few users and shops, and questions about them, for tests of skew.

It was written by `write`, in tests/golden/skew, and the vectors by `inferd vectors`. Nothing in it
is near the edge of a window or of an age when the last questions are asked, so that they may be
asked a little later, too. Amounts are of quarters, whose sums are exact.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

US = 1_000_000
MINUTE = 60 * US
GOLDEN = Path(__file__).parents[1] / "golden" / "skew"
NAMES = "profile", "session", "spending", "takings", "risk"

#: When the last questions are asked.
END_US = 1_760_000_000 * US
BEGIN_US = END_US - 129 * MINUTE
USERS = range(1, 13)
SHOPS = "bakery", "books", "späti"
#: Of lines: events, rows of two views, questions about two entities.
KINDS = "payment", "profile", "session", "user", "merchant"
#: Before the end, in minutes: too near the edge of a window, an age or a time to live.
EDGES = (10, 2), (30, 2), (60, 3), (120, 3)


def log() -> Iterator[dict[str, Any]]:
    """Yield what happened, in the order in which it came."""
    random = Random(22)
    for number, at_us in enumerate(_times(random, 400)):
        yield _happening(random, number, at_us)
        if number % 97 == 96:  # the same once more, and one that is late
            yield _payment(random, f"e{number}x", at_us, user=1)
            yield _payment(random, f"e{number}x", at_us, user=1)
            yield _payment(random, f"e{number}y", at_us - 20 * US, user=1)
    for user in [*USERS, 404]:
        yield _question("user", user, END_US, {"basket": user / 4} if user % 3 else {})
    for shop in [*SHOPS, "nowhere"]:
        yield _question("merchant", shop, END_US, {})


def write() -> None:
    """Write the golden log anew."""
    lines = (json.dumps(line, ensure_ascii=False, separators=(",", ":")) for line in log())
    (GOLDEN / "log.jsonl").write_text("\n".join([*lines, ""]), encoding="utf-8")


def shifted(line: Mapping[str, Any], by_us: int) -> dict[str, Any]:
    """Return a line as if it had happened so much later."""
    ((what, said),) = line.items()
    key = "at_us" if what == "ask" else "event_time_us"
    return {what: {**said, key: said[key] + by_us}}


def read(name: str) -> list[dict[str, Any]]:
    """Return the lines of a golden file."""
    lines = (GOLDEN / name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def _times(random: Random, number: int) -> list[int]:
    times = (random.randrange(BEGIN_US, END_US - MINUTE) for _ in range(number * 2))
    return sorted([at for at in times if not _near_an_edge(at)][:number])


def _near_an_edge(at_us: int) -> bool:
    ago_us = END_US - at_us
    return any(abs(ago_us - edge * MINUTE) < near * MINUTE for edge, near in EDGES)


def _happening(random: Random, number: int, at_us: int) -> dict[str, Any]:
    # The last users are seen early, and then no more.
    user = random.choice(USERS if at_us < END_US - 100 * MINUTE else USERS[:8])
    (kind,) = random.choices(KINDS, (12, 2, 3, 2, 1))
    if kind == "payment":
        return _payment(random, f"e{number}", at_us, user)
    if kind == "user":
        return _question(kind, user, at_us, {"basket": random.randrange(200) / 4})
    if kind == "merchant":
        return _question(kind, random.choice(SHOPS), at_us, {})
    if kind == "profile":
        values = {
            "country": random.choice(["NL", "BE", "FR", "DE"]),
            "age": random.choice([17, 18, 41, None]),
            "taste": [random.randrange(9) / 8, random.randrange(9) / 8],
            "token": "AAEC",
        }
    else:
        values = {"clicks": random.randrange(9), "premium": random.choice([True, False, None])}
    some = {name: value for name, value in values.items() if random.random() < 0.8}
    return {"row": {"view": kind, "id": user, "event_time_us": at_us, "values": some}}


def _payment(random: Random, id: str, at_us: int, user: int) -> dict[str, Any]:
    fields = {
        "user": user,
        "shop": random.choice([*SHOPS, None]),
        "amount": random.randrange(4, 4000) / 4,
        "items": random.randrange(1, 9),
        "device": random.choice(["phone", "tablet", "desk", None]),
    }
    said = {name: value for name, value in fields.items() if value is not None}
    return {"event": {"event": "payment", "event_id": id, "event_time_us": at_us, "fields": said}}


def _question(entity: str, id: object, at_us: int, request: Mapping[str, Any]) -> dict[str, Any]:
    return {"ask": {"entity": entity, "id": id, "at_us": at_us, "request": dict(request)}}
