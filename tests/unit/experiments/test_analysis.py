"""From what is on record to what an experiment came to."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from inferd.cache.journal.chain import Entry
from inferd.experiments import report
from inferd.experiments.analysis import Declared, Result, Wanted, analysed
from inferd.experiments.analysis_records import Records

PLAIN = Wanted()
HALVES = Declared({"control": 0.5, "treatment": 0.5})


def entry(kind: str, who: str, at_us: int, **body: Any) -> Entry:
    return Entry(kind, who, at_us, json.dumps(body).encode())


def exposure(who: str, arm: str, at_us: int = 100, revision: int = 1) -> Entry:
    said = {"experiment": "mmr", "revision": revision, "arm": arm, "unit": "user_id"}
    return entry("exposure", who, at_us, window_us=0, **said)


def outcome(who: str, metric: str, at_us: int = 200, amount: float = 1.0, **body: str) -> Entry:
    said = {"event": f"@{at_us}", "request": "", "item": "", **body}
    return entry("outcome", who, at_us, unit="user_id", metric=metric, amount=amount, **said)


def told(
    exposures: Sequence[Entry],
    outcomes: Sequence[Entry] = (),
    declared: Declared = HALVES,
    wanted: Wanted = PLAIN,
) -> Result:
    records = Records()
    records.exposures(exposures)
    records.happened(outcomes)
    (trial,) = records.trials.values()
    score = records.scores().get("mmr")
    return analysed(trial, records.sums(trial), declared, wanted, score=score)


def sized(control: int, treatment: int) -> list[Entry]:
    return [
        *(exposure(f"c{number}", "control") for number in range(control)),
        *(exposure(f"t{number}", "treatment") for number in range(treatment)),
    ]


def values(result: Result, name: str, kind: str) -> list[float]:
    (metric,) = (each for each in result.metrics if (each.name, each.kind) == (name, kind))
    return [each.value for each in metric.samples]


def test_conversions_are_units_and_means_are_amounts() -> None:
    bought = [
        outcome("c0", "purchase", 200, 3.0),
        outcome("c0", "purchase", 300, 2.0),
        outcome("t0", "purchase", 200, 1.0),
        outcome("t1", "purchase", 200, 1.0),
        outcome("stranger", "purchase"),
    ]

    found = told(sized(4, 4), bought)

    assert [(each.name, each.units) for each in found.arms] == [("control", 4), ("treatment", 4)]
    assert values(found, "purchase", "conversion") == [0.25, 0.5]
    assert values(found, "purchase", "mean") == [1.25, 0.5]


def test_what_was_before_the_first_exposure_does_not_count_but_adjusts() -> None:
    seen = [exposure("c0", "control", 150), *sized(2, 2), exposure("c0", "control", 90)]
    did = [outcome("c0", "click", 89), outcome("c0", "click", 90), outcome("t0", "click", 99)]

    found = told(seen, did)

    assert values(found, "click", "mean") == [0.5, 0.0]
    assert "adjusted" in {each.kind for each in found.metrics}


def test_the_same_event_counts_once() -> None:
    did = [outcome("c0", "click", at, event="e1") for at in (200, 201)]

    assert values(told(sized(2, 2), did), "click", "mean") == [0.5, 0.0]


def test_who_was_in_two_arms_is_in_none() -> None:
    seen = [*sized(3, 3), exposure("c0", "treatment", 120)]

    found = told(seen, [outcome("c0", "click")])

    assert found.moved == 1
    assert [each.units for each in found.arms] == [2, 3]
    assert found.metrics == []


def test_ratios_are_of_sums() -> None:
    did = [
        outcome("c0", "impression", amount=10.0),
        outcome("c0", "click", amount=1.0),
        outcome("c1", "impression", amount=30.0),
        outcome("c1", "click", amount=9.0),
        outcome("t0", "impression", amount=10.0),
    ]

    found = told(sized(2, 2), did, wanted=Wanted(ratios=[("click", "impression")]))

    assert values(found, "click/impression", "ratio") == [0.25, 0.0]


def test_arms_of_wrong_sizes_invalidate_the_report_and_it_says_so_first() -> None:
    found = told(sized(500, 400), [outcome("c0", "click")])

    assert found.invalid
    assert found.sample_ratio_p == pytest.approx(0.00085812, rel=1e-4)
    first = report.text([told(sized(3, 3)), found]).splitlines()[0]
    assert first.startswith("INVALID: mmr, revision 1: the arms do not have the sizes declared")
    assert "control 500 (50% declared), treatment 400 (50% declared)" in first
    assert report.values([found])[0]["invalid"] is True


def test_sizes_that_were_declared_so_are_right() -> None:
    declared = Declared({"control": 5 / 9, "treatment": 4 / 9})

    assert not told(sized(500, 400), declared=declared).invalid


def test_after_an_arm_was_stopped_sizes_are_no_longer_compared() -> None:
    after = [exposure(f"late{number}", "control", 1000) for number in range(500)]

    assert told([*sized(50, 50), *after]).invalid
    assert not told([*sized(50, 50), *after], declared=HALVES._replace(stopped_us=500)).invalid


def test_without_declared_weights_sizes_are_not_compared() -> None:
    found = told(sized(500, 1), declared=Declared({}))

    assert found.sample_ratio_p is None
    assert "cannot be checked" in report.text([found])


def test_a_report_names_differences_and_lifts() -> None:
    did = [outcome(f"t{number}", "click") for number in range(40)]
    did += [outcome(f"c{number}", "click") for number in range(20)]

    lines = report.text([told(sized(100, 100), did)]).splitlines()

    assert lines[0] == "mmr, revision 1: 200 units"
    assert any("click" in line and "+0.2" in line and "+100.00%" in line for line in lines)
    assert json.dumps(report.values([told(sized(100, 100), did)]))


def test_each_unit_has_one_vote_on_interleaved_rankings() -> None:
    seen = [exposure(who, "interleaved") for who in ("ann", "bob", "cid", "dan")]
    picks = {"old": ["a", "c"], "new": ["b", "d"]}
    shown = [
        entry("picks", who, 100, experiment="mmr", unit="user_id", request=f"{who}{n}", picks=picks)
        for who in ("ann", "bob", "cid", "dan")
        for n in (1, 2)
    ]
    clicks = [("ann", 1, "b"), ("ann", 2, "d"), ("bob", 1, "a"), ("cid", 1, "a"), ("cid", 2, "b")]
    did = [
        outcome(who, "click", 200 + n, request=f"{who}{n}", item=item) for who, n, item in clicks
    ]

    found = told(seen, [*did, *shown], declared=Declared({}))

    assert found.score is not None
    assert found.score.wins == {"old": 1, "new": 1}
    assert found.score.ties == 1, "dan clicked nothing, which says nothing"
    assert found.score_p == 1.0
    assert "units that clicked more of whose: old 1, new 1; as many of both 1" in report.text(
        [found]
    )
