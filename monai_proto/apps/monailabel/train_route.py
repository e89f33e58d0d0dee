"""Answers a request for a training that cannot work at once; upstream accepts it, and it fails in the background."""

from collections.abc import Callable
from typing import Any

from fastapi import Depends
from fastapi.routing import APIRoute
from monailabel.config import settings
from monailabel.endpoints.train import run_model
from monailabel.endpoints.user.auth import RBAC, User

__all__ = ["add_train_route"]


def add_train_route(check: Callable[[str, bool], None]) -> None:
    """
    Put a route before MONAI Label's own ``POST /train/{model}``, with the same arguments and rights.

    Args:
        check: called with the model and whether the training may wait for another one; raises an ``HTTPException`` to
            refuse it.
    """
    from monailabel.app import app

    async def run_checked(
        model: str,
        params: dict[str, Any] | None = None,
        run_sync: bool | None = False,
        enqueue: bool | None = False,
        user: User = Depends(RBAC(settings.MONAI_LABEL_AUTH_ROLE_ADMIN)),  # noqa: B008 - FastAPI's way
    ) -> Any:
        check(model, bool(enqueue))
        return run_model(model, params, run_sync, enqueue)

    path = f"{settings.MONAI_LABEL_API_STR}/train/{{model}}"
    app.router.routes.insert(0, APIRoute(path, run_checked, methods=["POST"], include_in_schema=False))
