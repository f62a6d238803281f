"""What the navigation of the site has, and the same for language models: llms.txt (https://llmstxt.org)."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

SUMMARY = """# restem

> restem makes a language model better at problems whose answers can be checked, by ReST^EM (Singh et al. 2023,
> arXiv 2312.06585): it samples solutions, keeps those that a reward judges correct, fine-tunes the base model on them,
> and repeats. A Kedro project; TRL trains, MLflow tracks. Apache-2.0, Python 3.11 to 3.13, tried without a GPU.

All pages as one text: [llms-full.txt](llms-full.txt)
"""


_NOT_A_SENTENCE = ("#", "|", "restem: a study")  # the last is the subtitle of a study's page


class Entry(NamedTuple):
    """A page in the navigation."""

    section: str  # empty for what is in none
    title: str
    page: str


def titles(navigation: list[dict[str, Any]], section: str = "") -> Iterator[Entry]:
    """Yield the pages of a navigation, in order."""
    for entry in navigation:
        for title, inside in entry.items():
            if isinstance(inside, str):
                yield Entry(section, title, inside)
            else:
                yield from titles(inside, title)


def missing_from(navigation: list[dict[str, Any]], pages: Collection[str]) -> list[str]:
    """Return what is wrong: a page that is not in the navigation, or an entry of it without a page."""
    shown = [entry.page for entry in titles(navigation)]
    return [
        *(
            f"docs/{page} is not in the navigation: give it a place in zensical.toml"
            for page in pages
            if page not in shown
        ),
        *(f"zensical.toml names {page}, which docs/ does not have" for page in shown if page not in pages),
        *(f"zensical.toml names {page} twice" for page in sorted(set(shown)) if shown.count(page) > 1),
    ]


def text_for_models(entries: Iterator[Entry], texts: Mapping[str, str]) -> dict[str, str]:
    """Return llms.txt, which lists the pages with their first sentence, and llms-full.txt, which has them all."""
    listed, whole, section = [SUMMARY], [SUMMARY], ""
    for entry in entries:
        if entry.section != section:
            section = entry.section
            listed.append(f"\n## {section}\n")
        listed.append(f"- [{entry.title}]({entry.page.removesuffix('.md')}.html): {first_sentence(texts[entry.page])}")
        whole.append(texts[entry.page])
    return {"llms.txt": "\n".join(listed) + "\n", "llms-full.txt": "\n\n".join(whole) + "\n"}


def first_sentence(text: str) -> str:
    """Return the first sentence of a page, on one line and without links."""
    bare = re.sub(r"<!--.*?-->|!\[.*?\]\(.*?\)|^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    paragraph = next(
        part for part in bare.split("\n\n") if part.strip() and not part.lstrip().startswith(_NOT_A_SENTENCE)
    )
    flat = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", " ".join(paragraph.split())).replace("**", "")
    return re.split(r"(?<=\.)\s(?=[A-Z`])", flat, maxsplit=1)[0]
