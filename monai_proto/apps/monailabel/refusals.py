"""What goes wrong, as HTTP answers that say so."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import requests
from fastapi import HTTPException
from monailabel.interfaces.exception import MONAILabelException

__all__ = ["http_answers", "refuse", "unwrapped"]

logger = logging.getLogger(__name__)


def refuse(status: int, detail: str) -> NoReturn:
    """
    Raises:
        HTTPException: always; FastAPI answers ``{"detail": detail}``.
    """
    raise HTTPException(status_code=status, detail=detail)


def unwrapped(error: BaseException) -> BaseException:
    """The ``ValueError`` behind an exception, where there is one: MONAI wraps what transforms raise."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ValueError):
        cause = cause.__cause__
    return cause or error


@contextmanager
def http_answers() -> Iterator[None]:
    """
    Status 422 for input that does not fit (``ValueError``), 502 for a DICOMweb server that does not answer, 500 for
    what else goes wrong, all with the reason.
    """
    try:
        yield
    except HTTPException:
        raise
    except MONAILabelException as error:
        refuse(422, error.msg)
    except requests.RequestException as error:
        refuse(502, f"The DICOMweb server does not answer as it should: {error}")
    except Exception as error:
        bad_input = unwrapped(error)
        if isinstance(bad_input, ValueError):
            refuse(422, str(bad_input))
        logger.exception("Request failed")
        refuse(500, f"{type(error).__name__}: {error}")
