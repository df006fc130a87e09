"""The routes on which a workflow builder tries templates and conditions."""

import httpx


async def test_variables_of_a_template(api: httpx.AsyncClient) -> None:
    template = {"to": "{{ customer.email }}", "text": "Dear {{ customer.name | title }}, {{ now() | date }}"}
    answer = await api.post("/variables", json={"template": template, "context": {"customer": {"name": None}}})

    names = ["customer.email", "customer.name"]
    assert (answer.status_code, answer.json()) == (200, {"variables": names, "missing": names})


async def test_a_condition_is_evaluated(api: httpx.AsyncClient) -> None:
    condition = {"field": "total", "operator": "greater_than", "value": 100}
    answer = await api.post("/conditions/evaluate", json={"condition": condition, "context": {"total": 250}})

    assert answer.status_code == 200, answer.text
    assert answer.json()["result"] is True
    assert answer.json()["decision"]["compared"][0]["seen"] == 250


async def test_a_condition_or_template_with_a_mistake_is_422(api: httpx.AsyncClient) -> None:
    condition = await api.post("/conditions/evaluate", json={"condition": {"field": "a", "operator": "eqals"}})
    template = await api.post("/variables", json={"template": "{{ a"})

    assert (condition.status_code, condition.json()["code"]) == (422, "condition_error")
    assert condition.json()["hint"] == "did you mean `equals`?"
    assert (template.status_code, template.json()["code"]) == (422, "template_syntax")
