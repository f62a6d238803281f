"""The part of the report that says how far the rewards can be trusted."""

from collections.abc import Mapping
from typing import Any

from restem.reporting.sections import Grid, Section, interval, words


def audit_section(records: Mapping[int, Mapping[str, Any]]) -> Section:
    """Return what the audit of every iteration's rewards found."""
    audits = {i: record["audit"] for i, record in sorted(records.items()) if record.get("audit")}
    if not audits:
        return Section("Audit of the rewards")
    rows = [
        [
            str(i),
            str(audit["n_checked"]),
            str(audit["n_disagreed"]),
            interval(audit["false_positive_rate"], audit["low"], audit["high"]) if audit["n_checked"] else "not known",
            str(audit["n_unchecked"]),
            f"{audit['golden_failed']} of {audit['golden_cases']}",
            f"{audit['canaries_failed']} of {audit['canaries']}",
        ]
        for i, audit in audits.items()
    ]
    header = ["iteration", "checked", "refused", "false positives", "cannot say", "known cases failed", "golds failed"]
    caption = (
        "A second verifier looked at accepted samples; what it refuses is counted as a false positive, with its "
        "95 % interval. Known cases and golds have a known reward."
    )
    lacking = {name: why for audit in audits.values() for name, why in audit["not_audited"].items()}
    tables = [Grid(caption, header, rows)]
    ways = _found_by(records)
    if ways is not None:
        tables.append(ways)
    return Section(
        "Audit of the rewards",
        text=[f"The reward {name} has no second verifier: {why}." for name, why in sorted(lacking.items())],
        tables=tables,
    )


def _found_by(records: Mapping[int, Mapping[str, Any]]) -> Grid | None:
    counts = {i: record["scoring"].get("accepted_by_found", {}) for i, record in sorted(records.items())}
    ways = sorted({way for of_iteration in counts.values() for way in of_iteration})
    if not ways:
        return None
    rows = [[str(i), *(f"{count.get(way, 0):,}" for way in ways)] for i, count in counts.items() if count]
    return Grid("How the answers of accepted samples were found.", ["iteration", *map(words, ways)], rows)
