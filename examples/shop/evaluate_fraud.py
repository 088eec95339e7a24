"""How good decisions on fraud are, on days that no model has learnt from: rules, models, all.

    PYTHONPATH=examples .venv/bin/python -m shop.evaluate_fraud --write

All are decided by the same policy (`deciding`). What a decision costs is an assumption, and the
same for all.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from sklearn.metrics import average_precision_score

from inferd.services.fraud.verdict import Verdict
from inferd.services.fraud.vocabulary import Decision
from shop.deciding import Known, known
from shop.train_fraud import CALIBRATED, FALSE_ALARMS, recall
from shop.world import DAYS, SEED, World

README: Final = Path(__file__).parent / "README.md"
BEGINS, ENDS = "<!-- decisions -->\n", "<!-- end of decisions -->\n"

CASCADE: Final = "rules and models"
RULES: Final = "rules alone"

MARGIN: Final = 0.2
"""Of an amount, what is lost with a good payment that does not happen."""
CHARGEBACK_MINOR: Final = 2000
"""What a fraud costs besides its amount."""
REVIEW_MINOR: Final = 400
"""What a person costs who looks at it."""
CHALLENGE_MINOR: Final = 10
SEEN_THROUGH: Final = {
    Decision.APPROVE: 0.0,
    Decision.CHALLENGE: 0.85,
    Decision.REVIEW: 0.95,
    Decision.BLOCK: 1.0,
}
"""The share of the fraud that a decision stops."""
LOST: Final = {
    Decision.APPROVE: 0.0,
    Decision.CHALLENGE: 0.03,
    Decision.REVIEW: 0.05,
    Decision.BLOCK: 1.0,
}
"""The share of the good payments that do not happen because of a decision."""
WORK_MINOR: Final = {Decision.CHALLENGE: CHALLENGE_MINOR, Decision.REVIEW: REVIEW_MINOR}


class Quality(NamedTuple):
    """How good decisions are."""

    who: str
    area: float
    """Under precision and recall, of the risk."""
    recall: float
    """Of the risk, at `FALSE_ALARMS`."""
    cost_minor: float
    """Of a payment."""
    stopped: float
    """The share of the fraud that is not approved."""
    bothered: float
    """The share of the good payments that are not approved."""


def cost_minor(decision: Decision, amount_minor: int, *, is_fraud: bool) -> float:
    """Return what a decision is expected to cost, in cents."""
    work = WORK_MINOR.get(decision, 0)
    if is_fraud:
        return work + (1 - SEEN_THROUGH[decision]) * (amount_minor + CHARGEBACK_MINOR)
    return work + LOST[decision] * MARGIN * amount_minor


def quality(who: str, verdicts: Sequence[Verdict], of: Known) -> Quality:
    """Return how good decisions on these payments are."""
    scores = np.array([each.score for each in verdicts])
    cared = np.array([each.decision is not Decision.APPROVE for each in verdicts])
    costs = [
        cost_minor(verdict.decision, payment.amount_minor, is_fraud=is_fraud)
        for verdict, payment, is_fraud in zip(
            verdicts, of.payments, of.is_fraud.tolist(), strict=True
        )
    ]
    return Quality(
        who,
        float(average_precision_score(of.is_fraud, scores)),
        recall(scores, of.is_fraud),
        sum(costs) / len(costs),
        float(cared[of.is_fraud].mean()),
        float(cared[~of.is_fraud].mean()),
    )


def compared(of: Known) -> list[Quality]:
    """Return how good rules are, each model, and all of them together; these last."""
    return [
        quality(RULES, of.rules_alone(), of),
        *(quality(name, of.model_alone(name), of) for name in of.scores),
        quality(CASCADE, of.cascade(), of),
    ]


def table(found: Sequence[Quality]) -> str:
    """Return qualities for people."""
    lines = [
        "| decided by | area under precision and recall | recall at 0.1 % false positives"
        " | cost of a payment, cents | fraud not approved | good not approved |",
        "|---|---|---|---|---|---|",
        *(
            f"| {it.who} | {it.area:.3f} | {it.recall:.3f} | {it.cost_minor:.1f}"
            f" | {it.stopped:.1%} | {it.bothered:.2%} |"
            for it in found
        ),
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Print the table, and with `--write` put it where people look."""
    parser = argparse.ArgumentParser(description="Measure decisions on fraud.")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--write", action="store_true", help="into the README of the shop")
    asked = parser.parse_args()
    world = World.generate(asked.seed, asked.days)
    of = known(world, from_day=CALIBRATED * world.days)
    told = f"{len(of.payments):,} payments, {of.is_fraud.sum()} of them fraud"
    text = f"{table(compared(of))}"
    print(f"{told}; recall at {FALSE_ALARMS:.1%} false positives\n\n{text}")
    if asked.write:
        before, _, rest = README.read_text(encoding="utf-8").partition(BEGINS)
        after = rest.partition(ENDS)[2]
        README.write_text(f"{before}{BEGINS}{text}{ENDS}{after}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
