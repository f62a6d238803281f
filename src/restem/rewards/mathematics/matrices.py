"""Matrices with expressions for cells, and what can be worked out of them without evaluating a cell."""

from restem.rewards.mathematics.nodes import Node, kinds_of, negative, number

Rows = tuple[tuple[Node, ...], ...]


def has_matrix(node: Node) -> bool:
    """Return whether a matrix or a determinant is a part of an expression."""
    return bool({"matrix", "det"} & kinds_of(node))


def matrix_of(node: Node) -> Rows | None:
    """Return the rows of an expression of matrices, or None if it is none or cannot be worked out."""
    if node.kind == "matrix":
        return tuple(row.parts for row in node.parts)
    if node.kind == "neg":
        inner = matrix_of(node.parts[0])
        return None if inner is None else tuple(tuple(negative(cell) for cell in row) for row in inner)
    if node.kind == "add":
        return _sum(*(matrix_of(part) for part in node.parts))
    if node.kind == "mul":
        left, right = (matrix_of(part) for part in node.parts)
        if left is not None and right is not None:
            return _product(left, right) if len(left[0]) == len(right) else None
        return _scaled(node, left, node.parts[1]) if left is not None else _scaled(node, right, node.parts[0])
    return _scaled(node, matrix_of(node.parts[0]), node.parts[1]) if node.kind == "div" else None


def _sum(left: Rows | None, right: Rows | None) -> Rows | None:
    if left is None or right is None or len(left) != len(right) or len(left[0]) != len(right[0]):
        return None
    return tuple(tuple(map(_added, *rows)) for rows in zip(left, right, strict=True))


def _scaled(node: Node, rows: Rows | None, scale: Node) -> Rows | None:
    """Return a matrix times an expression, or over it, as `node` says."""
    if rows is None or has_matrix(scale):
        return None
    return tuple(tuple(Node(node.kind, (cell, scale)) for cell in row) for row in rows)


def _added(left: Node, right: Node) -> Node:
    return Node("add", (left, right))


def _product(left: Rows, right: Rows) -> Rows:
    columns = list(zip(*right, strict=True))
    return tuple(tuple(_dot(row, column) for column in columns) for row in left)


def _dot(row: tuple[Node, ...], column: tuple[Node, ...]) -> Node:
    found = number(0)
    for pair in zip(row, column, strict=True):
        found = _added(found, Node("mul", pair))
    return found
