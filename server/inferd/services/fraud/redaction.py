"""What of a transaction may be written down, and in which form. Pure.

Every field is kept, hashed with a key, or dropped, as the configuration says; what it does not name
is dropped unless told otherwise. A hash without a key would be none for what can be guessed, such
as the numbers of cards.
"""

import hmac
import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

from inferd.config.fraud import Audit, Treatment
from inferd.services.fraud.plain import canonical

SPELLED = re.compile(r"\d+(?:[\W_]\d+)*")
"""Digits, with or without something between groups of them."""
LENGTHS = range(13, 20)
"""Of ISO/IEC 7812 numbers; their last digit is a check digit (Luhn)."""
ISSUED = re.compile(r"220[0-4]|22[2-9]|2[3-6]|27[01]|2720|[3-6]")
"""What the numbers of cards begin with that pay in shops. Dates and times since 1970 do not."""
WRITTEN = re.compile(
    r"(?<!\d)(?:\d{13,19}|\d{4}([\W_])\d{4}\1\d{4}\1\d{1,7}|\d{4}([\W_])\d{6}\2\d{4,5})(?!\d)"
)
"""Digits in one piece, or in pieces as cards show them: 4-4-4-4, and 4-6-5 or 4-6-4."""
HASHED = "hmac:"
"""What a hash begins with."""


class Redaction:
    """Knows what is done with each field."""

    def __init__(self, settings: Audit) -> None:
        self._fields: Mapping[str, Treatment] = settings.fields
        self._others: Treatment = settings.other_fields
        self._key = settings.hash_key.get_secret_value().encode()

    def redacted(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return what may be recorded of a transaction, by the fields' full names."""
        kept = dict[str, Any]()
        for name, value in flat(inputs):
            treatment = self._treatment(name)
            if treatment == "keep" and not has_card_number(value):
                kept[name] = value
            elif treatment != "drop" and self._key:
                kept[name] = self._hash(name, value)
        return kept

    def fingerprint(self, inputs: Mapping[str, Any]) -> str:
        """Return a hash by which a transaction is known again, 64 hexadecimal digits.

        It is keyed, and of all fields. Without a key what is dropped is not in it: it could be
        found out by trying.
        """
        if self._key:
            text = canonical(dict(flat(inputs)))
            return hmac.digest(self._key, text, "sha256").hex()
        return sha256(canonical(self.redacted(inputs))).hexdigest()

    def expects(self, name: str) -> bool:
        """Return whether anything is said of a field: that it is dropped, too."""
        return self._said(name) is not None or self._others != "drop"

    def _treatment(self, name: str) -> Treatment:
        """Return what is done with a field: what is said of it, or of what it is a part of."""
        return self._said(name) or self._others

    def _said(self, name: str) -> Treatment | None:
        said = self._fields.get(name)
        above = name
        while said is None and above:
            above = above.rpartition(".")[0]
            said = self._fields.get(f"{above}.*" if above else "*")
        return said

    def _hash(self, name: str, value: Any) -> str:
        text = canonical([name, value])  # equal values of different fields are not alike
        return HASHED + hmac.digest(self._key, text, "sha256").hex()[:32]


def flat(inputs: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the fields of a transaction by their full names: `device.id`."""
    for name, value in inputs.items():
        full = f"{above}{name}"
        if isinstance(value, Mapping):
            yield from flat(value, f"{full}.")
        else:
            yield full, value


def has_card_number(value: Any) -> bool:
    """Return whether a value is, or contains, what looks like the number of a payment card."""
    match value:
        case list() | tuple():
            return any(map(has_card_number, value))
        case bytes():
            return has_card_number(value.decode("utf-8", "replace"))
        case str():
            return any(map(_spells_card, SPELLED.findall(value)))
        case _:
            return False  # numbers are times and amounts, which are as long


def is_card_number(text: str) -> bool:
    """Return whether a text says the number of a payment card, written as one, almost for sure.

    That is a reason to refuse it. `has_card_number` would rather be wrong, and is too often: one
    date with a number behind it in ten.
    """
    found = (re.sub(r"\D", "", each[0]) for each in WRITTEN.finditer(text))
    return any(ISSUED.match(digits) and _luhn(digits) for digits in found)


def without_cards(text: str) -> str:
    """Return a text as it may be told to anybody."""
    return "(the number of a card)" if has_card_number(text) else text


def _spells_card(text: str) -> bool:
    """Return whether neighbouring groups of digits are the number of a card together."""
    groups = re.findall(r"\d+", text)
    for first in range(len(groups)):
        digits = ""
        for group in groups[first : first + LENGTHS.stop]:
            digits += group
            if len(digits) >= LENGTHS.stop:
                break
            if len(digits) in LENGTHS and _luhn(digits):
                return True
    return False


def _luhn(digits: str) -> bool:
    """Return whether the check digit is right (ISO/IEC 7812-1, annex B)."""
    doubled = (int(each) * 2 for each in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(n - 9 if n > 9 else n for n in doubled)) % 10 == 0
