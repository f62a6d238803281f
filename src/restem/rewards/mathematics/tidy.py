# ruff: noqa: RUF001 - look-alike characters are what this module is about
r"""One way of writing for what differs only in typesetting.

What is left is meant for the grammar and not for reading: no dollars, no \left, \text{...} become plain words, one
command per sign. Spaces between digits stay, \quad is two spaces: `1 2` and `1\quad 2` are never 12.
Every pattern is linear in the text.
"""

import re

_CHARACTERS = str.maketrans(
    {
        "−": "-", "–": "-", "—": "-", "×": r"\times ", "·": r"\cdot ", "÷": "/", "π": r"\pi ", "∞": r"\infty ",
        "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ", "∅": r"\emptyset ",
        "±": r"\pm ", "∓": r"\mp ", "√": r"\sqrt ", "½": r"\frac{1}{2}", "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}",
        "⅓": r"\frac{1}{3}", "⅔": r"\frac{2}{3}", "，": ",", "（": "(", "）": ")", "：": ":", "；": ";", "．": ".",
        "％": "%", "\u00a0": " ", "\u2009": " ", "\u202f": " ", "α": r"\alpha ", "β": r"\beta ", "γ": r"\gamma ",
        "θ": r"\theta ", "λ": r"\lambda ", "μ": r"\mu ", "φ": r"\phi ", "ω": r"\omega ", "Δ": r"\Delta ",
        "∧": r"\land ", "∨": r"\lor ", "¬": r"\lnot ", "→": r"\to ", "↔": r"\iff ", "∠": r"\angle ",
        "△": r"\triangle ", "ℝ": r"\mathbb{R}", "’": "'", "′": "'", "″": "''", "\u200b": "", "“": '"', "”": '"',
    }
)  # fmt: skip
_SUPERSCRIPT = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+")
_SUBSCRIPT = re.compile("[₀₁₂₃₄₅₆₇₈₉]+")
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻₀₁₂₃₄₅₆₇₈₉", "0123456789-0123456789")
_FUNCTIONS = (
    "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln exp gcd lcm max min det lim sgn Re Im arg"
)
_IS_FUNCTION = "|".join(_FUNCTIONS.split())
_TEXT = (
    r"\\(?:textbf|textit|textrm|textnormal|textsf|mathrm|mathbf|mathit|mathsf|boldsymbol|bm|mbox|text|operatorname\*?)"
)
_PER = re.compile(r"(?<=[A-Za-z\d)])\s*\\?%|(?<=\})\s*\\?%|\\%")

_SIGNS = {  # names of commands, and what they are written as
    "lt": "<",
    "gt": ">",
    "lbrace": r"\\{",
    "rbrace": r"\\}",
    "lbrack": "[",
    "rbrack": "]",
    "[lr]?vert|mid": "|",
    "colon": ":",
    "varnothing": r"\\emptyset",
    "wedge": r"\\land",
    "vee": r"\\lor",
    "neg": r"\\lnot",
    "setminus|smallsetminus": r"\\backslash",
}
_REWRITES: list[tuple[re.Pattern[str], str]] = [
    (re.compile(pattern), replacement)
    for pattern, replacement in [
        (r"(?<!\\)\\[()\[\]]|(?<!\\)\$\$?", " "),
        (r"\s+", " "),
        (
            r"\\(?:displaystyle|textstyle|scriptstyle|limits|[Bb]igg?[lrm]?|left|right|mleft|mright|middle)(?![A-Za-z])",
            "",
        ),
        (r"(?<!\\)\\[ ,;:>] ?|~", "\x1f"),  # a thin space
        (r"(?<=\d),\\! ?(?=\d)|(?<=\d)\{,\}(?=\d)|(?<=\d)\\!,\\! ?(?=\d)", ","),
        (r"(?<!\\)\\! ?|\\[hv]space\*? ?\{[^{}]*\}|\\phantom ?\{[^{}]*\}", ""),
        (r"\\q?quad(?![A-Za-z])", "\x1e"),
        (r"\\[dtc]frac(?![A-Za-z])", r"\\frac"),
        (r"\\[dt]binom(?![A-Za-z])", r"\\binom"),
        (rf"\\(?:operatorname\*?|mathrm|text) ?\{{ ?({_IS_FUNCTION}) ?\}}", r"\\\1 "),
        (rf"{_TEXT} ?\{{([A-Za-z])\}}", r"{\1}"),
        (rf"{_TEXT} ?\{{([^{{}}]*)\}}", r" \1 "),
        (r"\\(?:pi|infty)(?![A-Za-z])(?= ?[a-z]{2})", r"\g<0> "),
        (r"\^ ?\{? ?\\circ(?![A-Za-z]) ?\}?|\\degrees?(?![A-Za-z])", "°"),
        (r"(?<=[0-9a-zA-Z)}]) ?\*\* ?", "^"),
        (r"\\(?:leqslant|leq|le)(?![A-Za-z])|<=|=<", r"\\le "),
        (r"\\(?:geqslant|geq|ge)(?![A-Za-z])|>=", r"\\ge "),
        (r"\\(?:neq|ne)(?![A-Za-z])|!=", r"\\ne "),
        *((rf"\\(?:{names})(?![A-Za-z])", sign) for names, sign in _SIGNS.items()),
        (r"(?<![A-Za-z\\])(?:infinity|infty|inf|oo)(?![A-Za-z])", r"\\infty "),
        (r"\+ ?\\infty", r"\\infty"),
        (r"(?<![A-Za-z\\])(sqrt|pi)(?![A-Za-z])", r"\\\1 "),
        (r"(?<=[0-9}]) ?(?:pct|percent(?:age)?)(?![A-Za-z])", "%"),
        (r"\\%", "%"),
        (r" +%", "%"),
        (r" +\^ ?", "^"),
        (r"(?<![\d.}])\.(?=\d)", "0."),
    ]
]
_DOLLARS = re.compile(r"(?<!\\)\$")
_TAIL = ".,;: \t\n"


def tidy(text: str) -> str:
    """Return the text in the one way of writing that the grammar knows."""
    if "\\begin" not in text:
        text = re.sub(r"\\\\(?=[A-Za-z({])", r"\\", text)
    if len(_DOLLARS.findall(text)) % 2:
        text = _DOLLARS.sub(r"\\$", text, count=1)  # one alone is money; a pair is a formula
    text = _SUPERSCRIPT.sub(lambda match: f"^{{{match[0].translate(_RAISED)}}}", text.replace("\ufeff", ""))
    text = _SUBSCRIPT.sub(lambda match: f"_{{{match[0].translate(_RAISED)}}}", text)
    text = text.replace("\x1f", " ").replace("\x1e", " ").translate(_CHARACTERS)
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    text = re.sub(r" +", " ", _thin_spaces(text))
    return _without_ends(re.sub(r" ?(?:\x1e ?)+", "  ", text))


def _thin_spaces(text: str) -> str:
    r"""Return the text with thin spaces in place only where they part thousands: 1\,234 is 1,234; 1\,2 is 1 2."""
    if "\x1f" not in text:
        return text
    text = re.sub(
        r"(?<![\d.,\x1f])\d{1,3}(?:\x1f\d{3})+(?![\d\x1f])", lambda match: match[0].replace("\x1f", ","), text
    )
    return text.replace("\x1f", " ")


def _without_ends(text: str) -> str:
    text = text.strip(" \t\n*`").removeprefix("=").lstrip()
    while text and (text[-1] in _TAIL or (text[-1] == "\\" and text[-2:-1] != "\\")):
        text = text[:-1]
    while text.endswith("\\\\"):
        text = text[:-2].rstrip()
    return text.strip()


def identity(text: str) -> str:
    r"""Return what two tidied texts share that differ only in spaces that part nothing and in braces of one letter."""
    text = re.sub(r"\{(\w)\}", r"\1", text)
    text = re.sub(r"(?<![A-Za-z0-9]) +| +(?![A-Za-z0-9])", "", re.sub(r" +", " ", text))
    text = re.sub(r"(\\[A-Za-z]+) (?=\d)", r"\1", text)
    return text.casefold() if re.fullmatch(r"[A-Za-z]{2,}(?:[ -][A-Za-z]+)*", text) else text
