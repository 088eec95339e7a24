"""Rules are checked before they are used, evaluated in order, and never raise."""

from typing import Any

import pytest

from inferd.config.reading import Refused
from inferd.services.fraud.rules import RuleSet
from inferd.services.fraud.vocabulary import Action, Outcome
from support.fraud import KNOWN, rule, rule_set, rules_text, values

HIT, NO_HIT, SKIPPED = Outcome.HIT, Outcome.NO_HIT, Outcome.NOT_EVALUATED


def outcomes(rules: RuleSet, **said: Any) -> dict[str, Outcome]:
    report = rules.evaluate(values(), **said)
    return {each.rule.declared.id: each.outcome for each in report.results}


def test_allow_comes_before_block_and_block_before_review_the_gravest_first() -> None:
    rules = rule_set(
        rule("s"),
        rule("r1", action="REVIEW"),
        rule("b", action="BLOCK"),
        rule("grave", action="BLOCK", severity="HIGH"),
        rule("gravest", action="BLOCK", severity="CRITICAL"),
        rule("r2", action="REVIEW"),
        rule("a", action="ALLOW"),
    )

    ids = [each.declared.id for each in rules.rules]

    assert ids == ["a", "gravest", "grave", "b", "r1", "r2", "s"]


def test_a_rule_that_allows_decides_before_a_grave_one_and_nothing_follows() -> None:
    rules = rule_set(
        rule("grave", action="BLOCK", severity="CRITICAL"), rule("a", action="ALLOW"), rule("s")
    )

    report = rules.evaluate(values())

    assert report.decisive is not None
    assert report.decisive.declared.action is Action.ALLOW
    assert outcomes(rules) == {"a": HIT, "grave": SKIPPED, "s": SKIPPED}
    assert report.violations == []


def test_a_grave_rule_decides_and_nothing_follows() -> None:
    rules = rule_set(rule("s"), rule("grave", action="BLOCK", severity="HIGH"))

    assert outcomes(rules) == {"grave": HIT, "s": SKIPPED}


def test_asked_for_all_what_follows_a_decision_is_evaluated_and_the_decision_is_the_same() -> None:
    rules = rule_set(rule("s"), rule("a", "user.count > 5", "ALLOW"), rule("b", action="BLOCK"))

    assert outcomes(rules, exhaustive=True) == {"a": NO_HIT, "b": HIT, "s": HIT}
    assert rules.evaluate(values(), exhaustive=True).decisive == rules.evaluate(values()).decisive


def test_a_block_that_is_not_grave_does_not_decide_alone() -> None:
    rules = rule_set(rule("b", action="BLOCK", severity="MEDIUM"), rule("s"))

    report = rules.evaluate(values())

    assert report.decisive is None
    assert [each.id for each in report.violations] == ["b", "s"]


@pytest.mark.parametrize("action", ["ALLOW", "BLOCK", "REVIEW", "SCORE"])
def test_a_shadow_rule_is_told_of_and_changes_nothing(action: str) -> None:
    severity = "HIGH" if action == "BLOCK" else "LOW"
    rules = rule_set(rule("trial", action=action, severity=severity, mode="shadow"), rule("s"))

    report = rules.evaluate(values())

    assert report.decisive is None
    assert [each.id for each in report.violations] == ["s"]
    assert [each.id for each in report.shadow_violations] == ["trial"] * (action != "ALLOW")
    assert outcomes(rules)["trial"] is HIT


def test_a_rule_that_is_off_is_checked_and_not_evaluated() -> None:
    rules = rule_set(rule("off", mode="off"), rule("on"))

    assert outcomes(rules) == {"on": HIT}
    assert [each.declared.id for each in rules.off] == ["off"]
    with pytest.raises(Refused, match=r"rules\.off\.when"):
        rule_set(rule("off", "user.cuont > 1", mode="off"))


def test_a_snoozed_rule_is_left_out_even_if_it_would_decide() -> None:
    rules = rule_set(rule("grave", action="BLOCK", severity="HIGH"), rule("s"))

    assert outcomes(rules, snoozed={"grave"}) == {"grave": Outcome.SNOOZED, "s": HIT}


def test_a_rule_that_cannot_tell_is_an_error_and_no_exception() -> None:
    rules = rule_set(
        rule("needs", "user.speed > 900.0 && user.count > 0"),
        rule("divides", "1 / (user.count - 1) > 0"),
        rule("handles", "user.speed == null || user.speed > 900.0"),
    )

    needs, divides, handles = rules.evaluate(values(user__speed=None)).results

    assert (needs.outcome, needs.error) == (Outcome.ERROR, "not known: user.speed")
    assert (divides.outcome, divides.error) == (
        Outcome.ERROR,
        "its values cannot be computed with",
    )
    assert handles.outcome is HIT


def test_values_that_nobody_gave_are_not_known_and_lists_are_empty() -> None:
    rules = rule_set(rule("needs", "user.count > 1"), rule("listed", "lists.blocked_user"))

    needs, listed = rules.evaluate({}).results

    assert (needs.outcome, listed.outcome) == (Outcome.ERROR, NO_HIT)


def test_a_text_that_cannot_be_told_from_another_is_an_error() -> None:
    rules = rule_set(rule("home", 'transaction.country == "NL"'))

    (result,) = rules.evaluate(values(transaction__country="NL\0")).results

    assert result.outcome is Outcome.ERROR


@pytest.mark.parametrize(
    ("live", "broken", "failed"),
    [
        (0, 0, False),
        (1, 0, False),
        (1, 1, True),
        (2, 1, False),
        (2, 2, True),
        (3, 1, False),
        (3, 2, True),
    ],
)
def test_rules_failed_when_more_than_half_of_the_live_ones_cannot_tell(
    live: int, broken: int, failed: bool
) -> None:
    rules = rule_set(
        *(rule(f"x{at}", "user.speed > 1.0") for at in range(broken)),
        *(rule(f"y{at}", "false") for at in range(live - broken)),
        *(rule(f"z{at}", "user.speed > 1.0", mode="shadow") for at in range(3)),
    )

    assert rules.evaluate(values(user__speed=None)).failed is failed


def test_a_misspelt_field_is_refused_and_the_right_one_is_named() -> None:
    with pytest.raises(Refused) as refused:
        rule_set(rule("fast", "user.sped > 900.0"), rule("many", "user.count > 1.5 +"))

    first, second = refused.value.problems
    assert first.startswith("rules.fast.when: undeclared reference to 'user")
    assert second.startswith("rules.many.when: Syntax error")


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (rule("x", "user.count + 1"), "rules.x.when: it is int64, and a rule matches or does not"),
        (rule("x", "user.count > 1.0 * user.count"), "rules.x.when: found no matching overload"),
        (rule("x", action="DENY"), "rules.x.action: one of ALLOW, BLOCK, REVIEW, SCORE, got"),
        (rule("x", severity="SEVERE"), "rules.x.severity: one of LOW, MEDIUM, HIGH, CRITICAL"),
        (rule("x", mode="maybe"), "rules.x.mode: one of LIVE, SHADOW, OFF"),
        (rule("x", score=1.5), "rules.x.score: .*less than or equal to 1"),
        (rule("x", score=float("nan")), "rules.x.score: "),
        (rule("x", score=0), "rules.x: score: it is all that the rule would do"),
        (rule("x", action="ALLOW", score=0.5), "rules.x: score, severity: a rule that allows"),
        (rule("x", action="REVIEW", severity="HIGH"), "rules.x: action: what is HIGH is to BLOCK"),
        (rule("X"), "rules.X.id: .*pattern"),
        (rule("x", weight=1), "rules.x.weight: no such key"),
        ({"id": "x", "when": "true"}, "rules.x.action: it is required$"),
        (rule("x", "user:count > 1"), "^rules.x.when: here user:count is user.count$"),
        (rule("x", "transaction.country.matches('(')"), "^rules.x.when: invalid regular expr.*RE2"),
    ],
)
def test_what_is_wrong_with_a_rule_is_told_with_its_path(
    said: dict[str, Any], problem: str
) -> None:
    with pytest.raises(Refused, match=problem):
        rule_set(said)


def test_a_variable_that_is_known_and_not_declared_is_told_with_what_to_write() -> None:
    text = rules_text(rule("x", "user.count > 1"), variables={"user.speed": "float64"})

    with pytest.raises(Refused) as refused:
        RuleSet.read(text, KNOWN)

    assert refused.value.problems == (
        "rules.x.when: not declared; under `variables` there must be `user.count: int64`",
    )


def test_features_have_a_dot_also_where_they_are_declared() -> None:
    with pytest.raises(Refused, match=r"^variables.user:count\S*: here it is user.count"):
        RuleSet.read(rules_text(rule("x"), variables={"user:count": "int64"}), KNOWN)


def test_no_rules_are_refused_unless_they_are_meant() -> None:
    with pytest.raises(Refused, match=r"^rules: there are none; .* `no_rules: true`$"):
        RuleSet.read("rules: []", KNOWN)
    with pytest.raises(Refused, match=r"^no_rules: there are 1$"):
        RuleSet.read(rules_text(rule("x"), no_rules=True), KNOWN)

    assert RuleSet.read("{rules: [], no_rules: true}", KNOWN).rules == []


def test_off_means_off_with_and_without_quotes() -> None:
    for said in ("off", '"off"', "OFF"):
        text = f"rules: [{{id: x, when: 'true', action: REVIEW, mode: {said}}}]"
        assert [each.declared.id for each in RuleSet.read(text, KNOWN).off] == ["x"]


def test_a_rule_that_is_there_twice_is_refused() -> None:
    with pytest.raises(Refused, match=r"rules\.x: declared 2 times"):
        rule_set(rule("x"), rule("x"))


@pytest.mark.parametrize(
    ("name", "kind", "problem"),
    [
        ("user.cuont", "int64", "variables.user.cuont: there is no such variable; .*user.count"),
        ("user.count", "float64", "variables.user.count: it is int64, not float64"),
        ("user.count", "int", "variables.user.count: a type is one of"),
        ("lists.blocked_user", "bool", "lists are there without being declared"),
        ("count", "int64", "variables.count"),
    ],
)
def test_a_variable_must_be_known_and_of_that_type(name: str, kind: str, problem: str) -> None:
    with pytest.raises(Refused, match=problem):
        RuleSet.read(rules_text(variables={name: kind}), KNOWN)


@pytest.mark.parametrize(
    "text",
    ["", "rules: [", "[]", "rules: {}", "\ud800", "x: \0", "a: &a [*a]\nrules: *a", "[" * 5000],
)
def test_what_are_no_rules_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        RuleSet.read(text, KNOWN)


def test_a_few_lines_that_stand_for_very_much_are_refused_at_once() -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(
        f"a{at}: &a{at} [*a{at - 1}, *a{at - 1}]\n" for at in range(1, 60)
    )

    with pytest.raises(Refused, match="a59: no such key"):
        RuleSet.read(bomb + "rules: *a59", KNOWN)


def test_the_version_is_another_when_a_single_character_is() -> None:
    text = rules_text(rule("x"))

    assert RuleSet.read(text, KNOWN).version == RuleSet.read(text, KNOWN).version
    assert RuleSet.read(text, KNOWN).version != RuleSet.read(text + "\n", KNOWN).version
