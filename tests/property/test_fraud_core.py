"""What speaks against a transaction never makes it look better; whatever comes is decided on."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferd.config.reading import Refused
from inferd.services.fraud.declared_rules import Declared
from inferd.services.fraud.expiring import Expiring, NoRoom
from inferd.services.fraud.money import MAX_MINOR, decimals, minor_units
from inferd.services.fraud.policy import Policy
from inferd.services.fraud.scoring import Model, risk
from inferd.services.fraud.transactions import Payment
from inferd.services.fraud.verdict import after_models, before_models
from inferd.services.fraud.vocabulary import Action
from support.fraud import policy, rule, rule_set, values

SHARE = st.floats(0, 1)
RAW = st.floats(allow_nan=False, allow_infinity=False)
NAMES = ("a", "b", "c")


@st.composite
def models(draw: st.DrawFn) -> Model:
    raws = draw(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=5, unique=True))
    chances = draw(st.lists(SHARE, min_size=len(raws), max_size=len(raws)))
    knots = tuple(zip(sorted(raws), sorted(chances), strict=True))
    return Model(weight=draw(st.floats(1e-300, 1000)), calibration=knots)


def violation(at: int, score: float) -> Declared:
    return Declared(id=f"r{at}", when="true", action=Action.REVIEW, score=score)


VIOLATIONS = st.lists(SHARE, max_size=5).map(
    lambda scores: [violation(at, score) for at, score in enumerate(scores)]
)
MODELS = st.fixed_dictionaries({name: models() for name in NAMES})
SCORES = st.dictionaries(st.sampled_from(NAMES), RAW)


@given(MODELS, SCORES, VIOLATIONS)
def test_a_risk_is_between_0_and_1_and_shares_are_1(
    known: dict[str, Model], raw: dict[str, float], against: list[Declared]
) -> None:
    found = risk(known, raw, against)

    assert 0 <= found.score <= 1
    shares = [each.contribution for each in found.reasons]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1) or not any(shares)


@given(MODELS, SCORES, VIOLATIONS, st.sampled_from(NAMES), RAW)
def test_a_higher_score_never_lowers_the_risk(
    known: dict[str, Model], raw: dict[str, float], against: list[Declared], name: str, other: float
) -> None:
    low, high = sorted((raw.get(name, other), other))

    before = risk(known, {**raw, name: low}, against)
    after = risk(known, {**raw, name: high}, against)

    assert after.score >= before.score


@given(MODELS, SCORES, VIOLATIONS, st.integers(0, 5), SHARE)
def test_one_more_violation_never_lowers_the_risk(
    known: dict[str, Model], raw: dict[str, float], against: list[Declared], at: int, score: float
) -> None:
    more = [*against[:at], violation(9, score), *against[at:]]

    assert risk(known, raw, more).score >= risk(known, raw, against).score


ACTIONS = ("ALLOW", "BLOCK", "REVIEW", "SCORE")
WORLD = rule_set(
    *(
        rule(f"{action}_{at}".lower(), f"user.count / {at} % 2 == 1", action, **said)
        for at, (action, said) in enumerate(
            [
                *((action, {}) for action in ACTIONS),
                *((action, {"mode": "shadow"}) for action in ACTIONS),
                ("BLOCK", {"severity": "HIGH"}),
                ("BLOCK", {"severity": "CRITICAL", "mode": "shadow"}),
            ],
            start=1,
        )
    ),
    rule("moves", "user.speed > 900.0"),
)
POLICY = policy(models={name: {} for name in NAMES})


@given(
    st.integers(-(2**63), 2**63 - 1) | st.none(),
    st.floats() | st.none(),
    st.dictionaries(st.sampled_from(NAMES), st.none() | st.floats()),
    st.booleans(),
)
def test_whatever_comes_there_is_a_verdict_and_it_rests_on_live_rules_only(
    count: int | None, speed: float | None, scores: dict[str, float | None], features_failed: bool
) -> None:
    known = values(user__count=count, user__speed=speed)
    payment = Payment(1000, "EUR")
    verdicts = []
    for exhaustive in (False, True):
        report = WORLD.evaluate(known, exhaustive=exhaustive)
        verdicts.append(
            before_models(report, features_failed=features_failed)
            or after_models(report, scores, payment, POLICY)
        )
        shadows = {each.id for each in report.shadow_violations}
        assert not shadows & {each.id for each in report.violations}
        assert verdicts[-1].rule not in shadows

    assert verdicts[0] == verdicts[1]
    assert 0 <= verdicts[0].score <= 1


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, MAX_MINOR))
def test_a_higher_score_never_leads_to_less_care(one: float, other: float, amount: int) -> None:
    payment = Payment(amount, "EUR")
    low, high = (POLICY.choose(score, payment) for score in sorted((one, other)))

    assert low.decision <= high.decision
    assert low.level <= high.level


EDGE = st.integers(0, 4)


@given(
    st.lists(
        st.tuples(
            EDGE,
            EDGE | st.none(),
            st.none() | st.just(["travel"]) | st.just(["other"]),
            st.none() | st.just(["new"]) | st.just(["other"]),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_a_policy_is_taken_only_if_one_band_applies_to_each_transaction(
    bands: list[tuple[int, int | None, list[str] | None, list[str] | None]],
) -> None:
    def applying(amount: int, category: str, segment: str) -> list[str]:
        return [
            f"b{at}"
            for at, (low, high, categories, segments) in enumerate(bands)
            if low <= amount
            and (high is None or amount < high)
            and category in (categories or [category])
            and segment in (segments or [segment])
        ]

    world = [*product(range(6), ("travel", "other"), ("new", "other"))]
    sound = all(len(applying(*each)) == 1 for each in world) and all(
        high is None or low < high for low, high, _, _ in bands
    )
    read: Policy | None = None
    try:
        read = policy(
            *(
                {
                    "name": f"b{at}",
                    "at_least_minor": low,
                    "below_minor": high,
                    "merchant_categories": categories,
                    "segments": segments,
                    "block": 0.5,
                }
                for at, (low, high, categories, segments) in enumerate(bands)
            )
        )
    except Refused:
        assert not sound
    if read is not None:
        for amount, category, segment in world:
            found = read.choose(0.1, Payment(amount, "EUR", category, segment)).band
            assert [found] == applying(amount, category, segment)


@given(st.integers(0, 10**12), st.sampled_from(["EUR", "JPY", "KWD", "CLF"]))
def test_money_survives_being_a_float(minor: int, currency: str) -> None:
    assert minor_units(minor / 10 ** decimals(currency), currency) == minor


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 20), st.integers(0, 3), st.booleans())))
def test_what_is_there_until_a_time_is_there_until_then(
    steps: list[tuple[int, int, int, bool]],
) -> None:
    there: Expiring[int] = Expiring(3)
    model: dict[int, int] = {}
    now = 0
    for key, until, passes, adds in steps:
        now += passes
        model = {each: end for each, end in model.items() if end > now}
        if not adds:
            assert there.remove(key, now) is (model.pop(key, None) is not None)
        elif until > now and key not in model and len(model) == 3:
            with pytest.raises(NoRoom):
                there.add(key, until, now)
        else:
            new = until > now and key not in model
            assert there.add(key, until, now) is new
            model[key] = until
            model = {each: end for each, end in model.items() if end > now}
        assert dict(there.items(now)) == model
