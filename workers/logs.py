"""Logs: one JSON object a line on stderr, ids and stable codes only.

Promise: names, tax ids, e-mails, amounts and secrets are never handed to a logger. The last processor is the net below it:
it hides every secret that the configuration knows, and masks what looks like an e-mail address, a CPF or a CNPJ.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable, Iterator, MutableMapping
from typing import Any, TextIO

import structlog
from stdnum.br import cnpj, cpf

from workers.config import Config, ConfigError

QUIET = ("celery", "kombu", "amqp", "httpx", "httpcore", "tornado.access", "uvicorn.access", "alembic")
"""Libraries whose narration says nothing that our own entries do not; warnings pass."""

HIDDEN = "[hidden]"

_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_CPF = re.compile(r"\b\d{3}\.\d{3}\.\d{3}-\d{2}\b")
_CNPJ = re.compile(r"\b[\dA-Z]{2}\.[\dA-Z]{3}\.[\dA-Z]{3}/[\dA-Z]{4}-\d{2}\b")
_BARE = re.compile(r"\b(?:[\dA-Z]{12}\d{2}|\d{11})\b")
"""Without punctuation a number is masked only when its check digits hold: ids and times look alike."""

_secrets: set[str] = set()


def hide(*secrets: str) -> None:
    """From now on these values never appear in a log line of this process. Shorter than 6 characters: too common to hide."""
    _secrets.update(each for each in secrets if len(each) >= 6)


def hide_those_of(config: Config) -> None:
    """Every secret that this configuration knows, from now on."""
    hide(*_secrets_of(config))


def configure(config: Config | None = None, *, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Route structlog and the standard library's logging to JSON lines on stderr. A second call replaces the first."""
    if config is not None:
        hide_those_of(config)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _frames_only,
                redact,
                structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        # uvicorn gives these handlers of their own, which print tracebacks with their messages
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _frames_only(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Of an exception, its type and where it was: its message may carry a person's data (SQL parameters do)."""
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    if isinstance(info, BaseException):
        info = (type(info), info, info.__traceback__)
    if isinstance(info, tuple) and info[0] is not None:
        event["error"] = info[0].__name__
        frames, trace = [], info[2]
        while trace is not None:
            code = trace.tb_frame.f_code
            frames.append(f"{code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno} {code.co_name}")
            trace = trace.tb_next
        event["frames"] = frames[-6:]
    event.pop("exception", None)
    event.pop("stack_info", None)
    return event


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Structlog processor: every string of the entry, nested ones too, without secrets and personal numbers."""
    return {key: _clean(value) for key, value in event.items()}


def mask(text: str) -> str:
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    text = _EMAIL.sub("[e-mail]", text)
    text = _CNPJ.sub("[cnpj]", _CPF.sub("[cpf]", text))
    return _BARE.sub(_mask_bare, text)


def _mask_bare(match: re.Match[str]) -> str:
    number = match.group()
    if len(number) == 11:
        return "[cpf]" if cpf.is_valid(number) else number
    return "[cnpj]" if cnpj.is_valid(number) else number


def _clean(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict):
        return {_clean(key): _clean(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(each) for each in value]
    return mask(str(value))


def _secrets_of(config: Config) -> Iterator[str]:
    """Every value that the configuration takes by reference, and the passwords inside its URLs."""

    def references(value: Any) -> Iterable[str]:
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            for each in value.values():
                yield from references(each)
        elif isinstance(value, list | tuple):
            for each in value:
                yield from references(each)

    for reference in references(config.model_dump(exclude={"base"})):
        if reference.startswith(("env:", "file:")):
            try:
                yield config.secret(reference)
            except ConfigError:
                continue  # a secret that is not there cannot leak; whoever needs it says so
    for url in (config.ponte.journal, config.ponte.broker):
        yield from re.findall(r"://[^:/@\s]*:([^@\s]+)@", url)
    for name in ("broker", "flower", "health"):
        path = config.home / "secrets" / name
        if path.is_file():
            yield path.read_text().strip()
