"""Texts as they are searched: words without case and accents, Chinese and Japanese a word per character.

`words` in page/data.js does the same for what is in one file.
"""

import re
import unicodedata

_WORD = re.compile(r"[^\W_]+")
# Scripts that are written without spaces: Han, Hiragana, Katakana, and Thai, Lao, Burmese, Khmer.
_UNSPACED = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])"
)


def words(text: str) -> list[str]:
    """Return the words of a text, in order; each begins with what a search for it says."""
    plain = text.lower()
    if not plain.isascii():
        apart = unicodedata.normalize("NFKD", plain)
        apart = "".join(character for character in apart if not unicodedata.category(character).startswith("M"))
        plain = _UNSPACED.sub(r" \1 ", unicodedata.normalize("NFC", apart).lower())
    return _WORD.findall(plain)
