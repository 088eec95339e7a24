"""Texts as numbers: equal texts are equal numbers, and 0 is the empty text."""

from typing import Final

import numpy as np

from inferd.services.recommendation.items import Value

TEXT: Final = 1
NUMBER: Final = 2
FLAG: Final = 3
"""What an attribute's value is; 0: there is none."""


class Codes:
    """Texts and their numbers. A text keeps its number for ever."""

    def __init__(self) -> None:
        """Know only the empty text."""
        self.texts = [""]
        self._codes = {"": 0}

    def __len__(self) -> int:
        """Return how many texts there are."""
        return len(self.texts)

    def code(self, text: str) -> int:
        """Return a text's number; a new one, if it has none."""
        code = self._codes.setdefault(text, len(self.texts))
        if code == len(self.texts):
            self.texts.append(text)
        return code

    def find(self, text: str) -> int:
        """Return a text's number; -1: there is no such text."""
        return self._codes.get(text, -1)


class Vocabulary:
    """The texts of all columns. One table after the other uses it."""

    def __init__(self) -> None:
        """Know no text."""
        self.categories = Codes()
        self.brands = Codes()
        self.merchants = Codes()
        self.currencies = Codes()
        self.tags = Codes()
        #: Of attributes that are texts, by their names.
        self.attributes: dict[str, Codes] = {}


class Attribute:
    """A column that is there because some item has such an attribute."""

    def __init__(self, capacity: int, codes: Codes) -> None:
        """Take space for so many rows."""
        #: int8 [n]: `TEXT`, `NUMBER`, `FLAG`, or 0 where there is none.
        self.kinds = np.zeros(capacity, np.int8)
        #: float64 [n]: the text's code, the number, or 1 and 0.
        self.values = np.zeros(capacity, np.float64)
        self.codes = codes

    def set(self, row: int, value: Value) -> None:
        """Write a value."""
        match value:
            case bool():
                self.kinds[row], self.values[row] = FLAG, value
            case str():
                self.kinds[row], self.values[row] = TEXT, self.codes.code(value)
            case _:
                self.kinds[row], self.values[row] = NUMBER, value
