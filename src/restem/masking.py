"""What is secret, and messages without it: one function, for every error, log line and answer of a server.

Secret are the values of environment variables whose names say so (HF_TOKEN, MLFLOW_TRACKING_PASSWORD, ...), the
variables that `api_key_env` names, and what a URL holds before its @.
"""

import base64
import json
import logging
import os
import re
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any
from urllib.parse import quote, unquote

MASK = "***"
_NAME = re.compile(r"(TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|API_?KEY|ACCESS_KEY|PRIVATE_KEY)$", re.IGNORECASE)
_OPTION = re.compile(
    r"((x[-_])?api[-_]?key|((auth|access|hf|hub|api|bearer|session)[-_]?)?token|(.*[-_])?(secret|password|passwd)([-_].*)?"
    r"|authorization|credentials?)",
    re.IGNORECASE,
)
_USERINFO = re.compile(r"://[^\s/'\"<>]+@")
_HEADER = re.compile(r"(authorization[\"']?\s*[:=]\s*[\"']?(?:bearer|basic|token)\s+)[^\s\"',}]+", re.IGNORECASE)
_QUERY = re.compile(
    r"([?&](?:api[-_]?key|(?:access_)?token|password|sig|signature|x-amz-[a-z]+)=)[^&\s'\"]+", re.IGNORECASE
)
_SHORTEST = 6  # characters; hiding every "no" would say more about a password "no" than it hides

_registered: set[str] = set()


def keep_secret(value: str) -> None:
    """Remember a secret: no message of this process will hold it."""
    _registered.update(_forms(value))


def mask(text: str) -> str:
    """Return a text with stars in place of every secret that this process knows, however it is written there."""
    return _without(text, _known())


def masked(value: Any) -> Any:
    """Return JSON-like data with all its texts masked, keys too."""
    return _masked(value, _known())


def _masked(value: Any, secrets: Sequence[str]) -> Any:
    if isinstance(value, str):
        return _without(value, secrets)
    if isinstance(value, Mapping):
        return {_masked(key, secrets): _masked(part, secrets) for key, part in value.items()}
    return [_masked(part, secrets) for part in value] if isinstance(value, list) else value


def _known() -> list[str]:
    """Return the secrets of this moment in all their forms, the longest first: one may be a part of another."""
    return sorted({*_registered, *_of_environment(os.environ)}, key=len, reverse=True)


def _without(text: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, MASK)
    text = _USERINFO.sub(f"://{MASK}@", text)
    return _QUERY.sub(rf"\g<1>{MASK}", _HEADER.sub(rf"\g<1>{MASK}", text))


def secrets_in(values: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Yield the dotted names of parameters that hold a secret, by what they are called or by a URL's user and password.

    Args:
        values: Nested parameters.
        path: Of what holds them.
    """
    for name, value in values.items():
        place = f"{path}.{name}".lstrip(".")
        if isinstance(value, Mapping):
            yield from secrets_in(value, place)
        elif isinstance(value, list | tuple):
            yield from secrets_in({str(index): part for index, part in enumerate(value)}, place)
        elif isinstance(value, str) and value and (_OPTION.fullmatch(str(name)) or _USERINFO.search(value)):
            keep_secret(value)
            yield place


def mask_all_messages() -> None:
    """From now on mask every log record, and every traceback that ends the process."""
    factory = logging.getLogRecordFactory()
    if getattr(factory, "masks", False):
        return

    def masking(*args: Any, **kwargs: Any) -> logging.LogRecord:
        return _clean(factory(*args, **kwargs))

    masking.masks = True  # type: ignore[attr-defined] # says that it is there already
    logging.setLogRecordFactory(masking)
    shown = sys.excepthook

    def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        text = "".join(traceback.format_exception(kind, error, trace))
        clean = mask(text)
        if clean == text:
            shown(kind, error, trace)
        else:
            sys.stderr.write(clean)

    sys.excepthook = show


def _clean(record: logging.LogRecord) -> logging.LogRecord:
    message = record.getMessage()
    clean = mask(message)
    if clean != message:
        record.msg, record.args = clean, None
    if record.exc_info and record.exc_info[1] is not None:
        text = "".join(traceback.format_exception(*record.exc_info))
        clean = mask(text)
        if clean != text:
            record.exc_text, record.exc_info = clean.rstrip("\n"), None
    return record


def _of_environment(environment: Mapping[str, str]) -> set[str]:
    secrets: set[str] = set()
    for name, value in environment.items():
        if _NAME.search(name):
            secrets |= _forms(value)
        elif _USERINFO.search(value):
            secrets |= _of_url(value)
    for user, password in (("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"),):
        if environment.get(password):
            secrets |= _forms(base64.b64encode(_bytes(f"{environment.get(user, '')}:{environment[password]}")).decode())
    return secrets


def _of_url(url: str) -> set[str]:
    """Return what a URL holds before its @, the name of a user apart."""
    userinfo = _USERINFO.search(url)  # and no parser of URLs, which raises for some
    user, _, password = userinfo[0][3:-1].partition(":") if userinfo else ("", "", "")
    pair = base64.b64encode(_bytes(unquote(f"{user}:{password}"))).decode()  # as basic authentication sends it
    return _forms(unquote(password or user)) | _forms(pair)


def _forms(value: str) -> set[str]:
    """Return the ways in which a secret may stand in a message."""
    parts = {value, value.strip(), *value.splitlines()}
    if _USERINFO.search(value):
        parts |= _of_url(value)
    ways = {
        form
        for part in parts
        for form in (
            part,
            quote(_bytes(part)),
            quote(_bytes(part), safe=""),
            json.dumps(part)[1:-1],
            repr(part)[1:-1],
            repr(_bytes(part))[2:-1],
        )
    }
    return {form for form in ways if len(form) >= _SHORTEST}


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # what stands in the environment need not be text
