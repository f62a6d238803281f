"""The part of the report that says how far the rewards can be trusted."""

from collections.abc import Mapping
from typing import Any

from restem import suggestions
from restem.reporting.sections import ABSENT, Grid, Section, interval, words


def audit_section(
    records: Mapping[int, Mapping[str, Any]], marks: Mapping[int, Mapping[str, Any]] | None = None
) -> Section:
    """Return what the audit of every iteration's rewards found, and what readers said of verdicts.

    Args:
        records: Of all iterations.
        marks: As from `summarise_marks`.
    """
    audits = {i: record["audit"] for i, record in sorted(records.items()) if record.get("audit")}
    readers = _readers(marks or {})
    if not audits:
        return Section("Audit of the rewards", tables=readers)
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
    tables += [*_forms(audits), *readers]
    return Section(
        "Audit of the rewards",
        text=[f"The reward {name} has no second verifier: {why}." for name, why in sorted(lacking.items())],
        tables=tables,
    )


def _readers(marks: Mapping[int, Mapping[str, Any]]) -> list[Grid]:
    """Return how readers' marks agree with verdicts."""
    rows = [
        [
            str(i),
            str(said["n_readers"]),
            str(said["n_samples"]),
            f"{said['accepted_wrong']} of {said['accepted_wrong'] + said['accepted_right']}",
            _share(said["wrong_among_accepted"]),
            f"{said['rejected_right']} of {said['rejected_right'] + said['rejected_wrong']}",
            _share(said["right_among_rejected"]),
            str(said["n_doubtful"]),
        ]
        for i, said in sorted(marks.items())
    ]
    header = [
        "iteration",
        "readers",
        "marked",
        "accepted, called wrong",
        "share",
        "rejected, called right",
        "share",
        "doubtful",
    ]
    caption = (
        "What readers said of samples, against their verdicts, with 95 % intervals. They chose what they read, so "
        f"that these are not shares of all samples. Read and mark some with: {suggestions.restem('view', on_page=True)}"
    )
    return [Grid(caption, header, rows)] if rows else []


def _share(share: Mapping[str, float] | None) -> str:
    return ABSENT if share is None else interval(share["value"], share["low"], share["high"])


def _forms(audits: Mapping[int, Mapping[str, Any]]) -> list[Grid]:
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
        return []
    caption = (
        "Accepted samples by the form of answer that accepted them and by how the answer was found. Of rare ones some "
        "were chosen to be checked; these are not part of the rate above. See some of what was refused with: "
        f"{suggestions.restem('inspect', '--doubtful', on_page=True)}"
    )
    return [Grid(caption, ["iteration", "reward", "form", "found by", "accepted", "checked", "refused"], rows)]
