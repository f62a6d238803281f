"""Write the pages of the site: `python -m tools.site`. What zensical builds from them, `tools.site.check` looks at."""

import shutil
import sys
import tomllib
from pathlib import Path

from tools.site.commands import command_pages
from tools.site.navigation import missing_from, text_for_models, titles
from tools.site.pages import Unwritable, written
from tools.site.parameters import parameter_tables

ROOT = Path(__file__).parents[2]
TARGET = ROOT / "build/docs"
PICTURES = {".png", ".svg"}


def main() -> None:
    """Copy docs/ with the reference filled in. What the navigation lacks, or has too much, ends this."""
    navigation = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"]
    pages = {path.relative_to(ROOT / "docs").as_posix(): path for path in sorted((ROOT / "docs").rglob("*.md"))}
    if problems := missing_from(navigation, pages):
        sys.exit("\n".join(problems))
    shutil.rmtree(TARGET, ignore_errors=True)
    filled = {"parameters": parameter_tables, "commands": command_pages, "changelog": _changelog}
    try:
        texts = {name: written(path, ROOT, filled) for name, path in pages.items()}
    except Unwritable as problem:
        sys.exit(str(problem))
    texts |= text_for_models(titles(navigation), texts)
    for name, text in texts.items():
        target = TARGET / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    for path in (ROOT / "docs").rglob("*"):
        if path.suffix in PICTURES:
            shutil.copyfile(path, TARGET / path.relative_to(ROOT / "docs"))
    shutil.copytree(Path(__file__).parent / "assets", TARGET / "assets")


def _changelog() -> str:
    """Return the entries of the changelog, as a page of docs/ would link."""
    _, _, entries = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").partition("\n## ")
    return "## " + entries.replace("](docs/", "](")


if __name__ == "__main__":
    main()
