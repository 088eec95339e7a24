"""Asks for lists: as the generator beside it, and some hang up, or have next to no time.

python -m support.chaos.recommendation.generate --run c1 --port 8001 --phase 1:60 ... FILE
"""

import random
from functools import partial

from support.chaos.fraud.generate import callers
from support.chaos.generate import arguments_for, run
from support.chaos.recommendation.asking import RECOMMEND, request


def main() -> None:
    """Ask for lists."""
    parser = arguments_for(__doc__)
    parser.add_argument("--run", required=True, help="what ids begin with")
    parser.add_argument("--leave", type=float, default=0.0)
    parser.add_argument("--tiny", type=float, default=0.0)
    it = parser.parse_args()
    rng = random.Random(it.seed)
    message = partial(request, it.run)
    calls = list(callers(it.phase, it.at, rng, message, leave=it.leave, tiny=it.tiny))
    run(it.port, calls, it.history, RECOMMEND)


if __name__ == "__main__":
    main()
