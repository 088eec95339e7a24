"""What the rules of a shop cost per transaction, and what comes of them.

    python perf/fraud_rules.py

The rules are those of `configs/shop`, all of which are evaluated: the transaction is harmless. Ways
take turns, and what is printed is the median of rounds. Nothing is waited for, so it is the time of
the thread: other processes on the machine take none of it.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import yaml

from inferd.features.kinds import Held, Kind
from inferd.services.fraud.lists import Entry, ListName, Lists
from inferd.services.fraud.policy import Policy
from inferd.services.fraud.rules import RuleSet
from inferd.services.fraud.snoozes import Snooze, Snoozes
from inferd.services.fraud.transactions import Payment
from inferd.services.fraud.verdict import after_models, before_models
from inferd.services.fraud.vocabulary import EntityKind

SHOP = Path(__file__).parent.parent / "configs" / "shop"
CALLS = 1000
ROUNDS = 25
SCORES = {"fraud_trees": 0.02, "fraud_network": 0.03, "fraud_unusual": 0.4}
NOTHING: Mapping[str, Held] = {"int64": 1, "float64": 1.0, "bool": False, "string": "x"}
NOW_US = 1


def ways() -> Mapping[str, Callable[[], object]]:
    """Return the parts of an assessment that are rules or what comes after."""
    text = (SHOP / "fraud_rules.yaml").read_text()
    known = {name: Kind.named(kind) for name, kind in yaml.safe_load(text)["variables"].items()}
    rules = RuleSet.read(text, known)
    policy = Policy.read((SHOP / "fraud_policy.yaml").read_text(), SCORES)
    lists, snoozes = Lists(), Snoozes()
    for number in range(1000):
        for kind in EntityKind:
            if kind not in (EntityKind.IP, EntityKind.COUNTRY):
                lists.add(Entry(ListName.BLOCK, kind, f"b{number}"), NOW_US)
        snoozes.snooze(Snooze("fast_mover", EntityKind.USER, f"b{number}"), 10, NOW_US)
    involved = dict.fromkeys(EntityKind, "me")
    values = {name: NOTHING[kind.name] for name, kind in known.items()}
    whole = {**values, **lists.facts(involved, NOW_US)}
    payment = Payment(4999, "EUR", "electronics")

    def evaluate() -> object:
        return rules.evaluate(whole)

    def decide() -> object:
        facts = {**values, **lists.facts(involved, NOW_US)}
        report = rules.evaluate(facts, snoozed=snoozes.of(involved, NOW_US))
        verdict = before_models(report, features_failed=False)
        return verdict or after_models(report, SCORES, payment, policy)

    return {
        f"{len(rules.rules)} rules": evaluate,
        "lists": lambda: lists.facts(involved, NOW_US),
        "snoozes": lambda: snoozes.of(involved, NOW_US),
        "all of it, to the verdict": decide,
    }


def seconds(way: Callable[[], object]) -> float:
    """Return what one call takes."""
    began = time.thread_time()
    for _ in range(CALLS):
        way()
    return (time.thread_time() - began) / CALLS


def main() -> None:
    """Measure, and print."""
    all_ways = ways()
    taken: dict[str, list[float]] = {name: [] for name in all_ways}
    for _ in range(ROUNDS):
        for name, way in all_ways.items():
            taken[name].append(seconds(way))
    for name, each in taken.items():
        print(f"{name:<28}{statistics.median(each) * 1e6:6.1f} us")


if __name__ == "__main__":
    main()
