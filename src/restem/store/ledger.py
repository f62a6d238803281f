"""An experiment's account: what it took over all its runs, in one file that is replaced whole."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from restem.errors import DamageError
from restem.store.digests import sealed, unsealed
from restem.store.partials import appearing, flush


def ledger_file(root: Path, experiment: str) -> Path:
    """Return where, beside the locks of a journal, it stands what an experiment took over all its runs."""
    return root / f".{experiment}.spent"


class Taken(NamedTuple):
    """What was taken."""

    requests: int = 0
    prompt_tokens: int = 0  # read
    completion_tokens: int = 0  # generated

    def plus(self, other: "Taken") -> "Taken":
        """Return the sum."""
        return Taken(*map(sum, zip(self, other, strict=True)))


class Account(NamedTuple):
    """All that an experiment took so far."""

    sampling: Taken = Taken()
    judge: Taken = Taken()
    seconds: float = 0.0  # of its runs

    def plus(self, other: "Account") -> "Account":
        """Return the sum."""
        judge = self.judge.plus(other.judge)
        return Account(self.sampling.plus(other.sampling), judge, self.seconds + other.seconds)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON-like values."""
        by_spender = {name: taken._asdict() for name, taken in (("sampling", self.sampling), ("judge", self.judge))}
        return {**by_spender, "seconds": round(self.seconds, 3)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Account":
        """Return what `as_json` gave."""
        return cls(Taken(**content["sampling"]), Taken(**content["judge"]), float(content["seconds"]))


class Ledger:
    """The file that holds an experiment's account."""

    def __init__(self, file: Path) -> None:
        """Use the file, which is made when something is taken."""
        self.file = file

    def read(self) -> Account | None:
        """Return the account; None if nothing was counted yet, as before this was.

        Raises:
            DamageError: If the file is not what was written.
        """
        try:
            content = unsealed(self.file.read_text(encoding="utf-8", errors="replace"))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DamageError(self._damaged(error.strerror or type(error).__name__)) from error
        try:
            if content is not None:
                return Account.from_json(content)
        except (KeyError, TypeError, ValueError) as error:
            raise DamageError(self._damaged("it is of another version")) from error
        raise DamageError(self._damaged("its digest does not fit"))

    def write(self, account: Account) -> None:
        """Replace the account.

        Raises:
            StorageError: If the disk refuses.
        """
        with appearing(self.file) as partial:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(sealed(account.as_json()), encoding="utf-8")
            flush(partial)
            partial.replace(self.file)

    def _damaged(self, why: str) -> str:
        return (
            f"{self.file} is damaged ({why}), so it is not known what the experiment has spent. Remove it, and "
            "counting begins anew; what limits.budget leaves is then to be lowered by hand"
        )
