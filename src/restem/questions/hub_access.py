"""What the Hugging Face hub says of a data set, and what to do where it gives none."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from restem.errors import QuestionsError
from restem.questions.options import PREFIX

_PATIENCE_S = 30.0
_LONGEST = 500  # characters of what a library says


class Found(NamedTuple):
    """A data set as it is on the hub now."""

    commit: str | None  # None of a folder, and where the hub may not be asked
    licence: str  # as its card says, "" if it says none


def look_up(dataset: str, revision: str | None) -> Found:
    """Return the commit of a data set and its licence.

    Args:
        dataset: OWNER/NAME, or a folder, which has no commit.
        revision: A commit, tag or branch; None is the newest.

    Raises:
        HfHubHTTPError: Of the hub's client, and what its HTTP library raises.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import OfflineModeIsEnabled

    if Path(dataset).is_dir():
        return Found(None, "")
    try:
        info = HfApi().dataset_info(dataset, revision=revision, timeout=_PATIENCE_S)
    except OfflineModeIsEnabled:  # then `datasets` looks at what was downloaded before
        return Found(None, "")
    licence = info.card_data.get("license") if info.card_data else None
    return Found(info.sha, ", ".join(licence) if isinstance(licence, list) else str(licence or ""))


@contextmanager
def explained(dataset: str, *, revision: str | None, revision_option: str, instead: str) -> Iterator[None]:
    """Say what was asked of the hub and what to do, whatever its libraries raise.

    Args:
        dataset: Its id.
        revision: The one asked for.
        revision_option: The parameter that names it.
        instead: What goes without the hub.

    Raises:
        QuestionsError: In place of what `datasets`, the hub's client, its HTTP library and the network raise.
    """
    try:
        yield
    except QuestionsError:
        raise
    except Exception as error:
        raise QuestionsError(f"{_explained(error, dataset, revision, revision_option)}. {instead}") from error


def _explained(error: Exception, dataset: str, revision: str | None, revision_option: str) -> str:
    detail = " ".join(str(error).split())[:_LONGEST].rstrip(".") or "no detail"
    for kind, words, sentence in _known(dataset, revision, revision_option, detail):
        if (kind is not None and isinstance(error, kind)) or words in detail:
            return sentence
    return f"{dataset} could not be had from the Hugging Face hub ({type(error).__name__}: {detail})"


def _known(
    dataset: str, revision: str | None, revision_option: str, detail: str
) -> list[tuple[type[Exception] | None, str, str]]:
    """Return what is said of the faults that are known: their kind, if they have one, words that tell, a sentence."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    # A gated and a missing repository are both of the kind that is not found, so the special ones come first; where
    # `datasets` raises in place of the hub's client, only its words tell.
    return [
        (
            GatedRepoError,
            "gated dataset",
            f"the data set {dataset} is given to signed-in users only: accept its terms on its page of the Hugging "
            "Face hub and set HF_TOKEN to a token that may read it",
        ),
        (
            RevisionNotFoundError,
            "Invalid rev id",
            f"the Hugging Face hub has the data set {dataset}, but not the revision {revision!r} ({revision_option}): "
            "give a commit, a tag or a branch that its page shows",
        ),
        (
            RepositoryNotFoundError,
            "doesn't exist on the Hub",
            f"there is no data set {dataset} on the Hugging Face hub that may be read without a token, or with this "
            "one; check the name, and for a private one set HF_TOKEN",
        ),
        (
            None,
            "Dataset scripts are no longer supported",
            f"the data set {dataset} is a Python script, which is never run here; most have been converted by the "
            f"hub: {revision_option}=refs/convert/parquet",
        ),
        (
            None,
            "OfflineMode",
            f"{dataset} could not be had from the Hugging Face hub: HF_HUB_OFFLINE is set, and it was not had before",
        ),
        (None, "Unknown split", f"the data set {dataset} has no such split as {PREFIX}.splits asks for: {detail}"),
    ]
