"""What is sold, in words: departments, the products in them, brands, and what they are like."""

from typing import Final, NamedTuple


class Department(NamedTuple):
    """A part of the shop, which is a merchant's category, too."""

    name: str
    products: tuple[str, ...]
    #: Of a typical item, in cents.
    price_minor: int
    materials: tuple[str, ...]
    #: What may be said of an item.
    phrases: tuple[str, ...]
    #: How easily it is sold again: what thieves look for.
    resale: float
    #: How much more is sold of it by the day, as a share.
    trend: float


DEPARTMENTS: Final = (
    Department(
        "electronics",
        ("headphones", "phone", "laptop", "speaker", "camera", "smart watch"),
        18_900,
        ("aluminium", "carbon", "glass", "graphite"),
        ("long battery life", "fast charging", "crisp sound", "a bright display"),
        9.0,
        0.004,
    ),
    Department(
        "fashion",
        ("jacket", "dress", "jeans", "sweater", "shirt", "coat"),
        4_900,
        ("cotton", "wool", "linen", "denim"),
        ("a relaxed fit", "a classic cut", "soft to the touch", "easy to wash"),
        2.0,
        -0.002,
    ),
    Department(
        "shoes",
        ("sneakers", "boots", "sandals", "running shoes", "loafers"),
        7_900,
        ("leather", "suede", "canvas", "mesh"),
        ("a cushioned sole", "good grip", "light on the foot", "made to last"),
        3.0,
        0.0,
    ),
    Department(
        "home",
        ("lamp", "chair", "rug", "desk", "curtain", "mirror"),
        8_900,
        ("oak", "walnut", "steel", "rattan"),
        ("quick to assemble", "warm light", "for small rooms", "timeless lines"),
        1.0,
        0.001,
    ),
    Department(
        "kitchen",
        ("kettle", "frying pan", "knife", "coffee maker", "toaster"),
        5_900,
        ("steel", "cast iron", "copper", "ceramic"),
        ("even heat", "dishwasher safe", "sharp for years", "quiet in use"),
        1.0,
        0.0,
    ),
    Department(
        "sports",
        ("tent", "bicycle helmet", "yoga mat", "backpack", "dumbbells"),
        5_400,
        ("nylon", "rubber", "polyester", "neoprene"),
        ("for all weathers", "light to carry", "tested outdoors", "packs small"),
        1.5,
        0.01,
    ),
    Department(
        "beauty",
        ("perfume", "face cream", "shampoo", "lipstick", "serum"),
        3_200,
        ("almond", "rose", "citrus", "shea"),
        ("for sensitive skin", "a fresh scent", "no added colour", "lasts all day"),
        2.5,
        0.002,
    ),
    Department(
        "toys",
        ("board game", "puzzle", "building set", "doll", "train set"),
        2_900,
        ("wooden", "cardboard", "plush", "magnetic"),
        ("for rainy days", "from four years", "for the whole family", "grows with the child"),
        0.5,
        -0.003,
    ),
    Department(
        "books",
        ("novel", "cookbook", "atlas", "biography", "comic"),
        1_900,
        ("hardback", "paperback", "illustrated", "pocket"),
        ("hard to put down", "richly illustrated", "a modern classic", "newly translated"),
        0.2,
        -0.001,
    ),
    Department(
        "garden",
        ("parasol", "planter", "hose", "barbecue", "garden bench"),
        6_900,
        ("teak", "terracotta", "steel", "bamboo"),
        ("frost proof", "for balconies", "easy to store", "weathers well"),
        0.5,
        0.012,
    ),
)

BRANDS: Final = (
    *("Aldera", "Borealis", "Cantor", "Dunmore", "Elvane", "Fjordal", "Grenko", "Halden"),
    *("Ikaris", "Jorvik", "Kestrel", "Lumen", "Marlow", "Norvik", "Ostara", "Pellworm"),
    *("Quill", "Ravello", "Sorrel", "Tarn", "Umbra", "Velden", "Wexford", "Zephyr"),
)
COLOURS: Final = ("black", "white", "red", "blue", "green", "grey", "yellow", "brown")
