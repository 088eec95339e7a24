"""`inferd experiments`: what experiments came to, and whether what is said of them holds."""

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from inferd.app.settings import ConfigError
from inferd.cache.journal import files
from inferd.cache.journal.chain import Broken, Entry, opened
from inferd.config.experiments import Experiments as Settings
from inferd.config.reading import Refused, read
from inferd.experiments import report, selftest, stops
from inferd.experiments.analysis import Declared, Result, Wanted, analysed
from inferd.experiments.analysis_records import Records
from inferd.experiments.declared import Declared as Experiments
from inferd.experiments.experiments import Stop
from inferd.experiments.keeping import text_of

Say = Callable[[str], None]
"""Gets what somebody at the terminal should read."""

UNTRUSTWORTHY = 1
MOST_RUNS = 100_000


def add_experiments(
    commands: Any,
    reported: Callable[[argparse.Namespace], int],
    tested: Callable[[argparse.Namespace], int],
) -> None:
    """Add the command to a parser."""
    experiments = commands.add_parser("experiments", help="tell what experiments came to")
    acts = experiments.add_subparsers(title="commands", metavar="COMMAND", required=True)
    telling = acts.add_parser(
        "report",
        help="compare the arms of experiments",
        description="Compare the arms of experiments, by what is on record of them. A server may be"
        " writing meanwhile. Exits 1 if the arms of one do not have the sizes that were declared:"
        " then nothing can be said of it.",
    )
    telling.set_defaults(command=reported)
    telling.add_argument("--config", type=Path, metavar="FILE", help="a YAML configuration")
    telling.add_argument("--experiment", metavar="NAME", help="only this one (all)")
    telling.add_argument(
        "--alpha",
        type=_share,
        default=0.05,
        metavar="SHARE",
        help="how often intervals miss the truth (0.05)",
    )
    telling.add_argument(
        "--ratio",
        action="append",
        default=[],
        type=_ratio,
        metavar="METRIC/METRIC",
        help="compare one metric over another, too; may be repeated",
    )
    telling.add_argument("--json", action="store_true", help="for programs")
    testing = acts.add_parser(
        "selftest",
        help="check the analysis by experiments in which nothing differs",
        description="Simulate experiments in which nothing differs, and count how often the"
        " analysis says otherwise. Exits 1 if that is not as often as it should be.",
    )
    testing.set_defaults(command=tested)
    testing.add_argument("--runs", type=_runs, default=1000, metavar="COUNT", help="(1000)")
    testing.add_argument("--seed", type=int, default=1, help="for other chances (1)")


def run(
    say: Say,
    complain: Say,
    settings: Settings,
    wanted: Wanted,
    *,
    experiment: str | None = None,
    as_json: bool = False,
) -> int:
    """Tell what experiments came to, and return the exit code.

    Raises `ConfigError` and `OSError` for what cannot be read.
    """
    records = Records()
    for path, take in (
        (settings.exposures.path, records.exposures),
        (settings.outcomes.path, records.happened),
    ):
        broken = list[str]()
        take(entries(path, broken))
        for each in broken:
            complain(each)
    results = _results(settings, records, wanted, experiment)
    if experiment is not None and not results:
        there = ", ".join(sorted({name for name, _ in records.trials})) or "none"
        raise ConfigError([f"{experiment} is not on record; there are {there}"])
    if as_json:
        say(json.dumps(report.values(results), indent=2))
    else:
        say(report.text(results))
    return UNTRUSTWORTHY if any(each.invalid for each in results) else 0


def run_selftest(say: Say, runs: int, seed: int) -> int:
    """Tell how often the analysis finds what is not there, and return the exit code."""
    it = selftest.simulated(runs, seed=seed)
    say(f"{it.runs} experiments in which nothing differs, at alpha = {it.alpha:g}:")
    for count, what in (
        (it.one_look, f"differ by the test for one look; {it.runs * it.alpha:g} are expected"),
        (it.any_look, f"do so at one of {selftest.LOOKS} looks, which is how not to use that test"),
        (it.always_valid, "differ by the test for any number of looks; as many at most"),
        (it.sample_ratio, f"have arms of wrong sizes; {it.runs / 1000:g} are expected"),
    ):
        say(f"{count:6} {what}")
    say("as it should be" if it.good else "NOT as it should be: do not believe the reports")
    return 0 if it.good else UNTRUSTWORTHY


def entries(directory: Path, broken: list[str]) -> Iterator[Entry]:
    """Yield the records of all logs in a directory; what is unreadable goes to `broken`.

    The last line of a log may still be written, and is left out then. Raises `OSError`.
    """
    for server in files.servers(directory):
        for segment in files.segments(directory, server):
            for at, line in files.lines(segment.path):
                if not line.endswith(b"\n"):
                    continue
                try:
                    yield opened(line).entry
                except Broken as error:
                    broken.append(f"{segment.path}, byte {at}: left out: {error}")


def _results(
    settings: Settings, records: Records, wanted: Wanted, experiment: str | None
) -> list[Result]:
    known, scores = _declared(settings), records.scores()
    results = list[Result]()
    for (name, revision), trial in sorted(records.trials.items()):
        if experiment is None or name == experiment:
            declared = known.get((name, revision), Declared({}))
            sums = records.sums(trial)
            results.append(analysed(trial, sums, declared, wanted, score=scores.get(name)))
    return results


def _declared(settings: Settings) -> Mapping[tuple[str, int], Declared]:
    """Return what is declared now, by experiment and revision; without a file, nothing is."""
    if settings.definitions is None:
        return {}
    try:
        declared = read(text_of(settings.definitions), Experiments)
        stopped = stops.read(settings.stops)
    except Refused as error:
        raise ConfigError(
            [f"experiments.definitions: {each}" for each in error.problems]
        ) from error
    except ValueError as error:
        raise ConfigError([f"experiments.stops: {error}"]) from error
    return {
        (it.name, it.revision): Declared(
            {}
            if it.interleaved
            else {
                arm.name: 1 / len(it.arms) if arm.weight is None else arm.weight for arm in it.arms
            },
            _first_stop(stopped, it.name, it.revision),
        )
        for it in declared.experiments
    }


def _first_stop(stopped: list[Stop], name: str, revision: int) -> int | None:
    """Return when the first arm of an experiment was stopped by itself."""
    return min(
        (each.at_us for each in stopped if each[:2] == (name, revision) and each.arm), default=None
    )


def _share(text: str) -> float:
    share = float(text)
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError("must be above 0 and below 1")
    return share


def _runs(text: str) -> int:
    runs = int(text)
    if not 1 <= runs <= MOST_RUNS:
        raise argparse.ArgumentTypeError(f"must be from 1 to {MOST_RUNS}")
    return runs


def _ratio(text: str) -> tuple[str, str]:
    above, slash, below = text.partition("/")
    if not (above and slash and below):
        raise argparse.ArgumentTypeError("must be two metrics, such as click/impression")
    return above, below
