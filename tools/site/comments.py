"""What is said of a parameter where it is declared: the comment above it, and the one behind it."""

import ast
import inspect
import io
import textwrap
import tokenize


def comments_of(kind: type) -> dict[str, str]:
    """Return the comments of a dataclass by field, on one line each; empty for a field without any."""
    declaring = [parent for parent in reversed(kind.__mro__) if "__annotations__" in vars(parent)]
    return {name: said for parent in declaring for name, said in _comments_in(parent).items()}


def _comments_in(kind: type) -> dict[str, str]:
    source = textwrap.dedent(inspect.getsource(kind))
    written = {
        token.start[0]: token.string.removeprefix("#").strip()
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    alone = {number for number, line in enumerate(source.splitlines(), start=1) if line.lstrip().startswith("#")}
    (declared,) = ast.parse(source).body
    assert isinstance(declared, ast.ClassDef)
    fields = [node for node in declared.body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)]
    return {node.target.id: _of_lines(node, written, alone) for node in fields if isinstance(node.target, ast.Name)}


def _of_lines(node: ast.AnnAssign, written: dict[int, str], alone: set[int]) -> str:
    first = node.lineno
    while first - 1 in alone:
        first -= 1
    end = node.end_lineno or node.lineno
    return " ".join(written[line] for line in range(first, end + 1) if line in written)
