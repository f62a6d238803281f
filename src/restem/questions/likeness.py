"""When two texts are the same question: however they are encoded, and whatever nobody can see in them.

Source: Unicode Standard Annex 15, https://www.unicode.org/reports/tr15/ (forms), and DerivedCoreProperties.txt
(Default_Ignorable_Code_Point).
"""

import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from restem.store.tables import Table

# What has no shape and is no format character (category Cf): joiners, fillers, selectors of variants.
_UNSEEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef]")


def same_text(text: str) -> str:
    """Return the text in the form that all texts have which look and read the same.

    One space stands for any space, compatibility forms (full-width digits, ligatures) for what they mean, and what
    cannot be seen is gone. A power stays one: 2\u00b2 is 2^2 and not 22. Case is kept.
    """
    visible = "".join(filter(_is_seen, text))
    if not visible.isascii():
        visible = unicodedata.normalize("NFKC", "".join(map(_plain, _UNSEEN.sub("", visible))))
    return " ".join(visible.split())


def same_question(row: Mapping[str, Any]) -> str:
    """Return what all questions have in common that ask the same after the same was said."""
    return same_text(asked(row))


def asked(row: Mapping[str, Any]) -> str:
    """Return what a question says, with what users and assistants said before it."""
    turns = json.loads(row.get("context") or "[]")
    return "\n".join([*(turn["content"] for turn in turns if turn["role"] != "system"), str(row["text"])])


def all_asked(questions: Table) -> list[str]:
    """Return what each question of a table says, in order, with what was said before it."""
    if "context" not in questions:
        return list(questions["text"])
    rows = zip(questions["text"], questions["context"], strict=True)
    return [asked({"text": text, "context": context}) for text, context in rows]


def _plain(character: str) -> str:
    kind = unicodedata.decomposition(character).partition(" ")[0]
    return {"<super>": "^", "<sub>": "_"}.get(kind, "") + character


def _is_seen(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) not in {"Cf", "Cc"}
