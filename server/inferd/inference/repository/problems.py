"""Everything that is wrong with a model's configuration, told at once.

Who writes a configuration wants one list, not one error per attempt. So the checks do
not raise: they add to `Problems`, and whoever ran them raises once.
"""

from collections.abc import Iterable

from inferd.errors import LoadFailed

#: More would drown the reader, and an error has to fit into gRPC's metadata.
LISTED = 20

Problem = tuple[str, str]
"""The path of a field, e.g. `instance_group[0].kind`, and what is wrong with it."""


def path_of(location: Iterable[int | str]) -> str:
    """Write a path as people do: names joined by dots, positions and odd names in brackets."""
    path = ""
    for step in location:
        if isinstance(step, int):
            path += f"[{step}]"
        elif step.isidentifier():
            path += f".{step}" if path else step
        else:
            path += f"[{shown(step)}]"
    return path


def shown(value: object) -> str:
    """Show a value that somebody else wrote, without letting it fill the page."""
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


class Problems:
    """A list that grows; the first problem of a field hides its later ones."""

    def __init__(self) -> None:
        self._found: dict[str, str] = {}

    def add(self, path: str, text: str) -> None:
        """Note that the field at `path` is wrong; `text` follows its name and a colon."""
        self._found.setdefault(path, text)

    def extend(self, problems: Iterable[Problem]) -> None:
        """Note several."""
        for path, text in problems:
            self.add(path, text)

    def raise_for(self, model: str) -> None:
        """Raise `LoadFailed` naming every field at fault, if there is any."""
        if not self._found:
            return
        listed = [f"{path}: {text}" for path, text in self._found.items()][:LISTED]
        hidden = len(self._found) - len(listed)
        if hidden:
            listed.append(f"and {hidden} more")
        raise LoadFailed(f"the configuration of model {shown(model)}: " + "; ".join(listed))
