# ruff: noqa: E501, RUF001 - tables of cases, look-alike characters among them
r"""Golds drawn from each form of answers, with other spellings of the same value and with spoilt answers."""

import random
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple


class Drawn(NamedTuple):
    """A gold, what must be accepted for it, and what must not."""

    gold: str
    same: list[str]
    spoilt: list[str]


def other_digit(text: str, draw: random.Random) -> str:
    """Return the text with one digit changed to another that is not 0."""
    places = [place for place, character in enumerate(text) if character.isdigit()]
    place = draw.choice(places)
    digit = draw.choice([one for one in "123456789" if one != text[place]])
    return text[:place] + digit + text[place + 1 :]


def without_sign(text: str) -> str:
    """Return the text with its sign turned around."""
    return text[1:] if text.startswith("-") else f"-{text}"


def _integer(draw: random.Random) -> Drawn:
    value = draw.choice([-1, 1]) * draw.randint(2, 99_999)
    gold = str(value)
    same = [
        f"{value:,}",
        f"{value}.0",
        rf"\boxed{{{value}}}",
        f"${gold}$",
        f"x = {value}",
        f"The answer is {value}.",
        f"#### {value}",
    ]
    same += [
        rf"\frac{{{2 * value}}}{{2}}",
        f"{value} apples",
        f"negative {-value}" if value < 0 else f"{value} in total",
    ]
    spoilt = [
        other_digit(gold, draw),
        without_sign(gold),
        f"{gold}0",
        f"{value} quarters",
        f"{value} squared",
        f"half of {value}",
    ]
    spoilt += [
        f"{value}!",
        f"{value}x",
        f"{value}/7",
        f"{value} point five",
        f"{value} or {value + 1}",
        f"at least {value}",
    ]
    spoilt += [
        f"{gold[:-1]} {gold[-1]}",
        rf"{gold[:-1]}\quad {gold[-1]}",
        f"{value} thousand",
        f"not {value}",
        f"{value}^2",
        f"{value} below zero",
    ]
    return Drawn(gold, same, spoilt)


def _fraction(draw: random.Random) -> Drawn:
    below = draw.randint(3, 40)
    above = draw.choice([n for n in range(1, 3 * below) if n % below and Fraction(n, below).denominator == below])
    gold = rf"\frac{{{above}}}{{{below}}}"
    same = [
        f"{above}/{below}",
        rf"\dfrac{{{3 * above}}}{{{3 * below}}}",
        rf"\boxed{{{gold}}}",
        rf"\left(\frac{{{above}}}{{{below}}}\right)",
    ]
    if above > below:
        same.append(rf"{above // below}\frac{{{above % below}}}{{{below}}}")
        same.append(f"{above // below} {above % below}/{below}")
    spoilt = [
        f"{below}/{above}",
        f"{above + 1}/{below}",
        f"-{above}/{below}",
        f"{above}{below}",
        f"{above}.{below}",
        f"{above}, {below}",
    ]
    spoilt += [
        f"{above}/{below}x",
        f"{above}/{below} squared",
        rf"7\frac{{{above}}}{{{below}}}",
        f"{above}:{below + 1}",
    ]
    return Drawn(gold, same, spoilt)


def _decimal(draw: random.Random) -> Drawn:
    cents = draw.randint(101, 99_999)
    cents += cents % 10 == 0
    gold = f"{cents // 100}.{cents % 100:02d}"
    same = [f"{gold}0", rf"\frac{{{cents}}}{{100}}", f"${gold}", gold.replace(".", ","), f"{cents * 10}e-3"]
    spoilt = [other_digit(gold, draw), f"{cents}", f"{gold}1", f"-{gold}", gold.replace(".", " "), f"{cents / 99:.4f}"]
    return Drawn(gold, same, spoilt)


def _time(draw: random.Random) -> Drawn:
    hour, minute = draw.randint(1, 11), draw.randint(1, 59)
    gold = f"{hour}:{minute:02d} PM"
    same = [
        f"{hour}:{minute:02d} p.m.",
        f"{hour + 12}:{minute:02d}",
        f"{hour}:{minute:02d}pm",
        rf"{hour}:{minute:02d}\text{{ PM}}",
    ]
    spoilt = [
        f"{hour}:{minute:02d} AM",
        f"{hour % 11 + 1}:{minute:02d} PM",
        f"{hour}:{(minute + 1) % 60:02d} PM",
        f"{hour}:{minute:02d}",
    ]
    spoilt += [f"{hour}/{minute}", f"{hour}.{minute:02d}"]
    return Drawn(gold, same, spoilt)


def _plain_time(draw: random.Random) -> Drawn:
    hour, minute = draw.randint(1, 9), draw.randint(10, 29)
    gold = f"{hour}:{minute}"
    spoilt = [
        f"{2 * hour}:{2 * minute}",
        f"{minute}:{hour}",
        f"{hour}:{minute + 1}",
        f"{hour}{minute}",
        f"{hour}/{minute}",
        f"{hour + 12}:{minute}",
    ]
    return Drawn(gold, [f"0{hour}:{minute}", rf"\boxed{{{hour}:{minute}}}", f"{hour}:{minute} am"], spoilt)


def _date(draw: random.Random) -> Drawn:
    months = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ]
    month, day, year = draw.randint(1, 12), draw.randint(13, 28), draw.randint(1900, 2030)
    name = months[month - 1]
    gold = f"{name} {day}, {year}"
    same = [
        f"{day} {name} {year}",
        f"{name[:3]} {day}, {year}",
        f"{year}-{month:02d}-{day}",
        f"{day}/{month}/{year}",
        f"{month}/{day}/{year}",
    ]
    spoilt = [
        f"{name} {day + 1}, {year}",
        f"{name} {day}, {year + 1}",
        f"{months[month % 12]} {day}, {year}",
        f"{name} {day}",
        f"{year}-{day}-{month:02d}",
    ]
    return Drawn(gold, same, [*spoilt, f"{day}/{month % 12 + 1}/{year}", f"{year - month - day}"])


def _ratio(draw: random.Random) -> Drawn:
    left = draw.randint(25, 60)
    right = draw.choice([n for n in range(2, 90) if Fraction(left, n).denominator == n and n != left])
    gold = f"{left}:{right}"
    same = [
        f"{left} : {right}",
        f"{2 * left}:{2 * right}",
        rf"\frac{{{left}}}{{{right}}}",
        f"V_1:V_2 = {left}:{right}",
        f"{left} to {right}",
    ]
    return Drawn(
        gold,
        same,
        [
            f"{right}:{left}",
            f"{left}:{right + 1}",
            f"{left}{right}",
            f"-{left}:{right}",
            f"{left}:{right}:1",
            f"{left - right}",
        ],
    )


def _range(draw: random.Random) -> Drawn:
    low = draw.randint(1, 90)
    high = low + draw.randint(1, 9)
    spoilt = [
        f"{low - high}",
        f"{high}-{low}",
        f"{low}-{high + 1}",
        f"{low}",
        f"{high}",
        f"{low + high}",
        f"{low}{high}",
        f"{low}/{high}",
    ]
    return Drawn(f"{low}-{high}", [f"{low} - {high}", f"{low} to {high}", f"{low}–{high}"], spoilt)


def _set(draw: random.Random) -> Drawn:
    items = draw.sample(range(1, 99), 3)
    a, b, c = items
    same = [rf"\{{{c},{a},{b}\}}", f"{b}, {c}, {a}", f"{a}, {b} and {c}", rf"\left\{{{a}, {b}, {c}\right\}}"]
    spoilt = [
        rf"\{{{a},{b}\}}",
        rf"\{{{a},{b},{c + 100}\}}",
        f"({a},{b},{c})",
        rf"\{{{a},\{{{b},{c}\}}\}}",
        rf"\{{\{{{a},{b},{c}\}}\}}",
        f"[{a},{b},{c}]",
        f"{a}{b}, {c}",
        rf"\{{-{a},{b},{c}\}}",
    ]
    return Drawn(rf"\{{{a},{b},{c}\}}", same, spoilt)


def _tuple(draw: random.Random) -> Drawn:
    a, b = draw.sample(range(10, 99), 2)
    same = [f"({a}, {b})", f"(x,y) = ({a},{b})", rf"\left({a}, \frac{{{2 * b}}}{{2}}\right)", f"x = {a}, y = {b}"]
    spoilt = [
        f"({b},{a})",
        f"[{a},{b}]",
        f"({a},{b},0)",
        f"({a},-{b})",
        rf"\{{{a},{b}\}}",
        f"({a} {b})",
        f"({str(a)[0]} {str(a)[1]},{b})",
        f"({a}{b})",
        f"{a}{b}",
        f"({a},{b + 1})",
    ]
    return Drawn(f"({a},{b})", same, spoilt)


def _interval(draw: random.Random) -> Drawn:
    low = draw.randint(-50, 50)
    high = low + draw.randint(1, 60)
    opening, closing = draw.choice("[("), draw.choice("])")
    signs = {"[": r"\le", "(": "<", "]": r"\le", ")": "<"}
    gold = f"{opening}{low},{high}{closing}"
    named = rf"{low} {signs[opening]} x {signs[closing]} {high}"
    same = [f"{opening}{low}, {high}{closing}", named, rf"x \in {gold}", rf"\left{opening}{low},{high}\right{closing}"]
    flipped = {"[": "(", "(": "[", "]": ")", ")": "]"}
    spoilt = [
        f"{flipped[opening]}{low},{high}{closing}",
        f"{opening}{low},{high}{flipped[closing]}",
        f"{opening}{low},{high + 1}{closing}",
        f"{opening}{low - 1},{high}{closing}",
        rf"\{{{low},{high}\}}",
    ]
    return Drawn(gold, same, [*spoilt, f"{opening}{high},{low}{closing}", rf"{low} < x", f"{low}{high}"])


def _union(draw: random.Random) -> Drawn:
    low = draw.randint(-50, 50)
    high = low + draw.randint(1, 60)
    gold = rf"(-\infty,{low})\cup({high},\infty)"
    same = [
        rf"({high},\infty)\cup(-\infty,{low})",
        f"x<{low} or x>{high}",
        rf"x \in (-\infty, {low}) \cup ({high}, \infty)",
    ]
    spoilt = [
        rf"(-\infty,{low}]\cup({high},\infty)",
        f"x<{low}",
        f"{low}<x<{high}",
        f"x<{low} and x>{high}",
        rf"(-\infty,{low + 1})\cup({high + 1},\infty)",
        rf"(-\infty,{high})\cup({low},\infty)",
    ]
    return Drawn(gold, same, spoilt)


def _matrix(draw: random.Random) -> Drawn:
    a, b, c, d = draw.sample(range(1, 99), 4)

    def matrix(*cells: int, kind: str = "pmatrix") -> str:
        return rf"\begin{{{kind}}}{cells[0]} & {cells[1]} \\ {cells[2]} & {cells[3]}\end{{{kind}}}"

    same = [
        matrix(a, b, c, d, kind="bmatrix"),
        rf"A = {matrix(a, b, c, d)}",
        rf"\left[\begin{{array}}{{cc}}{a}&{b}\\{c}&{d}\end{{array}}\right]",
    ]
    spoilt = [
        matrix(a, c, b, d),
        matrix(a, b, c, d + 1),
        matrix(-a, b, c, d),
        matrix(c, d, a, b),
        f"{a * d - b * c}",
        rf"\begin{{pmatrix}}{a}&{b}&{c}&{d}\end{{pmatrix}}",
        matrix(a, b, c, d, kind="vmatrix"),
    ]
    return Drawn(matrix(a, b, c, d), same, spoilt)


def _unit(draw: random.Random) -> Drawn:
    value = draw.randint(2, 900)
    short, long, smaller, per, other = draw.choice(
        [
            ("cm", "centimeters", "mm", 10, "inches"),
            ("kg", "kilograms", "g", 1000, "pounds"),
            ("hours", "hours", "minutes", 60, "days"),
            ("km", "kilometers", "m", 1000, "miles"),
        ]
    )
    same = [
        f"{value} {long}",
        f"{value}",
        f"{value * per} {smaller}",
        rf"{value}\text{{ {short}}}",
        rf"\boxed{{{value}\,\mathrm{{{short}}}}}",
    ]
    spoilt = [
        f"{value} {other}",
        f"{value} {smaller}",
        f"{value * per}",
        f"{value + 1} {short}",
        f"{value} {short}^2",
        f"-{value} {short}",
        f"{value} quarters",
        f"{value} apples",
    ]
    return Drawn(f"{value} {short}", same, spoilt)


def _money(draw: random.Random) -> Drawn:
    value = draw.randint(2, 9000)
    same = [f"{value}", f"{value} dollars", f"${value}.00", f"{value * 100} cents", rf"\$ {value:,}"]
    return Drawn(
        rf"\${value}",
        same,
        [
            f"€{value}",
            f"{value} cents",
            f"${value}0",
            f"-${value}",
            f"${value} million",
            f"{value * 100}",
            f"${value}.01",
            f"£{value}",
        ],
    )


def _percent(draw: random.Random) -> Drawn:
    value = draw.choice([n for n in range(2, 99) if n % 10])
    same = [f"{value}", f"{value / 100:.2f}", rf"{value}\%", f"{value} percent", rf"\frac{{{value}}}{{100}}"]
    return Drawn(
        f"{value}%",
        same,
        [
            f"{value + 1}%",
            f"{value}0%",
            f"{value / 1000:.3f}",
            f"-{value}%",
            f"{value * 100}",
            f"0.{value}%",
            f"{value} quarters",
        ],
    )


def _angle(draw: random.Random) -> Drawn:
    value = draw.choice([30, 45, 60, 75, 90, 105, 120, 150])
    turn = Fraction(value, 180)
    same = [
        f"{value}",
        f"{value} degrees",
        rf"\frac{{{turn.numerator}\pi}}{{{turn.denominator}}}",
        rf"\angle ABC = {value}^\circ",
    ]
    return Drawn(
        rf"{value}^\circ",
        same,
        [
            rf"{value}\pi",
            rf"\frac{{\pi}}{{{turn.denominator + 1}}}",
            rf"{value + 1}^\circ",
            rf"-{value}^\circ",
            f"{value} radians",
            f"{value}%",
            rf"{value}^\circ C",
        ],
    )


def _name(draw: random.Random) -> Drawn:
    a, b, c = draw.sample("ABCDEFGHKLMNPQRST", 3)
    spoilt = [
        rf"\angle {a}{c}{b}",
        rf"\angle {b}{a}{c}",
        rf"\triangle {a}{b}{c}",
        f"{a}{b}{c}",
        rf"\angle {a}{b}",
        rf"\angle {b}{c}{a}",
    ]
    return Drawn(
        rf"\angle {a}{b}{c}", [rf"\angle {c}{b}{a}", f"angle {a}{b}{c}", rf"\boxed{{\angle {a}{b}{c}}}"], spoilt
    )


def _base(draw: random.Random) -> Drawn:
    base = draw.randint(3, 9)
    digits = str(draw.randint(1, base - 1)) + "".join(str(draw.randrange(base)) for _ in range(3))
    spoilt = [
        digits,
        f"{digits}_{base + 1}",
        f"{int(digits, base)}",
        f"{digits}0_{base}",
        f"{int(digits) + 1}_{base}",
        f"-{digits}_{base}",
        f"{digits}{base}",
    ]
    return Drawn(
        f"{digits}_{base}", [f"{digits}_{{{base}}}", f"{digits} base {base}", rf"\boxed{{{digits}_{{{base}}}}}"], spoilt
    )


def _choice(draw: random.Random) -> Drawn:
    letter, other = draw.sample("ABCDE", 2)
    same = [
        f"({letter})",
        rf"\text{{({letter})}}",
        f"The answer is {letter}.",
        f"{letter}.",
        f"({letter}) 12 km",
        f"Answer: {letter}",
    ]
    return Drawn(
        letter,
        same,
        [
            other,
            f"({other})",
            f"{letter} or {other}",
            f"{letter}{other}",
            letter.lower(),
            f"({other}) {letter}",
            f"not {letter}",
            f"The answer is {other}.",
        ],
    )


def _polynomial(draw: random.Random) -> Drawn:
    a, b = draw.sample(range(2, 30), 2)
    same = [
        f"(x+{a})(x+{b})",
        f"{a * b}+{a + b}x+x^2",
        rf"x\left(x+{a + b}\right)+{a * b}",
        f"y = x^2+{a + b}x+{a * b}",
        f"(x+{b})*(x+{a})",
    ]
    spoilt = [
        f"x^2+{a + b}x-{a * b}",
        f"x^2+{a * b}x+{a + b + (a + b == a * b)}",
        f"(x-{a})(x+{b})",
        rf"x^2+{a + b}x+{a * b}+\sin({draw.randint(2, 99)}\pi x)",
        f"y^2+{a + b}y+{a * b}",
        f"x^3+{a + b}x+{a * b}",
        f"x^2+{a + b}x+{a * b} squared",
        rf"x^2+{a + b}x+{a * b}+10^{{-{draw.randint(20, 90)}}}",
        f"x^2 + {a + b}x",
    ]
    return Drawn(f"x^2+{a + b}x+{a * b}", same, spoilt)


def _closed_form(draw: random.Random) -> Drawn:
    a, b = draw.randint(2, 20), draw.choice([2, 3, 5, 6, 7, 10])
    same = [
        rf"\sqrt{{{a * a * b}}}",
        rf"\sqrt{{{b}}}\cdot {a}",
        rf"\frac{{{a * b}}}{{\sqrt{{{b}}}}}",
        f"{a}*sqrt({b})",
        rf"{a} \cdot {b}^{{1/2}}",
    ]
    spoilt = [
        rf"{a}\sqrt{{{b + 1}}}",
        rf"{a + 1}\sqrt{{{b}}}",
        rf"\sqrt{{{a * b}}}",
        rf"-{a}\sqrt{{{b}}}",
        rf"{a}\sqrt{{{b}}}+10^{{-{draw.randint(20, 400)}}}",
        f"{a * b**0.5:.4f}",
        rf"{a}\sqrt[3]{{{b}}}",
        rf"{a}{b}",
        rf"{a}\sqrt{{{b}}}x",
    ]
    return Drawn(rf"{a}\sqrt{{{b}}}", same, spoilt)


def _equation(draw: random.Random) -> Drawn:
    a, b = draw.randint(2, 20), draw.randint(1, 40)
    same = [f"{a}x+{b}", f"f(x) = {a}x+{b}", f"{a}x - y + {b} = 0", f"y - {b} = {a}x", f"2y = {2 * a}x+{2 * b}"]
    return Drawn(
        f"y = {a}x+{b}",
        same,
        [
            f"y = {a}x-{b}",
            f"y = {a + 1}x+{b}",
            f"x = {a}y+{b}",
            f"y = {b}+{a}",
            f"z = {a}x+{b}",
            f"y < {a}x+{b}",
            f"{a}x + y + {b} = 0",
        ],
    )


def _logic(draw: random.Random) -> Drawn:
    p, q = draw.sample("pqrst", 2)
    same = [rf"{q} \land {p}", rf"\lnot(\lnot {p} \lor \lnot {q})", rf"{p} \wedge {q}"]
    return Drawn(
        rf"{p} \land {q}",
        same,
        [rf"{p} \lor {q}", rf"{p} \to {q}", rf"\lnot {p} \land {q}", p, rf"\lnot({p} \land {q})", rf"{p} \land u"],
    )


FORMS: dict[str, Callable[[random.Random], Drawn]] = {
    "integer": _integer, "fraction": _fraction, "decimal": _decimal, "time": _time, "plain time": _plain_time, "date": _date,
    "ratio": _ratio, "range": _range, "set": _set, "tuple": _tuple, "interval": _interval, "union": _union, "matrix": _matrix,
    "unit": _unit, "money": _money, "percent": _percent, "angle": _angle, "name": _name, "base": _base, "choice": _choice,
    "polynomial": _polynomial, "closed form": _closed_form, "equation": _equation, "logic": _logic,
}  # fmt: skip
