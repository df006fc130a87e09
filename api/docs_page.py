"""The page at `/docs`: Swagger UI from installed files, so that it works offline, under a policy of its own."""

from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, RedirectResponse

PACKAGE = "fastapi_offline"
FOLDER = "static"
FILES = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}
"""Files of the package that are served."""
START = "start.js"
SCRIPT = """\
SwaggerUIBundle({
  url: document.body.dataset.description,
  dom_id: "#page",
  deepLinking: true,
  validatorUrl: null,
});
"""
# Relative URLs: a proxy may serve the API under a path prefix.
PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body data-description="{description}">
<div id="page"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",  # Swagger UI sets styles on elements
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
CACHED = "private, max-age=86400"


def install(router: APIRouter, description: str, title: str) -> None:
    """Add the page and its files to a router; `description` is the path of the OpenAPI document."""
    page = PAGE.format(title=title, description=description.lstrip("/"))

    @router.api_route("/docs", methods=["GET", "HEAD"])
    async def get_page() -> HTMLResponse:
        return HTMLResponse(page, headers={"Content-Security-Policy": POLICY})

    @router.get(f"/docs/{START}")
    async def get_script() -> Response:
        return Response(SCRIPT, media_type="text/javascript", headers={"Cache-Control": CACHED})

    @router.get("/docs/{name}")
    async def get_file(name: str) -> FileResponse:
        if name not in FILES:
            raise HTTPException(404, "there is no such file")
        return FileResponse(_find_file(name), media_type=FILES[name], headers={"Cache-Control": CACHED})

    @router.get("/openapi.json")
    async def redirect_to_description() -> RedirectResponse:
        return RedirectResponse(description.lstrip("/"))


def _find_file(name: str) -> Path:
    return Path(str(files(PACKAGE) / FOLDER / name))
