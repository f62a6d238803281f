"""Which answers may be shown to which scorer of reasoning-gym, and which of them need a process of their own.

Some scorers call eval or sympy's parser on the answer, which is to run it as Python. So

- a text is *inert* if it could be evaluated without anything being called: of letters, digits, spaces and operators,
  with no bracket, quote, colon, backslash or exclamation mark, and a full stop only beside a digit. Python has no way
  to call what a text names without one of these;
- a scorer *evaluates* if its code, or code of reasoning-gym that it calls, names a function that evaluates text. It is
  shown inert texts, and beyond these only what `_FORMS` has for its task: numbers and operators, or formulas made of
  known functions, read here first as Python's own syntax tree and refused for any node that is not on the list;
- a scorer is *plain* if all that it calls is on a list of harmless things.

A formula, and whatever is shown to a scorer that is not plain and is not inert, is judged in a process of its own.
"""

import ast
import builtins
import dis
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from functools import lru_cache
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

_INERT = re.compile(r"(?:[A-Za-z0-9_ \n\t+\-*/^,;%<>=|&~$]|(?<=\d)\.|\.(?=\d))*", re.ASCII)
_ARITHMETIC = re.compile(r"[0-9+\-*/() ]+", re.ASCII)
_FORMULA = re.compile(r"[A-Za-z0-9+\-*/()., ]+", re.ASCII)
_LONGEST_FORMULA = 1000  # characters
_LONGEST_NAME = 8
_FUNCTIONS = frozenset(
    {
        "Abs", "abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "cos", "cosh", "cot", "csc", "exp",
        "ln", "log", "sec", "sin", "sinh", "sqrt", "tan", "tanh",
    }
)  # fmt: skip
_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.UAdd, ast.USub)
_EVALUATORS = frozenset(
    {
        "__import__", "compile", "eval", "exec", "import_module", "literal_eval", "parse_expr", "parse_latex",
        "sympify",
    }
)  # fmt: skip
_HARMLESS = frozenset(
    {
        "AttributeError", "Exception", "IndexError", "KeyError", "TypeError", "ValueError", "ZeroDivisionError",
        "abs", "all", "any", "bool", "chr", "dict", "divmod", "enumerate", "filter", "float", "frozenset",
        "int", "isinstance", "len", "list", "map", "max", "min", "next", "ord", "range", "reversed", "round",
        "set", "sorted", "str", "sum", "tuple", "zip",
    }
)  # fmt: skip
_MODULES = frozenset(("decimal", "fractions", "json", "json.decoder", "math", "re"))
_METHODS = frozenset(
    {
        "add", "adjusted", "append", "copy", "count", "endswith", "extend", "find", "findall", "fullmatch",
        "get", "group", "groups", "index", "intersection", "is_zero", "isalpha", "isdigit", "isnumeric",
        "items", "join", "keys", "lower", "lstrip", "match", "pop", "quantize", "remove", "replace", "rindex",
        "rstrip", "search", "split", "splitlines", "startswith", "strip", "title", "update", "upper", "values",
    }
)  # fmt: skip

_Use = tuple[str, Any, bool]  # a name, what it is if that is known, and whether it is global


def is_inert(text: str) -> bool:
    """Return whether nothing is called when this text is evaluated."""
    return _INERT.fullmatch(text) is not None


def is_plain(scorer: Callable[..., Any]) -> bool:
    """Return whether a scorer, a bound method, calls nothing but what is known to be harmless."""
    return _is_plain(scorer)


def admits(task: str, scorer: Callable[..., Any], text: str) -> bool:
    """Return whether a text may be shown to the scorer of a task."""
    if is_inert(text) or not _evaluates(scorer):
        return True
    form = _FORMS.get(task)
    return form is not None and form(text)


def needs_own_process(task: str, scorer: Callable[..., Any], text: str) -> bool:
    """Return whether the process that shows this text to this scorer could be changed by it.

    What a scorer that evaluates is shown at all either calls nothing, or calls functions that are known.
    """
    if is_inert(text) or is_plain(scorer):
        return False
    return not _evaluates(scorer) or (_FORMS.get(task) is _is_formula and _is_formula(text))


@lru_cache(maxsize=512)
def _is_plain(scorer: Callable[..., Any]) -> bool:
    return all(_is_harmless(*use) for use in _uses_of(scorer))


@lru_cache(maxsize=512)
def _evaluates(scorer: Callable[..., Any]) -> bool:
    return any(name in _EVALUATORS for name, _, _ in _uses_of(scorer))


def _uses_of(scorer: Callable[..., Any]) -> "Iterator[_Use]":
    return _uses(getattr(scorer, "__func__", scorer), getattr(scorer, "__self__", None), set())


def _is_harmless(name: str, value: Any, is_global: bool) -> bool:
    """Return whether what a scorer names is of use for nothing but looking at text and numbers."""
    if isinstance(value, str | int | float | tuple | frozenset | set | dict | list | re.Pattern) or _is_data(value):
        return True
    if isinstance(value, ModuleType):
        return value.__name__ in _MODULES or _is_own(value.__name__)
    if isinstance(value, FunctionType | BuiltinFunctionType | type) and value.__module__ != "builtins":
        # The names that a function of reasoning-gym uses are looked at too.
        return value.__module__ in _MODULES or (isinstance(value, FunctionType) and _is_own(value.__module__))
    if is_global:
        return name in _HARMLESS and getattr(builtins, name, None) is value
    return name in _METHODS


def _uses(function: Any, owner: Any, seen: set[CodeType]) -> Iterator[_Use]:
    """Yield (name, what it is if that is known, whether it is global) of all that a function and its callees name."""
    if not isinstance(function, FunctionType):
        yield "?", None, True  # not Python: nothing is known
        return
    for code in _codes(function.__code__):
        if code in seen:
            continue
        seen.add(code)
        base: Any = owner  # of the next attribute: of `self`, or of what was named just before
        for step in dis.get_instructions(code):
            name, is_attribute = str(step.argval), step.opname in {"LOAD_ATTR", "LOAD_METHOD"}
            if not is_attribute and step.opname not in {"LOAD_GLOBAL", "LOAD_NAME", "IMPORT_NAME"}:
                base = owner
                continue
            value = getattr(base, name, None) if is_attribute else function.__globals__.get(name)
            value = getattr(builtins, name, None) if value is None and not is_attribute else value
            value = getattr(value, "__func__", value)
            yield name, value, not is_attribute
            if isinstance(value, FunctionType) and _is_own(value.__module__):
                yield from _uses(value, owner, seen)
            base = value if isinstance(value, ModuleType) or _is_data(value) else owner


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _is_data(value: Any) -> bool:
    """Return whether this is an object of reasoning-gym that only holds values, as the settings of a task."""
    return is_dataclass(value) and not isinstance(value, type) and _is_own(type(value).__module__)


def _is_own(module: str) -> bool:
    return module.partition(".")[0] == "reasoning_gym"


def _is_arithmetic(text: str) -> bool:
    return _ARITHMETIC.fullmatch(text) is not None and _has_only(text, functions=frozenset(), names=False)


def _is_formula(text: str) -> bool:
    return _FORMULA.fullmatch(text) is not None and _has_only(text, functions=_FUNCTIONS, names=True)


def _has_only(text: str, *, functions: frozenset[str], names: bool) -> bool:
    """Return whether a text is one Python expression of numbers, operators, and these functions of such."""
    if len(text) > _LONGEST_FORMULA:
        return False
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return all(_is_known(node, functions, called, names=names) for node in ast.walk(tree))


def _is_known(node: ast.AST, functions: frozenset[str], called: set[int], *, names: bool) -> bool:
    match node:
        case ast.Constant(value=value):
            return type(value) in {int, float}
        case ast.Name(id=name) if id(node) in called:
            return name in functions
        case ast.Name(id=name):
            return names and len(name) <= _LONGEST_NAME and not hasattr(builtins, name)
        case ast.operator() | ast.unaryop():
            return isinstance(node, _OPERATORS) or (names and isinstance(node, ast.Pow))
        case ast.Call(func=function, keywords=keywords):  # its name and its arguments are nodes of their own
            return isinstance(function, ast.Name) and not keywords
    return isinstance(node, ast.Expression | ast.BinOp | ast.UnaryOp | ast.Load)


def _is_json(text: str) -> bool:
    try:
        json.loads(text.replace("'", '"'))
    except (ValueError, RecursionError):
        return False
    return True


_FORMS: dict[str, Callable[[str], bool]] = {
    "countdown": _is_arithmetic,
    "puzzle24": _is_arithmetic,
    "polynomial_multiplication": _is_formula,
    "simple_integration": _is_formula,
    "intermediate_integration": _is_formula,
    "number_sorting": _is_json,  # it evaluates its own answer, and reads the completion's as JSON
}
