"""Units: what stands after a number. A word that is not in these tables is no unit.

Units of one kind are converted exactly: 10 cm is 100 mm, 5 dollars are 500 cents. Things that are counted are units of
their own: 5 apples are not 5 pears. Words that change a number, as quarters, dozens, squared or below, are no units.
"""

import re
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple


class Unit(NamedTuple):
    """What is measured, and how many of the smallest common unit one of it is."""

    measures: tuple[tuple[str, int], ...]  # what, and to which power; sorted
    factor: Fraction = Fraction(1)


NO_UNIT = Unit(())
DEGREE = Unit((("degree", 1),))
RADIAN = Unit((("radian", 1),))

_PREFIXES = {
    "milli": (-3, "m"), "centi": (-2, "c"), "deci": (-1, "d"), "kilo": (3, "k"), "mega": (6, "M"), "giga": (9, "G"),
    "micro": (-6, "μ"),
}  # fmt: skip
_PREFIXED = {
    "length": ("m", "meter metre"), "mass": ("g", "gram gramme"), "time": ("s", "second"),
    "volume": ("L", "liter litre"),
    "power": ("W", "watt"), "energy": ("J", "joule"), "force": ("N", "newton"), "voltage": ("V", "volt"),
    "current": ("A", "ampere amp"), "frequency": ("Hz", "hertz"), "pressure": ("Pa", "pascal"), "bytes": ("B", "byte"),
    "amount": ("mol", "mole"), "charge": ("C", "coulomb"), "resistance": ("Ω", "ohm"), "calories": ("cal", "calorie"),
}  # fmt: skip
_OTHER = {
    "length": {"inch": "127/5000", "in": "127/5000", "foot": "381/1250", "feet": "381/1250", "ft": "381/1250",
               "yard": "1143/1250", "yd": "1143/1250", "mile": "201168/125", "mi": "201168/125"},
    "time": {"sec": "1", "minute": "60", "min": "60", "hour": "3600", "hr": "3600", "h": "3600", "day": "86400",
             "week": "604800"},
    "months": {"month": "1", "year": "12", "yr": "12", "decade": "120", "century": "1200"},
    "volume": {"l": "1", "ml": "1/1000", "cl": "1/100", "cc": "1/1000"},
    "us volume": {"gallon": "128", "gal": "128", "quart": "32", "qt": "32", "pint": "16", "cup": "8"},
    "spoons": {"tablespoon": "3", "tbsp": "3", "teaspoon": "1", "tsp": "1"},
    "mass": {"ton": "1000000", "tonne": "1000000"},
    "us mass": {"pound": "16", "lb": "16", "ounce": "1", "oz": "1"},
    "area": {"hectare": "10000", "acre": "40468564224/10000000"},
    "usd": {"dollar": "100", "usd": "100", "cent": "1", "buck": "100", "penny": "1", "pennies": "1"},
    "eur": {"euro": "1", "eur": "1"}, "gbp": {"pence": "1", "gbp": "100"},
    "inr": {"rupee": "1", "rs": "1", "inr": "1", "paise": "1/100"},
    "cny": {"yuan": "1", "rmb": "1"}, "jpy": {"yen": "1", "jpy": "1"}, "rub": {"ruble": "1"}, "peso": {"peso": "1"},
    "won": {"won": "1"}, "franc": {"franc": "1"}, "real": {"reais": "1"},
    "degree": {"degree": "1", "deg": "1"}, "radian": {"radian": "1", "rad": "1"},
    "celsius": {"celsius": "1", "°c": "1"}, "fahrenheit": {"fahrenheit": "1", "°f": "1"},
    "kelvin": {"kelvin": "1", "K": "1"}, "bits": {"bit": "1"}, "decibel": {"db": "1", "decibel": "1"},
    "light years": {"light-year": "1"}, "carat": {"carat": "1"}, "knot": {"knot": "1"}, "psi": {"psi": "1"},
    "rpm": {"rpm": "1"},
    "unit": {"unit": "1"},
}  # fmt: skip
_CASED = frozenset({"m", "g", "s", "L", "W", "J", "N", "V", "A", "B", "C", "K", "h", "l", "Ω"})  # single letters
# What people count, in the singular, and words that say which. Not words that change numbers, as quarter and pair.
_COUNTED = frozenset(
    re.findall(
        r"\w+",
        """
    account acorn action ad adult airplane album alligator angle animal ant apartment app apple area arm arrangement
    article artwork athlete attendee avocado baby bag bale ball balloon banana bandage bar barrel basket basketball
    batch bath bead bean bear beat bed bedroom bee beet berry bicycle big bike bird biscuit black blanket blister
    block blouse blue blueberry boat bolt bone book bookmark bottle bouquet bowl box boy bracelet branch brick
    brother brown brownie bucket bug building bulb bundle bunny burger burrito bus bushel business butterfly button
    cabbage cake camper can candle candy cap car card carriage carrot carton case cat caterpillar cell chair channel
    chapter character cheerleader cheesecake chef cherry chicken child chip chocolate choice chord chore circle
    citizen claim class classmate classroom claw click client cloud clove coach coat coconut coin color colour
    column combination comic computer contact container cookie copy country couple coupon course cow crab cracker
    crayon credit cricket croissant crow cube cucumber cupcake customer daisy daughter decoration desk diagonal
    different digit dime dish distinct divisor doctor dog doll donut door doughnut drawing dress drink driver drop
    drum duck duckling ear earring edge egg element elephant elf email employee envelope episode eye face family
    feather fig figurine file firework flavor flea flight floor flyer follower friend frog fruit fry full function
    game gift giraffe girl glass gnome goal goat goldfish goose grain grandchild grape grapefruit graph green group
    guest guitar gumball gun guppy haircut hamburger hand hat head hen hike hit hole home horse hotdog house human
    individual inhabitant insect instruction integer item jacket jar jellybean judge jump kangaroo kid kind kitten
    kiwi knife lamb lamp lap laptop large lawn leaf leg lego lemon lesson letter lettuce level like lily lime line
    lion lizard load loaf log lollipop machine magazine magnet man mango marble mark marker marshmallow mask match
    matchstick meal meatball medal melon member message milkshake minnow mistake model monkey motorcycle movie
    muffin mushroom nail napkin necklace nephew new newspaper nickel node note notebook novel nurse nut object
    occasion omelet onion orange order outcome oyster pack package packet page painting pamphlet pan pancake panda
    paper parent parrot participant passenger pastry patch path patient patron pea peach peanut pear pearl pebble
    pen pencil penguin pepper permutation person pet petal phone photo photograph picture pie piece pig pigeon
    piglet pill pin pineapple pink pizza plane plank plant plate player plum point pointer polygon poodle popsicle
    portion positive possibility possible post postcard poster pot potato pretzel problem pumpkin pup pupil puppy
    purple puzzle question quiz rabbit racer radish rat real record rectangle red region report request ride rider
    ring robot rock roll room rose round row sack sale sandwich sapling school scoop screw sculpture seashell season
    seat section seed segment sentence serving session share shark sheep sheet shelf shell ship shirt shoe shot show
    sibling side signature singer sister site skip skirt slice small snack snail snake snowball snowflake sock soda
    soldier solution son song space sphere spider spoke spool spoon spot stair stamp star starfish station statue
    steak step stick sticker stitch stop story strand straw strawberry street streetlight string stripe student
    subject subset suitcase surfer swan sweater sweet table tadpole tank task teacher team teapot television tent
    term test text thing tick ticket tile tire toddler token tomato tool toothbrush touchdown tour towel toy train
    tray treat tree triangle trip troll truck trumpet tub tulip turtle twig unicorn user vacation value vampire
    vegetable vehicle vertex vertices video view visit visitor vote voter waiter wall walnut watermelon way whale
    wheel whisker white widget win window wing woman word worker worm yellow zebra zombie
    """,
    )
)
_IRREGULAR = {
    "people": "person", "children": "child", "men": "man", "women": "woman", "feet": "foot", "inches": "inch",
    "geese": "goose", "knives": "knife", "leaves": "leaf", "loaves": "loaf", "shelves": "shelf", "elves": "elf",
    "grandchildren": "grandchild", "mice": "mouse", "oxen": "ox", "vertices": "vertex", "pence": "pence",
    "hertz": "hertz", "gas": "gas", "centuries": "century", "potatoes": "potato", "tomatoes": "tomato",
    "mangoes": "mango", "movies": "movie", "cookies": "cookie", "pies": "pie", "brownies": "brownie",
    "calories": "calorie", "selfies": "selfie", "buses": "bus", "quizzes": "quiz", "times": "occasion",
}  # fmt: skip
_FILLERS = frozenset(["total", "each", "left", "altogether", "remaining", "whole"])
_AREA = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}
_WORD = re.compile(
    r"(?P<area>(?:square|sq|cubic|cu)\b\.? )?(?P<word>°? ?[A-Za-zΩμ]+(?:-[A-Za-z]+)?)\.?"
    r"(?: ?\^ ?\{? ?(?P<power>-?[1-4]) ?\}?| (?P<named>squared|cubed))?"
)
_NAMED_POWERS = {"squared": 2, "cubed": 3}
_MOST_COUNTED = 2  # words: red marbles
_COMPOUND = {"mph": "mile per hour", "kph": "km per hour", "kmph": "km per hour"}
_JOINT = re.compile(r" ?/ ?| per | a | ")
_CURRENCIES = {
    "\\$": "dollar", "$": "dollar", "€": "euro", "£": "gbp", "¥": "yen", "₹": "rupee", "₽": "ruble", "₩": "won",
}  # fmt: skip
CURRENCY = re.compile(r"(?:US ?)?\\?\$|[€£¥₹₽₩]")


def currency(sign: str) -> Unit:
    """Return the unit of a currency's sign."""
    return _table()[_CURRENCIES[sign.removeprefix("US").strip()]]


@lru_cache(maxsize=2048)
def unit_of(text: str) -> Unit | None:
    """Return the unit that a text is, as `cm^2`, `miles per hour` or `apples`; None if it is none."""
    text = text.strip()
    text = _COMPOUND.get(text.casefold(), text).removesuffix(" in total").removesuffix(" in all")
    if text in _FILLERS or text in {"in total", "in all"}:
        return NO_UNIT
    powers: dict[str, int] = {}
    factor, place, sign, n_counted = Fraction(1), 0, 1, 0
    while match := _WORD.match(text, place):
        is_filler = match["word"] in _FILLERS and bool(powers)
        found = NO_UNIT if is_filler else _single(match["word"].strip())
        if found is None:
            return None
        n_counted += any(what.startswith("counted") for what, _ in found.measures)
        power = sign * _power(match)
        for what, times in found.measures:
            powers[what] = powers.get(what, 0) + times * power
        factor *= found.factor**power
        place = match.end()
        if place == len(text):
            return _normal(powers, factor) if n_counted <= _MOST_COUNTED else None
        joint = _JOINT.match(text, place)
        if joint is None:
            return None
        sign = -1 if joint[0].strip() in {"/", "per", "a"} else 1
        place = joint.end()
    return None


def _power(match: re.Match[str]) -> int:
    """Return the power of a unit's word: 2 of "square metre", "metre^2" and "metre squared"."""
    area = _AREA.get((match["area"] or "").strip(" ."), 1)
    return area * (int(match["power"]) if match["power"] else _NAMED_POWERS.get(match["named"] or "", 1))


def _normal(powers: dict[str, int], factor: Fraction) -> Unit:
    for what, as_length in (("area", 2), ("volume", 3)):
        if what in powers:
            times = powers.pop(what)
            powers["length"] = powers.get("length", 0) + as_length * times
            if what == "volume":
                factor *= Fraction(1, 1000) ** times
    return Unit(tuple(sorted((what, times) for what, times in powers.items() if times)), factor)


@lru_cache(maxsize=1)
def _table() -> dict[str, Unit]:
    table = {}
    for measure, (letter, names) in _PREFIXED.items():
        base = Fraction(1)
        for name in names.split():
            table[name] = Unit(((measure, 1),), base)
            for prefix, (exponent, _) in _PREFIXES.items():
                table[prefix + name] = Unit(((measure, 1),), Fraction(10) ** exponent)
        table[letter] = Unit(((measure, 1),), base)
        for exponent, short in _PREFIXES.values():
            table[short + letter] = Unit(((measure, 1),), Fraction(10) ** exponent)
    table |= {
        name: Unit(((what, 1),), Fraction(value)) for what, names in _OTHER.items() for name, value in names.items()
    }
    return table


def _single(word: str) -> Unit | None:
    table = _table()
    if len(word) == 1:
        return table.get(word) if word in _CASED else None
    if word in table and not word.isupper():
        return table[word]
    word = re.sub(r"° ?", "°", word)
    folded = word.casefold()
    for candidate in (word, folded, _IRREGULAR.get(folded, ""), *_singular(folded)):
        if candidate in table and (len(candidate) > 1):
            return table[candidate]
        if candidate in _COUNTED:
            return Unit(((f"counted {candidate}", 1),))
    return None


def _singular(word: str) -> list[str]:
    found = [word[:-1]] if word.endswith("s") and not word.endswith("ss") and len(word) > len("ms") else []
    if word.endswith("es"):
        found.append(word[:-2])
    if word.endswith("ies"):
        found.append(word[:-3] + "y")
    if word.endswith("ves"):
        found.append(word[:-3] + "f")
    return found
