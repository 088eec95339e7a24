"""Where people are: forty cities, and how far it is from one to another."""

from typing import Final, NamedTuple

import numpy as np

from shop.dice import Flags, Floats, Ints


class City(NamedTuple):
    """A city. The offset of its clock from UTC is the same in summer and in winter."""

    name: str
    country: str
    latitude: float
    longitude: float
    offset_h: int
    #: Of how many customers it is the home.
    weight: float


CITIES: Final = (
    City("Amsterdam", "NL", 52.37, 4.90, 1, 9),
    City("Rotterdam", "NL", 51.92, 4.48, 1, 6),
    City("Utrecht", "NL", 52.09, 5.12, 1, 4),
    City("Brussels", "BE", 50.85, 4.35, 1, 5),
    City("Antwerp", "BE", 51.22, 4.40, 1, 4),
    City("Ghent", "BE", 51.05, 3.72, 1, 2),
    City("Berlin", "DE", 52.52, 13.41, 1, 8),
    City("Hamburg", "DE", 53.55, 9.99, 1, 5),
    City("Munich", "DE", 48.14, 11.58, 1, 5),
    City("Cologne", "DE", 50.94, 6.96, 1, 4),
    City("Frankfurt", "DE", 50.11, 8.68, 1, 3),
    City("Paris", "FR", 48.86, 2.35, 1, 8),
    City("Lyon", "FR", 45.76, 4.84, 1, 3),
    City("Marseille", "FR", 43.30, 5.37, 1, 3),
    City("Madrid", "ES", 40.42, -3.70, 1, 5),
    City("Barcelona", "ES", 41.39, 2.17, 1, 4),
    City("Valencia", "ES", 39.47, -0.38, 1, 2),
    City("Lisbon", "PT", 38.72, -9.14, 0, 3),
    City("Porto", "PT", 41.15, -8.61, 0, 1.5),
    City("Rome", "IT", 41.90, 12.50, 1, 4),
    City("Milan", "IT", 45.46, 9.19, 1, 4),
    City("Naples", "IT", 40.85, 14.27, 1, 2),
    City("Vienna", "AT", 48.21, 16.37, 1, 3),
    City("Zurich", "CH", 47.38, 8.54, 1, 2),
    City("Copenhagen", "DK", 55.68, 12.57, 1, 3),
    City("Stockholm", "SE", 59.33, 18.07, 1, 3),
    City("Oslo", "NO", 59.91, 10.75, 1, 2),
    City("Helsinki", "FI", 60.17, 24.94, 2, 2),
    City("Warsaw", "PL", 52.23, 21.01, 1, 3),
    City("Prague", "CZ", 50.08, 14.44, 1, 2),
    City("Athens", "GR", 37.98, 23.73, 2, 2),
    City("Dublin", "IE", 53.35, -6.26, 0, 2),
    City("London", "GB", 51.51, -0.13, 0, 3),
    City("Istanbul", "TR", 41.01, 28.98, 3, 0.3),
    City("Marrakesh", "MA", 31.63, -8.01, 1, 0.1),
    City("New York", "US", 40.71, -74.01, -5, 0.4),
    City("Toronto", "CA", 43.65, -79.38, -5, 0.2),
    City("Bangkok", "TH", 13.76, 100.50, 7, 0.1),
    City("Singapore", "SG", 1.35, 103.82, 8, 0.1),
    City("Lagos", "NG", 6.52, 3.38, 1, 0.1),
)
WEIGHTS: Final = np.array([each.weight for each in CITIES])
LATITUDES: Final = np.array([each.latitude for each in CITIES])
LONGITUDES: Final = np.array([each.longitude for each in CITIES])
OFFSETS_H: Final = np.array([each.offset_h for each in CITIES])

NEAR_DEGREES: Final = 5.0
"""What is within so many degrees in both directions is no journey."""


def is_near(one: Ints, other: Ints) -> Flags:
    """Return which cities are close to each other."""
    north = np.abs(LATITUDES[one] - LATITUDES[other])
    east = np.abs(LONGITUDES[one] - LONGITUDES[other])
    near: Flags = (north < NEAR_DEGREES) & (east < NEAR_DEGREES)
    return near


def around(cities: Ints, north: Floats, east: Floats) -> tuple[Floats, Floats]:
    """Return places around cities: draws in [0, 1) become a tenth of a degree to either side."""
    latitudes = np.round(LATITUDES[cities] + (north - 0.5) * 0.2, 4)
    return latitudes, np.round(LONGITUDES[cities] + (east - 0.5) * 0.2, 4)
