"""Searches: as the generator beside it, and some hang up, or have next to no time.

python -m support.chaos.search.generate --port 8001 --at 1234.5 --phase 1:60 ... FILE
"""

import random

from support.chaos.fraud.generate import callers
from support.chaos.generate import arguments_for, run
from support.chaos.search.queries import SEARCH, request


def main() -> None:
    """Search."""
    parser = arguments_for(__doc__)
    parser.add_argument("--leave", type=float, default=0.0)
    parser.add_argument("--tiny", type=float, default=0.0)
    it = parser.parse_args()
    rng = random.Random(it.seed)
    calls = list(callers(it.phase, it.at, rng, request, leave=it.leave, tiny=it.tiny))
    run(it.port, calls, it.history, SEARCH)


if __name__ == "__main__":
    main()
