"""`inferd audit replay`: whether decisions that are on record would be the same again."""

from collections.abc import Callable, Sequence
from pathlib import Path

from inferd.app import features
from inferd.app.settings import ConfigError
from inferd.cache.journal.verification import found
from inferd.config import Config
from inferd.config.reading import Refused
from inferd.errors import NotFound
from inferd.features.kinds import Kind
from inferd.services.fraud.audit_record import KIND
from inferd.services.fraud.features import Needs
from inferd.services.fraud.intake import variables
from inferd.services.fraud.past import Past, latest, past_of
from inferd.services.fraud.replaying import replayed
from inferd.services.fraud.rulebook import Rulebook

Say = Callable[[str], None]
"""Gets what somebody at the terminal should read."""

DIFFERENT = 1
MOST = 100_000


def run(config: Config, say: Say, path: Path | None, ids: Sequence[str]) -> int:
    """Make decisions again, all or those of some ids, and return the exit code.

    Raises `ConfigError`, `NotFound`, and `DependencyFailed` where records cannot be read.
    """
    book = rulebook(config)
    decisions = _decisions(path or config.fraud.audit.path, ids)
    different = under_others = 0
    for past in decisions:
        differs, told = replayed(past, book.rules, book.policy)
        different += differs
        under_others += bool(told) and not differs
        if differs or (told and ids):  # of all that are the same nobody wants to read
            what = "DIFFERENT" if differs else "the same decision under other rules"
            lines = [f"{past.record.transaction_id}: {what}", *(f"  {it}" for it in told)]
            say("\n".join(lines))
    same = len(decisions) - different
    others = f", {under_others} of them under other rules" if under_others else ""
    say(f"{same} of {len(decisions)} decisions are the same to the last bit{others}")
    return DIFFERENT if different else 0


def rulebook(config: Config) -> Rulebook:
    """Return the rules and the policy that are configured. Raises `ConfigError`."""
    settings, declared = config.fraud, features.definitions(config.features)
    if settings.rules is None or settings.policy is None or declared is None:
        raise ConfigError(["fraud.rules: there are none"])
    metadata = {key: Kind.named(kind) for key, kind in settings.metadata.items()}
    needs = Needs(declared, settings.entities, settings.request)
    try:
        return Rulebook(
            *(_text(each) for each in (settings.rules, settings.policy)),
            known={**variables(metadata), **needs.variables},
            models=[each.name for each in settings.models],
        )
    except Refused as error:
        raise ConfigError(f"fraud.{problem}" for problem in error.problems) from error


def _decisions(path: Path, ids: Sequence[str]) -> list[Past]:
    if not ids:
        return latest(path, (None, None), MOST)
    decisions = [past_of(it) for each in ids for it in found(path, each) if it.kind == KIND]
    if missing := {*ids} - {each.record.transaction_id for each in decisions}:
        raise NotFound(f"nothing is on record of {', '.join(sorted(missing))} in {path}")
    return decisions


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: {error}"]) from error
