"""Routes that are put before MONAI Label's own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastapi_offline
from fastapi import BackgroundTasks, Depends, File, Form, UploadFile
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from monailabel.config import settings
from monailabel.endpoints.infer import ResultType, run_inference
from monailabel.endpoints.train import run_model
from monailabel.endpoints.user.auth import RBAC, User
from monailabel.utils.others.generic import remove_file
from starlette.routing import Mount

__all__ = ["add_routes"]

# no "from __future__ import annotations" here: FastAPI needs the annotations of nested functions as objects
_ASSETS = "/api-page"


def add_routes(check_training: Callable[[str, bool], None], dicom_seg: Callable[[str, str, str], str]) -> None:
    """
    Put routes before those of the running server, with the same arguments and rights:

    - ``POST /train/{model}``, which refuses a training that cannot work at once; upstream accepts it, and it fails in
      the background;
    - ``POST /infer/{model}``, which for ``output=dicom_seg`` writes the SEG itself; upstream calls a program that it
      downloads when it starts;
    - ``/``, the page of the API, whose script comes from this machine and not from the internet.

    Args:
        check_training: called with the model and whether the training may wait for another one; raises an
            ``HTTPException`` to refuse it.
        dicom_seg: called with the model, the image and the file of the mask; returns that of the SEG.
    """
    from monailabel.app import app

    async def run_checked(
        model: str,
        params: dict[str, Any] | None = None,
        run_sync: bool | None = False,
        enqueue: bool | None = False,
        user: User = Depends(RBAC(settings.MONAI_LABEL_AUTH_ROLE_ADMIN)),  # noqa: B008 - FastAPI's way
    ) -> Any:
        check_training(model, bool(enqueue))
        return run_model(model, params, run_sync, enqueue)

    async def run_inference_with_seg(
        background_tasks: BackgroundTasks,
        model: str,
        image: str = "",
        session_id: str = "",
        params: str = Form("{}"),
        file: UploadFile = File(None),  # noqa: B008
        label: UploadFile = File(None),  # noqa: B008
        output: ResultType | None = None,
        user: User = Depends(RBAC(settings.MONAI_LABEL_AUTH_ROLE_USER)),  # noqa: B008
    ) -> Any:
        as_seg = output == ResultType.dicom_seg
        asked = ResultType.image if as_seg else output
        answer = run_inference(background_tasks, model, image, session_id, params, file, label, asked)
        if not as_seg:
            return answer
        seg = dicom_seg(model, image, str(answer.path))
        background_tasks.add_task(remove_file, seg)
        return FileResponse(seg, media_type="application/dicom", filename=f"{model}.dcm")

    async def api_page() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url=app.openapi_url,
            title=f"{app.title} - APIs",
            swagger_js_url=f"{_ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{_ASSETS}/swagger-ui.css",
            swagger_favicon_url="/favicon.ico",
        )

    api = settings.MONAI_LABEL_API_STR
    assets = StaticFiles(directory=Path(fastapi_offline.__file__).parent / "static")
    app.router.routes[:0] = [
        APIRoute(f"{api}/train/{{model}}", run_checked, methods=["POST"], include_in_schema=False),
        APIRoute(f"{api}/infer/{{model}}", run_inference_with_seg, methods=["POST"], include_in_schema=False),
        APIRoute("/", api_page, methods=["GET"], include_in_schema=False),
        Mount(_ASSETS, assets),
    ]
