"""The page at `/docs` works without a network, and lets in nothing else."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest

from api.docs_page import FILES
from orchestrator.service.services import Services
from tests.api.support import CLIENT_SECONDS

pytestmark = pytest.mark.temporal


@pytest.fixture
async def site(served_api: tuple[Services, str]) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=served_api[1], timeout=CLIENT_SECONDS) as client:
        yield client


async def test_the_page_and_all_that_it_loads_come_from_this_server(site: httpx.AsyncClient) -> None:
    """It was blank without a network: its script came from a content delivery network."""
    page = await site.get("/docs")
    links = re.findall(r'(?:src|href|data-description)="([^"]+)"', page.text)

    answers = [await site.get(page.url.join(link)) for link in links]

    assert len(links) == 4
    assert [(answer.status_code, answer.url.host) for answer in answers] == [(200, page.url.host)] * 4
    assert "SwaggerUIBundle" in answers[2].text
    assert "//" not in page.text.replace("<!doctype html>", "")


async def test_the_page_has_a_policy_of_its_own(site: httpx.AsyncClient) -> None:
    policy = (await site.get("/docs")).headers["content-security-policy"]

    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "frame-ancestors 'none'" in policy
    script = (await site.get("/docs")).text
    assert re.findall(r"<script[^>]*>([^<]+)</script>", script) == [], "no inline script"


async def test_only_the_files_of_the_page_are_served(site: httpx.AsyncClient) -> None:
    for name in FILES:
        assert (await site.get(f"/docs/{name}")).headers["content-type"].startswith(FILES[name])
    for name in ("redoc.standalone.js", "..%2F__init__.py", "%2e%2e/__init__.py"):
        assert (await site.get(f"/docs/{name}")).status_code == 404


async def test_the_usual_address_leads_to_the_description(site: httpx.AsyncClient) -> None:
    answer = await site.get("/openapi.json")

    target = answer.next_request and answer.next_request.url.path
    assert (answer.status_code, target) == (307, "/api/v1/openapi.json")
