"""The audit trail: a decision is on record before it is told, or the answer says that it is not.

What is written and where is the journal's business. Here it is decided how long an answer waits for
that, and what becomes of it when it waits in vain. Whatever that is, the journal has the record by
then, and writes it when it can.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

from inferd.cache.journal.chain import Entry, Record
from inferd.call import Call
from inferd.config import resilience
from inferd.config.fraud import Audit as Settings
from inferd.deadline import Deadline
from inferd.errors import DependencyFailed, InferdError, Unavailable
from inferd.resilience.degradation import ABSENT, Degradation
from inferd.resilience.dependency import Dependency
from inferd.services.fraud.audit_record import KIND

GUARD = "fraud_audit"
GUARDED_AS = resilience.Dependency(
    timeout_ms=50,
    limit=resilience.Limit(mode="fixed", initial=1000),
    breaker=resilience.Breaker(open_s=0.3, open_max_s=1.0),
)
"""Unless the configuration says otherwise. A record that comes too late is written all the same."""
STAGE = "audit"

Failed = Callable[[InferdError], None]
"""Is told of decisions that are not known to be on record."""


class Place(NamedTuple):
    """Where a record is."""

    server: str
    #: Its number in that server's chain.
    seq: int


class Records(Protocol):
    """What keeps records: `cache.journal.journal.Journal`."""

    def begin(self, entry: Entry) -> Awaitable[int]:
        """Have a record written, unless it was; return what waits for its number, once it is safe.

        It is written whoever waits. Raises `InferdError`, then or at once.
        """

    def knows(self, id: str) -> bool:
        """Return whether there is a record of an id, of late."""

    async def last(self, id: str) -> Record | None:
        """Return the last record of an id, if there is one of late. Raises `InferdError`."""


class Trail:
    """Has decisions written down. Lives on the event loop."""

    def __init__(
        self, records: Records, settings: Settings, guard: Dependency, *, failed: Failed
    ) -> None:
        self.server = settings.server
        self._refuses = settings.on_failure == "refuse"
        self._wait = guard.guards(self._waited)
        self._read = guard.guards(self._last)
        self._records = records
        self._failed = failed
        #: Decisions that were answered although they may not be on record, and those refused.
        self.unrecorded = self.refused = 0

    async def keep(
        self, call: Call, deadline: Deadline, id: str, body: bytes, at_us: int
    ) -> Place | Degradation:
        """Return where a decision is on record, once however often it is asked for.

        Where it cannot be: how the answer is degraded; or, if the configuration says so, raise why.
        """
        try:
            # Not behind the guard: one that is open, or gives up, is no reason to lose a record.
            safe = self._records.begin(Entry(KIND, id, at_us, body))
            seq = await self._wait(call, deadline, safe)
        except InferdError as error:
            return self.missed(error)
        return Place(self.server, seq)

    async def again(self, id: str, body: bytes, at_us: int) -> Place | None:
        """Have a record written that could not be, as long as it takes; None: it still cannot."""
        try:
            return Place(self.server, await self._records.begin(Entry(KIND, id, at_us, body)))
        except InferdError:
            return None

    async def known(self, call: Call, deadline: Deadline, id: str) -> Record | None:
        """Return what this server has put on record of a transaction, if it was of late.

        Raises what a guard raises.
        """
        if not self._records.knows(id):
            return None  # as of almost every transaction that is asked about
        return await self._read(call, deadline, id)

    def missed(self, error: InferdError) -> Degradation:
        """Return how an answer is degraded that is not known to be on record, or raise why."""
        self._failed(error)
        if self._refuses:
            self.refused += 1
            if isinstance(error, Unavailable):
                raise error
            raise DependencyFailed(f"it cannot be put on record: {error}") from error
        self.unrecorded += 1
        return Degradation(STAGE, ABSENT, error.reason)

    async def _waited(self, _: Call, __: Deadline, safe: Awaitable[int]) -> int:
        return await safe

    async def _last(self, _: Call, __: Deadline, id: str) -> Record | None:
        return await self._records.last(id)
