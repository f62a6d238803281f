"""The names of what belongs to an iteration."""

_BASELINE = "baseline"


def namespace_of(iteration: int) -> str:
    """Return the namespace of the nodes of an iteration, 0 being the measurement of the base policy."""
    return f"iteration_{iteration}" if iteration else _BASELINE


def iteration_of(namespace: str | None) -> int | None:
    """Return the iteration that a node with this namespace is of; None for what is done once."""
    if namespace == _BASELINE:
        return 0
    space, _, number = (namespace or "").rpartition("_")
    return int(number) if space == "iteration" else None
