"""The web console at `/`: static files of this package, under a strict policy. It calls the API as any client does."""

from collections.abc import MutableMapping
from importlib.resources import files
from os import PathLike, stat_result
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

FOLDER = Path(str(files("api") / "static"))
"""Written by `make console`."""
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # kept by browsers and compared each time, so that a new release is seen at once
}


class _ConsoleFiles(StaticFiles):
    def file_response(
        self,
        full_path: str | PathLike[str],
        stat_result: stat_result,
        scope: MutableMapping[str, Any],
        status_code: int = 200,
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(HEADERS)
        return response


def install(app: FastAPI) -> None:
    """Serve the page to everyone: it holds nothing of any customer, and the API asks for a key."""

    @app.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    async def get_page() -> FileResponse:
        return FileResponse(FOLDER / "index.html", media_type="text/html", headers=HEADERS)

    app.mount("/static", GZipMiddleware(_ConsoleFiles(directory=FOLDER)))
