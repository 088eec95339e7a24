"""Train all models of the shop from its seed, and say which are not as they were before.

make shop
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from shop import train_fraud, train_recommendation, train_search

REPOSITORY: Final = Path(__file__).parents[2] / "model_repository"


def rebuilt(repository: Path, *options: str) -> Iterator[tuple[str, bool]]:
    """Put new models in their places; yield the names of files, and if they are as they were.

    Raises `SystemExit` if a model is worse than its floor; then all stays as it was.
    """
    with tempfile.TemporaryDirectory() as directory:
        made = Path(directory)
        for train in (train_fraud.main, train_recommendation.main, train_search.main):
            if code := train(["--out", str(made), *options]):
                raise SystemExit(code)
        for file in sorted(each for each in made.rglob("*") if each.is_file()):
            name = file.relative_to(made)
            there, new = repository / name, file.read_bytes()
            yield str(name), there.exists() and there.read_bytes() == new
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_bytes(new)


def main(arguments: Sequence[str] | None = None) -> int:
    """Rebuild, and tell of each file whether it is the same."""
    parser = argparse.ArgumentParser(description="Rebuild the models of the shop.")
    parser.add_argument("--repository", type=Path, default=REPOSITORY)
    files = [*rebuilt(parser.parse_args(arguments).repository)]
    for name, same in files:
        print(f"{'same   ' if same else 'CHANGED'}  {name}")
    changed = sum(not same for _, same in files)
    print(f"{len(files)} files, {changed} of them other than before")
    return 0


if __name__ == "__main__":
    sys.exit(main())
