r"""What equals what, by the form of the gold. docs/rewards.md has it as a table."""

from collections.abc import Callable
from typing import NamedTuple

from restem.rewards.mathematics.equality import proportional, same_expression
from restem.rewards.mathematics.exact import UndefinedError, exact
from restem.rewards.mathematics.form import Form, as_reals, ratio_of
from restem.rewards.mathematics.nodes import Node, free_variables
from restem.rewards.mathematics.quantities import same_quantity
from restem.rewards.mathematics.sets import same_set


class Policies(NamedTuple):
    """What graders differ on; the docstring of restem.rewards.math explains each."""

    box: str = "last"
    bare: str = "last"
    percent: str = "either"
    units: str = "lenient"
    order: str = "ignore"
    assignment: str = "lenient"
    decimals: int | None = 6


_MOST_ITEMS = 64  # of a list that is compared without regard to order
_PAIR = 2
_TURNED = {"<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le"}


class Comparison:
    """Compares forms under some policies."""

    def __init__(self, policies: Policies) -> None:
        """Take the policies."""
        self._policies = policies
        self._by_form: dict[str, Callable[[Form, Form], bool]] = {
            "special": self._special,
            "ratio": self._ratio,
            "words": lambda gold, answer: gold == answer,
            "logic": lambda gold, answer: answer.table == gold.table,
            "reals": self._reals,
            "set": self._set,
            "list": self._list,
            "tuple": self._tuple,
            "named": self._named,
            "relation": self._relation,
            "quantity": self._quantity,
        }

    def same(self, gold: Form, answer: Form, *, inside: bool = False) -> bool:
        """Return whether two forms are the same answer; inside of sets and tuples a thing is not the set of it."""
        if "equation" in {gold.kind, answer.kind}:
            return self._equation(gold, answer)
        if not inside and (found := self._one_of(gold, answer)) is not None:
            return found
        return self._by_form[gold.kind](gold, answer)

    def _one_of(self, gold: Form, answer: Form) -> bool | None:
        """Return whether a set or list of one thing is that thing; None if it is another case."""
        for many, one in ((gold, answer), (answer, gold)):
            if many.kind in {"set", "list"} and one.kind == "quantity":
                distinct = self._distinct(many.items)
                return (
                    len(distinct) == 1
                    and distinct[0].kind == "quantity"
                    and self._quantity(gold if one is gold else distinct[0], distinct[0] if one is gold else one)
                )
        return None

    def _special(self, gold: Form, answer: Form) -> bool:
        one, other = gold.special, answer.special
        return one is not None and other is not None and one.kind == other.kind and one.value == other.value

    def _ratio(self, gold: Form, answer: Form) -> bool:
        parts, given = ratio_of(gold), ratio_of(answer)
        if parts is None or given is None or len(parts) != len(given):
            return False
        if any(_is_zero(part) for part in (*parts, *given)):
            return all(same_expression(*pair) for pair in zip(parts, given, strict=True))
        return all(
            same_expression(Node("mul", (parts[0], right)), Node("mul", (given[0], left)))
            for left, right in zip(parts[1:], given[1:], strict=True)
        )

    def _quantity(self, gold: Form, answer: Form) -> bool:
        one, other = gold.quantity, answer.quantity
        if one is not None and answer.kind == "ratio" and one.node.kind == "div" and not free_variables(one.node):
            return self._ratio(gold, answer)
        if one is None or other is None:
            return False
        policies = self._policies
        return same_quantity(one, other, percent=policies.percent, units=policies.units, decimals=policies.decimals)

    def _equation(self, gold: Form, answer: Form) -> bool:
        if gold.kind == answer.kind:
            return self._equations(gold, answer)
        if "relation" in {gold.kind, answer.kind}:
            return self._relation(gold, answer)
        one, other = (gold, answer) if gold.kind == "equation" else (answer, gold)
        if other.kind == "named":
            return False
        if self._policies.assignment == "strict" and one.names != ("",):
            return False
        if other.reals is not None and other.reals.name and one.names != (other.reals.name,):
            return False
        return self.same(gold.items[0], answer) if one is gold else self.same(gold, answer.items[0])

    def _equations(self, gold: Form, answer: Form) -> bool:
        name, other = gold.names[0], answer.names[0]
        may_be_one = name == other or not name or not other or _is_value_of(gold, answer) or _is_value_of(answer, gold)
        if may_be_one and self.same(gold.items[0], answer.items[0]):
            return True
        return name != other and self._relation(gold, answer)

    def _relation(self, gold: Form, answer: Form) -> bool:
        """Return whether one relation is the other: turned around, moved to one side, or multiplied by a number."""
        if gold.relation is None or answer.relation is None:
            return False
        (left, sign), (right, other) = gold.relation, answer.relation
        ratio = proportional(left, right)
        if ratio is None:
            return False
        return other == (_TURNED.get(sign, sign) if ratio < 0 else sign)

    def _reals(self, gold: Form, answer: Form) -> bool:
        one, other = gold.reals, as_reals(answer)
        return one is not None and other is not None and same_set(one, other)

    def _tuple(self, gold: Form, answer: Form) -> bool:
        if answer.kind == "reals":
            one = as_reals(gold)
            return one is not None and answer.reals is not None and same_set(one, answer.reals)
        if answer.kind == "named":
            return gold.brackets == "()" and self._in_order(gold.items, answer.items)
        if answer.kind == "list":
            return gold.brackets == "()" and self._in_order(gold.items, answer.items)
        return answer.kind == "tuple" and gold.brackets == answer.brackets and self._in_order(gold.items, answer.items)

    def _named(self, gold: Form, answer: Form) -> bool:
        if answer.kind == "named":
            values = dict(zip(answer.names, answer.items, strict=True))
            return (
                set(values) == set(gold.names)
                and len(gold.names) == len(answer.names)
                and all(self.same(item, values[name]) for name, item in zip(gold.names, gold.items, strict=True))
            )
        is_tuple = answer.kind == "list" or (answer.kind == "tuple" and answer.brackets == "()")
        return is_tuple and self._policies.assignment != "strict" and self._in_order(gold.items, answer.items)

    def _list(self, gold: Form, answer: Form) -> bool:
        if answer.kind == "named":
            return self._policies.assignment != "strict" and self._in_order(gold.items, answer.items)
        if answer.kind == "tuple":
            return answer.brackets == "()" and self._in_order(gold.items, answer.items)
        return answer.kind in {"list", "set"} and self._in_any_order(gold, answer)

    def _set(self, gold: Form, answer: Form) -> bool:
        if answer.kind == "list" and not gold.items:
            return False
        return answer.kind in {"list", "set"} and self._in_any_order(gold, answer)

    def _in_any_order(self, gold: Form, answer: Form) -> bool:
        if self._policies.order == "keep":
            return self._in_order(gold.items, answer.items)
        left, right = self._distinct(gold.items), self._distinct(answer.items)
        if len(left) != len(right) or len(left) > _MOST_ITEMS:
            return False
        for item in left:
            match = next((one for one in right if self.same(item, one, inside=True)), None)
            if match is None:
                return False
            right.remove(match)
        return True

    def _in_order(self, gold: tuple[Form, ...], answer: tuple[Form, ...]) -> bool:
        return len(gold) == len(answer) and all(
            self.same(*pair, inside=True) for pair in zip(gold, answer, strict=True)
        )

    def _distinct(self, items: tuple[Form, ...]) -> list[Form]:
        kept: list[Form] = []
        for item in items[: _MOST_ITEMS + 1]:
            if not any(self.same(item, one, inside=True) for one in kept):
                kept.append(item)
        return kept


def _is_zero(node: Node) -> bool:
    try:
        return exact(node) == 0
    except UndefinedError:
        return False


def _is_value_of(one: Form, other: Form) -> bool:
    """Return whether y of one equation is f(x) of the other, and x is what both values are of."""
    name, called = one.names[0], other.names[0]
    letter = called[called.find("(") + 1 : -1] if called.endswith(")") else ""
    value, given = one.items[0].quantity, other.items[0].quantity
    if name != "y" or len(letter) != 1 or value is None or given is None:
        return False
    return free_variables(value.node) == free_variables(given.node) == {letter}
