"""What a form of answer holds, and what else it may be read as."""

import re
from typing import NamedTuple

from restem.rewards.mathematics.equality import is_defined
from restem.rewards.mathematics.grammar import parse
from restem.rewards.mathematics.logic import Table
from restem.rewards.mathematics.nodes import Node, UnparseableError, free_variables
from restem.rewards.mathematics.quantities import Quantity, is_known_quantity
from restem.rewards.mathematics.sets import RealSet, interval, point, union
from restem.rewards.mathematics.special import Special

_PAIR = 2
MOST_PARTS = 64  # of a list


class Form(NamedTuple):
    """An answer, read."""

    kind: str
    items: tuple["Form", ...] = ()  # of list, set, tuple, ratio, named, equation (its value)
    names: tuple[str, ...] = ()  # of equation and named; of words, the words
    brackets: str = ""  # of tuple
    special: Special | None = None
    quantity: Quantity | None = None
    reals: RealSet | None = None
    relation: tuple[Node, str] | None = None  # left - right, and the sign between them
    table: Table | None = None


def name_of_form(form: Form) -> str:
    """Return what docs/rewards.md calls a form."""
    if form.special is not None:
        return form.special.kind
    if form.quantity is not None:
        return _name_of_quantity(form.quantity)
    if form.kind == "words":
        return "choice" if len("".join(form.names)) == 1 else "words"
    return {"reals": "interval", "equation": "relation", "named": "several unknowns"}.get(form.kind, form.kind)


def _name_of_quantity(quantity: Quantity) -> str:
    kinds = {measure.partition(" ")[0] for measure, _ in quantity.unit.measures}
    if quantity.percent or kinds:
        named = {"counted": "counted things", "degree": "angle", "usd": "money"}
        return "percent" if quantity.percent else named.get("".join(kinds), "unit")
    node = quantity.node.parts[0] if quantity.node.kind == "neg" else quantity.node
    if node.kind in {"num", "matrix"}:
        return "number" if node.kind == "num" else "matrix"
    if free_variables(node):
        return "expression"
    return "fraction" if node.kind == "div" and all(part.kind == "num" for part in node.parts) else "constant"


def any_reals(form: Form) -> RealSet | None:
    """Return an interval or a set of numbers as a set of real numbers; None if it is none."""
    if form.reals is not None:
        return form.reals
    nodes = [
        item.quantity.node
        for item in form.items
        if item.quantity is not None and not free_variables(item.quantity.node)
    ]
    if len(nodes) < len(form.items):
        return None
    if form.kind == "set":
        return union([point(node) for node in nodes])
    if form.kind == "tuple" and len(nodes) == _PAIR:
        found = interval(form.brackets, *nodes)
        return None if found is None else RealSet((found,))
    return None


def as_reals(form: Form) -> RealSet | None:
    """Return an interval, a tuple that may be one, or what an inequality allows; None if it is none of these."""
    return None if form.kind == "set" else any_reals(form)


def ratio_of(form: Form) -> tuple[Node, ...] | None:
    """Return the parts of a ratio, of a time that may be one, of "3 to 2", or of a fraction; None if it is none."""
    if form.kind == "ratio":
        return tuple(item.quantity.node for item in form.items if item.quantity is not None)
    if form.special is not None and form.special.parts and form.special.kind in {"time", "range"}:
        if any(re.match(r"0\d", part) for part in form.special.parts):
            return None  # 3:02 is a time
        return tuple(parse(part) for part in form.special.parts)
    if form.quantity is not None and form.quantity.node.kind == "div":
        return form.quantity.node.parts
    return None


def is_known(form: Form) -> bool:
    """Return whether everything in a gold has a value."""
    if form.quantity is not None:
        return is_known_quantity(form.quantity)
    if form.reals is not None:
        return all(is_defined(end) for one in form.reals.intervals for end in (one.low, one.high))
    if form.special is not None:
        return form.special.value[0] != "no numeral"
    return all(is_known(item) for item in form.items)


def gathered(forms: list[Form]) -> Form:
    """Return a list; of equations, the names with their values."""
    if len(forms) > MOST_PARTS:
        raise UnparseableError
    equations = [form for form in forms if form.kind == "equation" and form.names != ("",)]
    if not equations:
        named = [form for form in forms if form.kind == "named"]
        if named and len(named) < len(forms) and forms[0].kind == "named":
            forms = [form if form.kind == "named" else Form("named", form.items, named[0].names) for form in forms]
            if any(len(form.items) != len(form.names) for form in forms):
                raise UnparseableError
        flat = tuple(item for form in forms for item in (form.items if form.kind == "list" else (form,)))
        return Form("list", flat)
    names = [form.names[0] for form in equations]
    if len(set(names)) == 1 and forms[0].kind == "equation" and len(equations) in {1, len(forms)}:
        values = [form.items[0] if form.kind == "equation" else form for form in forms]
        flat = tuple(item for form in values for item in (form.items if form.kind == "list" else (form,)))
        return Form("equation", (Form("list", flat),), (names[0],))
    if len(set(names)) == len(names) == len(forms):
        return Form("named", tuple(form.items[0] for form in forms), tuple(names))
    raise UnparseableError
