# ruff: noqa: RUF001 - look-alike characters are what this module is about
r"""Where the answer stands in a completion about mathematics. Slicing only: nothing here is evaluated.

Tried in order: the last box (or the last run of boxes that "and", "or" or a comma joins), "answer is" and "answer:",
GSM8K's "####" and "A:", and what stands bare: the whole text if it is short, else its last formula or number.
What stands before the last </think> and after an end-of-turn mark does not count.
"""

import re

from restem.rewards.verdicts import Answer

LONGEST_ANSWER = 1000  # characters; anything longer is no answer
_LONGEST_BARE = 120  # characters of a text that is taken as an answer as it stands
_LONGEST_GOLD_OF_BOXES = 200  # characters of a gold all of whose boxes count
_LONGEST_JOINT = 80  # characters between two boxes that belong together, about a line
_MOST_WORDS = 3  # in a bare answer; more is prose

_TURN_END = re.compile(r"<\|im_end\|>|<\|im_start\|>\s*user|<\|endoftext\|>|<\|eot_id\|>|</s>")
_HOPE = re.compile(r"I hope (?:it|this) is correct\.?\s*$")
_BRACE = re.compile(r"(?<!\\)[{}]")
_BRACES = 2  # around an answer
_BOX = re.compile(r"\\(?:boxed|fbox|beginboxed)(?![A-Za-z])\s*")
_DELIMITERS = re.compile(r"\\[()\[\]]|\$|\\(?:quad|qquad|[,;:! ])(?![A-Za-z])|\\text\s*\{|[{}]|&|\\\\|~")
_JOINED = re.compile(r"[\s.]*(?:[A-Za-z()]+\s+){0,4}?(?:,?\s*(?:and|or)|[,;])?\s*(?:[A-Za-z]\w{0,3}\s*=)?\s*", re.ASCII)
_TURNED = re.compile(r"\b(?:then|so|not|wait|no|instead|but|thus|therefore|hence|actually|gives?)\b", re.IGNORECASE)
_ANCHOR = re.compile(
    r"(?:\banswer(?:\s+is|\s+are|\s*=)(?:\s*:)?|\banswer\s*:|答案\s*[:：是]|(?:^|\n)[^\S\n]*A:|####)[\s*]*",
    re.IGNORECASE,
)
# No formula begins inside another, or a row of beginnings without an end would take quadratic time.
_SEGMENT = re.compile(
    r"\$\$([^$]+)\$\$|(?<!\\)\$((?:\\\$|[^$\n])+?)(?<!\\)\$"
    r"|(?<!\\)\\\[((?:(?!(?<!\\)\\\[).)+?)\\\]|(?<!\\)\\\(((?:(?!(?<!\\)\\\().)+?)\\\)",
    re.DOTALL,
)
_SEGMENTS_JOINED = re.compile(r"\s*+(?:,?\s*+(?:and|or)|,|;)\s*+")
_CLAUSE = re.compile(
    r"(?<=[^\d\s])\.(?=\s|$)|(?<=\d)\.(?=\s|$)|。|,\s+(?!and\b|or\b)(?=[A-Za-z]{2,}\b(?!\s*=))"
    r"|\s(?:because|since|which|where|when|as|so)\b|\n"
)
_IS = re.compile(r"\s(?:is|are|equals|is equal to|was|will be|est|ist|es)\s+(?=\S)")
_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}")
_TEXT_COMMAND = re.compile(r"\\(?:text|mbox|mathrm|textbf|mathbf)\s*\{[^{}]*\}|\\[A-Za-z]+")
_FUNCTIONS = frozenset(
    {
        "sin",
        "cos",
        "tan",
        "cot",
        "sec",
        "csc",
        "log",
        "ln",
        "exp",
        "sqrt",
        "pi",
        "inf",
        "infinity",
        "and",
        "or",
        "max",
        "min",
        "mod",
        "gcd",
        "lcm",
        "cm",
        "km",
        "kg",
        "mm",
    }
)
_LEADING_WORDS = re.compile(r"\s*(?:[A-Za-z']{2,}\s+){2,}\S*\d")
_SENTENCE = re.compile(r"\b(?:is|are|the|we|so|therefore|thus|hence|get|because|this)\b", re.IGNORECASE)
_CODE = re.compile(r"__\w|\w\(\s*['\"]|\)\s*\.\s*[A-Za-z_]|\blambda\b|\bimport\b|\beval\b|\bexec\b")
_OTHER_SCRIPT = re.compile("[\u0400-\u06ff\u0900-\u0dff\u0e00-\u0eff\u3000-\u9fff\uac00-\ud7af\uff00-\uffef]")
_TOKEN = re.compile(rf"[^\s{_OTHER_SCRIPT.pattern[1:-1]}]+")
_DIGIT = re.compile(r"\d")
_ONE_OF_SEVERAL = re.compile(
    r"(?:\b(?:and|or|to|through|between|not|than|minus|plus|times|over)|[-+*/×÷^,;(±√<>≠])\s*$", re.IGNORECASE
)


def extract_math(text: str, *, box: str = "last", bare: str = "last") -> Answer | None:
    """Return the answer as it stands in the completion, or None.

    Args:
        text: The completion.
        box: "last" run of boxes, "last_alone" for the last box only, or "first".
        bare: "last" formula or number of a text without a mark, "whole" for short texts only, or "none".
    """
    text = _own_turn(text)
    hope = _HOPE.search(text)
    text = (text[: hope.start()].rstrip() if hope else text).strip(" \t\r\n*`")
    if not text:
        return None
    boxes = _boxes(text)
    if boxes is not None:
        found = _chosen_boxes(text, boxes, box) if boxes else None
        return Answer(found.strip(), "box") if found and found.strip() else None
    anchors = list(_ANCHOR.finditer(text))
    for anchor in reversed(anchors):
        if found := _stated(text[anchor.end() : anchor.end() + 2 * LONGEST_ANSWER]):
            return Answer(found, "hashes" if anchor[0].startswith("####") else "answer is")
    found = None if bare == "none" else _bare(text, whole_only=bare == "whole")
    return None if found is None else Answer(found, "whole" if found == text else "bare")


def extract_gold(gold: str) -> str:
    """Return the answer of a gold: its boxes, or its formulas, or all of it."""
    gold = gold.replace("\\\\boxed", "\\boxed")
    boxes = _boxes(gold)
    if boxes:
        if len(gold) <= _LONGEST_GOLD_OF_BOXES:
            return ", ".join(dict.fromkeys(content for content, _, _ in boxes))
        return _chosen_boxes(gold, boxes, "last") or gold
    return _bare(gold, whole_only=False) or gold if "$" in gold or "\\(" in gold or "\\[" in gold else gold


def _own_turn(text: str) -> str:
    text = text.rpartition("</think>")[2]
    end = _TURN_END.search(text.strip())
    return text.strip()[: end.start()] if end and end.start() else text


def _boxes(text: str) -> list[tuple[str, int, int]] | None:
    r"""Return (content, start, end) of every \boxed, in order; None if there is no box at all."""
    found, end = [], 0
    marks = list(_BOX.finditer(text))
    closings = _closings(text) if marks else {}
    for mark in marks:
        if mark.start() < end:
            continue  # a box in a box
        start = mark.end()
        if text[start : start + 1] == "{":
            end = closings.get(start, 0)
            if end:
                found.append((text[start + 1 : end - 1].strip(), mark.start(), end))
        elif token := re.match(r"-?[\w.]+", text[start : start + 40]):
            end = start + token.end()
            found.append((token[0], mark.start(), end))
    return found if marks else None


def _closings(text: str) -> dict[int, int]:
    """Return, by the place of each opening brace that is closed soon enough, the place after what closes it."""
    closed: dict[int, int] = {}
    waiting: list[int] = []
    for brace in _BRACE.finditer(text):
        if brace[0] == "{":
            waiting.append(brace.start())
        elif waiting and brace.end() - (start := waiting.pop()) <= LONGEST_ANSWER + _BRACES:
            closed[start] = brace.end()
    return closed


def _chosen_boxes(text: str, boxes: list[tuple[str, int, int]], box: str) -> str | None:
    if box == "first":
        return boxes[0][0]
    if box == "last_alone":
        return boxes[-1][0]
    run = [boxes[-1]]
    for earlier in reversed(boxes[:-1]):
        between = text[earlier[2] : run[0][1]]
        if len(between) > _LONGEST_JOINT or not _is_joint(between):
            break
        run.insert(0, earlier)
    return ", ".join(dict.fromkeys(content for content, _, _ in run))


def _is_joint(between: str) -> bool:
    plain = _DELIMITERS.sub(" ", between)
    has_joint = re.search(r"\b(?:and|or)\b|[,;]", plain) is not None
    return has_joint and not _TURNED.search(plain) and _JOINED.fullmatch(plain) is not None


def _stated(rest: str) -> str | None:
    """Return the answer at the beginning of what follows "answer is"."""
    rest = rest.lstrip(" \t\n:*")
    first = _SEGMENT.match(rest)
    if first:
        return _run_of_segments(rest, first)
    clause = _CLAUSE.split(rest, maxsplit=1)[0].strip()
    inside = list(_SEGMENT.finditer(rest[: len(clause) + 200].split("\n")[0]))
    statement = list(_IS.finditer(clause))
    if _OTHER_SCRIPT.search(clause) and (number := _last_number(clause, 0)):
        return number
    if statement:
        clause = clause[statement[-1].end() :]
    elif inside and _is_prose(clause):
        return _content(inside[-1])
    return clause.strip(" *`_\"'").rstrip(".").strip() or None


def _run_of_segments(text: str, first: re.Match[str]) -> str:
    contents, end = [_content(first)], first.end()
    while (joint := _SEGMENTS_JOINED.match(text, end)) and (following := _SEGMENT.match(text, joint.end())):
        contents.append(_content(following))
        end = following.end()
    return ", ".join(contents)


def _content(segment: re.Match[str]) -> str:
    return next(group for group in segment.groups() if group is not None).strip()


def _is_prose(text: str) -> bool:
    plain = _TEXT_COMMAND.sub(" ", text)
    words = [word for word in _WORD.findall(plain) if word.lower() not in _FUNCTIONS]
    if len(words) > 1 and _LEADING_WORDS.match(plain):
        return True  # "She makes $18"
    return len(words) > _MOST_WORDS or (_SENTENCE.search(plain) or _OTHER_SCRIPT.search(plain)) is not None


def _bare(text: str, *, whole_only: bool) -> str | None:
    if _CODE.search(text):
        return text[: LONGEST_ANSWER + 1]  # a program is taken at its word: it is not a number
    segments = list(_SEGMENT.finditer(text))
    if not segments and len(text) <= _LONGEST_BARE and not _is_prose(text):
        return text
    if whole_only:
        return None
    number = _last_number(text, segments[-1].end() if segments else 0)
    if number is not None:
        return number or None
    return _last_run(text, segments) if segments else None


def _last_run(text: str, segments: list[re.Match[str]]) -> str:
    """Return the last formula, with those before it that "and", "or" or a comma joins to it."""
    run = [_content(segments[-1])]
    for earlier, later in zip(reversed(segments[:-1]), reversed(segments), strict=False):
        if not _SEGMENTS_JOINED.fullmatch(text[earlier.end() : later.start()]):
            break
        run.insert(0, _content(earlier))
    return ", ".join(run)


def _last_number(text: str, start: int) -> str | None:
    """Return the last number in prose after `start`; "" if it is one of several; None if there is none."""
    token = None
    for one in _TOKEN.finditer(text, start):
        token = one if _DIGIT.search(one[0]) else token
    if token is None:
        return None
    if _ONE_OF_SEVERAL.search(text[max(start, token.start() - 12) : token.start()]):
        return ""
    number = token[0].strip("*_`\"'").rstrip(".,;:!?*").removesuffix("$")
    left, right = number.count("("), number.count(")")
    number = number.removesuffix(")") if right > left else number.removeprefix("(") if left > right else number
    return number.rpartition("=")[2]
