"""What is in force is replaced as a whole, or not at all; and the shop's files are sound."""

import pytest
import yaml

from inferd.config.reading import Refused
from inferd.services.fraud.policy import Policy
from inferd.services.fraud.rulebook import Rulebook
from inferd.services.fraud.rules import RuleSet
from inferd.services.fraud.transactions import FIELDS
from inferd.services.fraud.vocabulary import Action, Basis, Decision, Mode, Outcome, RiskLevel
from inferd.v1 import fraud_pb2 as pb
from support.fraud import KNOWN, SHOP, policy_text, rule, rules_text, shop_variables, values

SOUND = rules_text(rule("x"))


def a_rulebook() -> Rulebook:
    return Rulebook(SOUND, policy_text(), known=KNOWN, models=())


def test_a_misspelt_field_refuses_the_reload_and_the_old_set_stays() -> None:
    book = a_rulebook()
    before = book.rules, book.policy
    text = rules_text(rule("x", "transaction.amount_mynor > 1"))

    with pytest.raises(Refused, match=r"rules: rules\.x\.when: .*transaction.amount_minor"):
        book.reload(text, policy_text())

    assert (book.rules, book.policy) == before


def test_sound_rules_are_not_taken_with_a_bad_policy() -> None:
    book = a_rulebook()
    before = book.rules

    with pytest.raises(Refused) as refused:
        book.reload(rules_text(rule("y", "1")), "bands: []")

    assert {each.split(": ")[0] for each in refused.value.problems} == {"rules", "policy"}
    with pytest.raises(Refused, match="policy: "):
        book.reload(rules_text(rule("y")), "bands: []")
    assert book.rules is before


def test_what_is_reloaded_is_in_force_and_what_counted_still_counts() -> None:
    book = a_rulebook()
    book.tally(book.rules.evaluate(values()))

    assert book.reload(rules_text(rule("x"), rule("y", "user.speed > 1.0")), policy_text())
    assert not book.reload(rules_text(rule("x"), rule("y", "user.speed > 1.0")), policy_text())
    book.tally(book.rules.evaluate(values(user__speed=None)))

    assert (book.hits, book.errors) == ({"x": 2}, {"y": 1})


def test_checking_changes_nothing() -> None:
    book = a_rulebook()
    before = book.rules

    book.checked(rules_text(rule("y")), policy_text())

    assert book.rules is before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (Decision, pb.Assessment.Decision),
        (RiskLevel, pb.Assessment.RiskLevel),
        (Basis, pb.Assessment.Basis),
        (Action, pb.Rule.Action),
        (Mode, pb.Rule.Mode),
        (Outcome, pb.RuleResult.Outcome),
    ],
)
def test_words_have_the_numbers_that_they_have_on_the_wire(
    words: type[Decision], message: type[pb.Assessment.Decision]
) -> None:
    on_the_wire = {name: number for name, number in message.items() if number}

    assert {each.name: each.value for each in words} == on_the_wire


def test_the_rules_of_the_shop_are_sound() -> None:
    known = shop_variables()
    rules = RuleSet.read((SHOP / "fraud_rules.yaml").read_text(), known)
    said = {name for name in known if name.startswith("transaction.")}

    assert {name: FIELDS.get(name) for name in said} == {name: known[name] for name in said}
    assert len(rules.rules) >= 10
    assert all(each.declared.description for each in rules.rules)


def test_the_policy_of_the_shop_is_sound() -> None:
    text = (SHOP / "fraud_policy.yaml").read_text()

    assert Policy.read(text, yaml.safe_load(text)["scoring"]["models"])
