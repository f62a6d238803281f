"""Requests to an HTTP server that may be busy, broken or gone: retried, counted, and stopped by a budget."""

import email.utils
import logging
import math
import os
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from restem.engines.openai_protocol import tokens_taken
from restem.engines.randomness import uniforms
from restem.errors import BudgetError, EngineError
from restem.masking import keep_secret, mask, masked
from restem.spending import Spender, spending

if TYPE_CHECKING:
    import httpx2

_logger = logging.getLogger(__name__)

_BUSY = {408, 409, 425, 429}  # and all from 500: worth another try
_LONGEST_PAUSE_S = 60.0  # of our own backoff
_LONGEST_RETRY_AFTER_S = 600.0  # a server that asks for more is as good as gone
_SHOWN = 400  # characters of a server's words in an error
_OPTIONS = "sampling.engine_options"  # where the user wrote what a message is about


class Refusal(Exception):
    """The server understood and said no; another try would not help."""

    def __init__(self, status: int, message: str) -> None:
        """Keep the status and the server's words."""
        super().__init__(f"{status}: {message}")
        self.status, self.message = status, message


class Patience(NamedTuple):
    """How long to try."""

    timeout_s: float  # to wait for an answer
    max_retries: int  # after the first try
    backoff_s: float  # before the first retry; doubles


class Budget:
    """What one opening of an engine or a judge may spend, over all threads; see `limits.budget` for an experiment."""

    def __init__(self, *, max_tokens: int | None, max_requests: int | None, options: str = _OPTIONS) -> None:
        """Start with nothing spent.

        Args:
            max_tokens: Of prompts and completions, as the server counts them.
            max_requests: Retries included.
            options: The path of these parameters, for messages.
        """
        self._options = options
        self._max_tokens, self._max_requests = max_tokens, max_requests
        self._lock = threading.Lock()
        self.n_tokens = 0
        self.n_requests = 0

    def take_request(self) -> None:
        """Count a request.

        Raises:
            BudgetError: If there is nothing left to pay for it.
        """
        with self._lock:
            for name, spent, limit in (
                ("max_tokens_budget", self.n_tokens, self._max_tokens),
                ("max_requests_budget", self.n_requests, self._max_requests),
            ):
                if limit is not None and spent >= limit:
                    raise BudgetError(
                        f"{self._options}.{name} = {limit} is spent ({self.n_tokens} tokens, "
                        f"{self.n_requests} requests). Shards that are finished are kept in the journal and cost "
                        f"nothing again; raise {name} and start the same run again to go on"
                    )
            self.n_requests += 1

    def count_tokens(self, n_tokens: int) -> None:
        """Count what an answer cost."""
        with self._lock:
            self.n_tokens += n_tokens


class Server:
    """A base URL and the key to it."""

    def __init__(  # noqa: PLR0913 - all of it by name
        self,
        base_url: str,
        *,
        key: str | None,
        key_name: str,
        patience: Patience,
        budget: Budget,
        options: str = _OPTIONS,
    ) -> None:
        """Connect when first asked.

        Args:
            base_url: Ends before /completions.
            key: Sent as a bearer token; in no message and no log.
            key_name: The environment variable that the key came from.
            patience: How long to try.
            budget: What may be spent.
            options: The path of these parameters, for messages.
        """
        import httpx2

        self._options = options
        self._spender: Spender = "sampling" if options == _OPTIONS else "judge"  # whose options they are
        self.base_url = base_url.rstrip("/")
        self._key, self._key_name, self._patience, self.budget = key, key_name, patience, budget
        timeout = httpx2.Timeout(patience.timeout_s, connect=min(patience.timeout_s, 10.0), pool=None)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx2.Client(headers=headers, timeout=timeout, limits=httpx2.Limits(max_connections=None))
        self._closed = threading.Event()

    def close(self) -> None:
        """End all connections; whoever waits to try again gives up."""
        self._closed.set()
        self._client.close()

    def find(self) -> list[str]:
        """Return the names of the models that the server lists; none if it keeps no list.

        Raises:
            EngineError: If there is no server, or it refuses the key.
        """
        import httpx2

        try:
            response = self._client.get(f"{self.base_url}/models")
        except (httpx2.RequestError, httpx2.InvalidURL) as error:
            raise EngineError(
                f"no server answers at {self.base_url} ({_words(error)}); start it, or mend {self._options}.base_url"
            ) from error
        self._check_key(response)
        return _names(response) if response.status_code == httpx2.codes.OK else []

    def post(self, path: str, payload: Mapping[str, Any], *, jitter_seed: int) -> dict[str, Any]:
        """Return the server's answer, however many tries it takes.

        Args:
            path: Below the base URL.
            payload: JSON-like.
            jitter_seed: Of the random share of the pauses, so that many clients do not come back at once.

        Raises:
            Refusal: If the server says no to this request.
            BudgetError: If the budget of this opening is spent.
            EngineError: If the key is refused, or no try succeeded.
        """
        shares = uniforms(jitter_seed, 0, self._patience.max_retries + 1)
        for attempt, share in enumerate(shares, start=1):
            self.budget.take_request()
            spending.take(self._spender, requests=1)
            fault, asked_s = self._try(path, payload)
            if isinstance(fault, dict):
                prompt_tokens, completion_tokens = tokens_taken(fault, payload)
                spending.take(self._spender, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens)
                return fault
            if attempt == len(shares):
                break
            own_s = min(_LONGEST_PAUSE_S, self._patience.backoff_s * 2 ** (attempt - 1)) * (0.5 + 0.5 * float(share))
            pause_s = own_s if asked_s is None else asked_s
            _logger.info("%s: %s; trying again in %.1f s (%d of %d)", path, fault, pause_s, attempt, len(shares) - 1)
            if self._closed.wait(pause_s):
                break
        raise EngineError(
            f"the server at {self.base_url} failed {attempt} times in a row, last with: {fault}. Shards that are "
            "finished are kept in the journal; start the same run again when the server is well"
        )

    def _try(self, path: str, payload: Mapping[str, Any]) -> tuple[dict[str, Any] | str, float | None]:
        """Return the answer, or what went wrong and for how many seconds the server asks to be left alone."""
        import httpx2

        try:
            response = self._client.post(f"{self.base_url}{path}", json=payload)
        except httpx2.RequestError as error:
            return _words(error), None
        self._check_key(response)
        status = response.status_code
        if status in _BUSY or status >= httpx2.codes.INTERNAL_SERVER_ERROR:
            message = self._message(response)
            if "insufficient_quota" in response.text:
                raise EngineError(f"the account at {self.base_url} has no credit left: {message}")
            return f"{status} {message}", self._retry_after(response)
        if status != httpx2.codes.OK:
            raise Refusal(status, self._message(response))
        try:
            answer = response.json()
        except (ValueError, RecursionError):
            return f"an answer that is not JSON: {self._message(response)!r}", None
        answer = masked(answer)  # some servers repeat the key, and completions are kept
        return (answer, None) if isinstance(answer, dict) else (f"an answer of another shape: {answer!r:.80}", None)

    def _check_key(self, response: "httpx2.Response") -> None:
        if response.status_code not in {401, 403}:
            return
        key = f"the key in {self._key_name}" if self._key else "a request without a key"
        raise EngineError(
            f"the server at {self.base_url} refuses {key} ({response.status_code} {self._message(response)}); "
            f"{self._options}.api_key_env names the environment variable that holds the key"
        )

    @staticmethod
    def _message(response: "httpx2.Response") -> str:
        """Return the server's words without the key, which some servers repeat."""
        return " ".join(mask(response.text).split())[:_SHOWN]

    def _retry_after(self, response: "httpx2.Response") -> float | None:
        header = response.headers.get("retry-after", "").strip()
        if not header:
            return None
        try:
            wait_s = float(header)
        except ValueError:
            try:
                wait_s = email.utils.parsedate_to_datetime(header).timestamp() - time.time()
            except ValueError:
                return None
        if not math.isfinite(wait_s) or wait_s > _LONGEST_RETRY_AFTER_S:
            raise EngineError(
                f"the server at {self.base_url} asks to be left alone for {header} seconds. Shards that are finished "
                "are kept in the journal; start the same run again then"
            )
        return max(0.0, wait_s)


def checked_url(base_url: str, *, options: str = _OPTIONS) -> str:
    """Return the URL of a server, which holds no secret: it is logged, and part of fingerprints.

    Raises:
        EngineError: If it is none, or holds one.
    """
    parts = urlsplit(base_url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise EngineError(f"{options}.base_url must be like http://127.0.0.1:8000/v1, got {base_url!r}")
    if parts.username or parts.password or parts.query:
        raise EngineError(f"{options}.base_url must hold no secret; name a variable in api_key_env")
    return base_url


def key_of(api_key_env: str | None, *, options: str = _OPTIONS) -> str | None:
    """Return the key that an environment variable holds; None if none is named.

    A key that was set for one server must not go to another unasked: there is no default variable.

    Raises:
        EngineError: If the variable is named and holds nothing.
    """
    if not api_key_env:
        return None
    key = os.environ.get(api_key_env, "").strip()
    if not key:
        raise EngineError(f"{options}.api_key_env names {api_key_env}, which is not set or empty")
    keep_secret(key)
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise EngineError(
            f"{options}.api_key_env names {api_key_env}, which holds a line break, a space or a character that is not "
            "ASCII, so no server can be sent it; set the key alone"
        )
    return key


def _names(response: "httpx2.Response") -> list[str]:
    try:
        listed = masked(response.json())["data"]
        return [str(model["id"]) for model in listed]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []  # the list is only for error messages; many servers keep none, or one of their own shape


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
