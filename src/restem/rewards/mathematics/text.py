# ruff: noqa: RUF001 - look-alike characters are what this module is about
r"""Where the answer stands in a completion about mathematics. Slicing only: nothing here is evaluated.

Tried in order: the last box (or the last run of boxes that "and", "or" or a comma joins), "answer is" and "answer:",
GSM8K's "####" and "A:", and what stands bare: the whole text if it is short, else the last formula, else what the last
sentence with a number says. What stands after an end-of-turn mark does not count. Empty boxes are none; a box that is
not closed hides every answer before it. Where two readings are left, there is no answer.
"""

import re

from restem.questions.boxes import BOX, closings
from restem.rewards.mathematics.prose import is_denied, leading_quantity, prose_number
from restem.rewards.mathematics.words import number_in_words
from restem.rewards.verdicts import Answer

LONGEST_ANSWER = 1000  # characters; anything longer is no answer
_LONGEST_BARE = 120  # characters of a text that is taken as an answer as it stands
_LONGEST_GOLD_OF_BOXES = 200  # characters of a gold all of whose boxes count
_LONGEST_JOINT = 80  # characters between two boxes that belong together, about a line
_MOST_WORDS = 3  # in a bare answer; more is prose

_TURN_END = re.compile(r"<\|im_end\|>|<\|im_start\|>\s*user|<\|endoftext\|>|<\|eot_id\|>|</s>")
_HOPE = re.compile(r"I hope (?:it|this) is correct\.?\s*$")
_BARE_BOX = re.compile(r"-?\d+(?:\.\d+)?(?![\w.])")  # what \boxed without braces may hold
_DENIED = re.compile(r"[\s$.*]{0,8}(?:(?:is|was|seems|looks)\s(?:wrong|incorrect|not\b|a mistake)|\?)")
_DELIMITERS = re.compile(r"\\[()\[\]]|\$|\\(?:quad|qquad|[,;:! ])(?![A-Za-z])|\\text\s*\{|[{}]|&|\\\\|~")
_JOINED = re.compile(r"[\s.]*(?:[A-Za-z()]+\s+){0,4}?(?:,?\s*(?:and|or)|[,;])?\s*(?:[A-Za-z]\w{0,3}\s*=)?\s*", re.ASCII)
_TURNED = re.compile(r"\b(?:then|so|not|wait|no|instead|but|thus|therefore|hence|actually|gives?)\b", re.IGNORECASE)
_ANCHOR = re.compile(
    r"(?:\b(?:answer|r[eé]ponse|respuesta|risposta|antwort|resposta)(?:\s+(?:is|are|est|es|è|é|ist)|\s*=)(?:\s*:)?"
    r"|\b(?:answer|r[eé]ponse|respuesta|risposta|antwort|resposta)\s*\**\s*:|答案\s*[:：是]|(?:^|\n)[^\S\n]*A:"
    r"|(?:^|\n)[^\S\n]*(?:\#{1,6}[^\S\n]*)?\**(?:the\s)?(?:final\s)?answer:?\**[^\S\n]*(?=\n)|####)[\s*]*",
    re.IGNORECASE,
)
# No formula begins inside another, or a row of beginnings without an end would take quadratic time.
_SEGMENT = re.compile(
    r"\$\$([^$]+)\$\$|(?<!\\)\$((?:\\\$|[^$\n])+?)(?<!\\)\$"
    r"|(?<!\\)\\\[((?:(?!(?<!\\)\\\[).)+?)\\\]|(?<!\\)\\\(((?:(?!(?<!\\)\\\().)+?)\\\)",
    re.DOTALL,
)
_SEGMENTS_JOINED = re.compile(r"\s*+(?:,?\s*+(?:and|or)|,|;)\s*+")
_BESIDE = re.compile(
    r"\b(?:when|if|where|for|since|because|with|given|from|by|at|in|than|not|or|and|to|between|whenever|least|most"
    r"|half of|unless|mod|modulo)\s*$",
    re.IGNORECASE,
)
_CLAUSE = re.compile(
    r"(?<=[^\d\s])\.(?=\s|$)|(?<=\d)\.(?=\s|$)|。|,\s+(?!and\b|or\b)(?=[A-Za-z]{2,}\b(?!\s*=))"
    r"|\s\(?(?:because|since|which|where|when|as|so)\b|\s\((?:i\.e|rounded|from|using|by|see|that|the|for|after)\b|\n"
)
_IS = re.compile(r"\s(?:is|are|equals|is equal to|was|will be|est|ist|es)\s+(?=\S)")
_ADVERBS = re.compile(
    r"(?:(?:therefore|thus|then|hence|so|simply|just|indeed|clearly|exactly|precisely|approximately|about|roughly|also|now"
    r"|still|equal to|given by|found to be|of course)\b,?\s*:?\s*)+",
    re.IGNORECASE,
)
_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}")
_TEXT_COMMAND = re.compile(r"\\(?:text|mbox|mathrm|textbf|mathbf)\s*\{[^{}]*\}|\\[A-Za-z]+")
_FUNCTIONS = frozenset(
    re.findall(r"\w+", "sin cos tan cot sec csc log ln exp sqrt pi inf infinity and or max min mod gcd lcm cm km kg mm")
)
_LEADING_WORDS = re.compile(r"\s*(?:[A-Za-z']{2,}\s+){2,}\S*\d")
_SENTENCE = re.compile(r"\b(?:is|are|the|we|so|therefore|thus|hence|get|because|this|it)\b", re.IGNORECASE)
_CODE = re.compile(r"__\w|\w\(\s*['\"]|\)\s*\.\s*[A-Za-z_]|\blambda\b|\bimport\b|\beval\b|\bexec\b")
_OTHER_SCRIPT = re.compile("[\u0400-\u06ff\u0900-\u0dff\u0e00-\u0eff\u3000-\u9fff\uac00-\ud7af\uff00-\uffef]")
_LETTER = re.compile(r"\(?([A-Z])\)?")
_PLAIN_NUMBER = re.compile(r"\\?\$?(-?\d+(?:\.\d+)?)")


def extract_math(text: str, *, gold: str = "", box: str = "last", bare: str = "last") -> Answer | None:
    """Return the answer as it stands in the completion, or None.

    Args:
        text: The completion.
        gold: The gold; of a letter's question the answer is a letter.
        box: "last" run of boxes, "last_alone" for the last box only, or "first".
        bare: "last" formula or number of a text without a mark, "whole" for short texts only, or "none".
    """
    text = _own_turn(text)
    hope = _HOPE.search(text)
    text = (text[: hope.start()].rstrip() if hope else text).strip(" \t\r\n*`")
    boxes = _boxes(text)
    if boxes is None:
        return None
    text = BOX.sub("", text).strip().removesuffix("{}").strip() if not boxes and BOX.search(text) else text
    stated = _stated_answer(text)
    if boxes:
        if _DENIED.match(text, boxes[-1][2]):
            return None
        found = _chosen_boxes(text, boxes, box).strip()
        return _of_box_and_statement(found, stated if stated and stated[1] > boxes[-1][2] else None, gold)
    if stated is not None:
        return stated[0]
    found_bare = None if bare == "none" or not text else _bare(text, whole_only=bare == "whole")
    return None if found_bare is None else Answer(found_bare, "whole" if found_bare == text else "bare")


def _of_box_and_statement(box: str, stated: tuple[Answer, int] | None, gold: str) -> Answer | None:
    """Return the box, unless the text goes on to state a letter that is asked for, or another number."""
    if stated is not None:
        number, later = _PLAIN_NUMBER.fullmatch(box), _PLAIN_NUMBER.fullmatch(stated[0].text)
        if number and later and number[1] != later[1]:
            return None
        if _LETTER.fullmatch(gold.strip()) and _LETTER.match(stated[0].text) and not _LETTER.fullmatch(box):
            return stated[0]
    return Answer(box, "box")


def _stated_answer(text: str) -> tuple[Answer, int] | None:
    """Return what the last "answer is" that something follows says, and where it stands."""
    for anchor in reversed(list(_ANCHOR.finditer(text))):
        if found := _stated(text[anchor.end() : anchor.end() + 2 * LONGEST_ANSWER]):
            return Answer(found, "hashes" if anchor[0].startswith("####") else "answer is"), anchor.start()
    return None


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
    end = _TURN_END.search(text.strip())
    return text.strip()[: end.start()] if end and end.start() else text


def _boxes(text: str) -> list[tuple[str, int, int]] | None:
    r"""Return (content, start, end) of every \boxed that holds something, in order; None if the last one has no end."""
    found, end, is_open = [], 0, False
    marks = list(BOX.finditer(text))
    ends = closings(text, within=LONGEST_ANSWER) if marks else {}
    for mark in marks:
        if mark.start() < end:
            continue  # a box in a box
        start = mark.end()
        if text[start : start + 1] == "{":
            end = ends.get(start, 0)
            is_open = not end
            if content := text[start + 1 : end - 1].strip() if end else "":
                found.append((content, mark.start(), end))
        elif token := _BARE_BOX.match(text[start : start + 40]):
            end, is_open = start + token.end(), False
            found.append((token[0], mark.start(), end))
    return None if is_open else found


def _chosen_boxes(text: str, boxes: list[tuple[str, int, int]], box: str) -> str:
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
    if adverbs := _ADVERBS.match(rest):
        rest = rest[adverbs.end() :]
    first = _SEGMENT.match(rest)
    if first:
        return _run_of_segments(rest, first)
    clause = _CLAUSE.split(rest, maxsplit=1)[0].strip()
    inside = list(_SEGMENT.finditer(rest[: len(clause) + 200].split("\n")[0]))
    statement = list(_IS.finditer(clause))
    if _OTHER_SCRIPT.search(clause) and (number := prose_number(clause)):
        return number
    if statement:
        clause = clause[statement[-1].end() :]
    elif inside and _is_prose(clause):
        return _content(inside[-1])
    clause = clause.strip(" *`_\"'").rstrip(".").strip()
    return leading_quantity(clause) or clause or None


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
    if not segments and len(text) <= _LONGEST_BARE and (not _is_prose(text) or number_in_words(text) is not None):
        return _ADVERBS.sub("", text, count=1) if _ADVERBS.match(text) else text
    if whole_only or is_denied(text):
        return None
    after = segments[-1].end() if segments else 0
    if any(character.isdigit() for character in text[after:]):
        return prose_number(text, after=after)
    return _last_run(text, segments) if segments else None


def _last_run(text: str, segments: list[re.Match[str]]) -> str | None:
    """Return the last formula, with those before it that "and", "or" or a comma joins to it; None if it is an aside."""
    run, first = [_content(segments[-1])], segments[-1]
    for earlier, later in zip(reversed(segments[:-1]), reversed(segments), strict=False):
        if not _SEGMENTS_JOINED.fullmatch(text[earlier.end() : later.start()]):
            break
        run.insert(0, _content(earlier))
        first = earlier
    return None if _BESIDE.search(text[max(0, first.start() - 40) : first.start()]) else ", ".join(run)
