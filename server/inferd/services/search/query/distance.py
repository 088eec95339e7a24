"""How many typing errors are between two words.

An error is a letter too many, a letter missing, a wrong one, or two neighbours that changed places.
This is the restricted Damerau-Levenshtein distance ("optimal string alignment"): what changed
places is not edited again.
"""


def distance(one: str, other: str, most: int) -> int:
    """Return the number of errors between two words; more than `most`: `most` + 1. O(n * most)."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    one, other = _different(one, other)
    if not one or not other:
        return len(one) or len(other)
    far = most + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        first, last = max(1, i - most), min(len(other), i + most)
        now = [far] * (len(other) + 1)
        now[0] = i
        for j in range(first, last + 1):
            same = letter == other[j - 1]
            least = row[j - 1] if same else 1 + min(row[j - 1], row[j], now[j - 1])
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == other[j - 1]:
                least = min(least, before[j - 2] + 1)
            now[j] = least
        if min(now) > most:
            return far
        before, row = row, now
    return min(row[-1], far)


def _different(one: str, other: str) -> tuple[str, str]:
    """Return the words without what they begin and end with in common: it is no part of errors."""
    ahead = 0
    shorter = min(len(one), len(other))
    while ahead < shorter and one[ahead] == other[ahead]:
        ahead += 1
    behind = 0
    while behind < shorter - ahead and one[-1 - behind] == other[-1 - behind]:
        behind += 1
    return one[ahead : len(one) - behind], other[ahead : len(other) - behind]
