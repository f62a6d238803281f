"""The part of the report that says how far the rewards can be trusted."""

from collections.abc import Mapping
from typing import Any

from restem import suggestions
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
    forms = _forms(audits)
    if forms is not None:
        tables.append(forms)
    return Section(
        "Audit of the rewards",
        text=[f"The reward {name} has no second verifier: {why}." for name, why in sorted(lacking.items())],
        tables=tables,
    )


def _forms(audits: Mapping[int, Mapping[str, Any]]) -> Grid | None:
    """Return the accepted samples by form and way of finding answers, the rare ones last."""
    rows = [
        [
            str(i),
            row["reward"],
            row["form"],
            words(row["found_by"]),
            f"{row['n']:,}",
            str(row["n_checked"]),
            str(row["n_disagreed"]),
        ]
        for i, audit in audits.items()
        for row in audit.get("accepted", ())
    ]
    if not rows:
        return None
    caption = (
        "Accepted samples by the form of answer that accepted them and by how the answer was found. Of rare ones some "
        "were chosen to be checked; these are not part of the rate above. See some of what was refused with: "
        f"{suggestions.restem('inspect', '--doubtful', on_page=True)}"
    )
    return Grid(caption, ["iteration", "reward", "form", "found by", "accepted", "checked", "refused"], rows)
