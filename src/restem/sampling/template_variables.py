"""Which variables a chat template reads: what it can be told, and what it would pass over."""

from typing import Any


def variables_read(source: str) -> set[str]:
    """Return the names that a template looks up in what it is given.

    Raises:
        jinja2.TemplateError: If it is no template.
    """
    from jinja2 import Environment, meta, nodes
    from jinja2.ext import Extension

    class Generation(Extension):
        """What stands between generation and endgeneration, which transformers' templates mark answers by."""

        tags = {"generation"}  # noqa: RUF012 - as jinja2 declares it

        def parse(self, parser: Any) -> list[nodes.Node]:
            next(parser.stream)
            inside: list[nodes.Node] = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return inside

    reader = Environment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"], autoescape=False
    )
    given = {*reader.globals, "raise_exception", "strftime_now"}  # by jinja, and by transformers
    tree = reader.parse(source)
    names = list(tree.find_all(nodes.Name))
    # What is set in one branch may be looked up after another; only where a template asks whether it is there already
    # can it be told.
    asked = {test.node.name for test in tree.find_all((nodes.Test, nodes.Filter)) if isinstance(test.node, nodes.Name)}
    own = {name.name for name in names if name.ctx == "store"} - asked
    return meta.find_undeclared_variables(tree) - given - own
