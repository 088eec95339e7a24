"""Which of the versions on disk are served."""

from collections.abc import Iterable

from inferd.inference.repository.schema import Latest, VersionPolicy

DEFAULT = VersionPolicy(latest=Latest(num_versions=1))


def select(policy: VersionPolicy | None, available: Iterable[int]) -> tuple[int, ...]:
    """Return the chosen versions, ascending. Listed ones that are not there are not chosen."""
    policy = policy or DEFAULT
    versions = tuple(sorted(set(available)))
    if policy.specific is not None:
        return tuple(each for each in versions if each in policy.specific.versions)
    if policy.all is not None:
        return versions
    return versions[-(policy.latest or Latest()).num_versions :]
