"""Definitions in YAML: the same answers as for JSON, read in a process with a deadline."""

from typing import Any

import httpx
import pytest

from orchestrator.service.yaml_bodies import MAX_YAML_BYTES

pytestmark = pytest.mark.temporal
YAML = {"content-type": "application/yaml"}
DEFINITION = """\
name: Answer
trigger: {type: manual}
nodes:
  - id: which
    type: switch
    config: {value: "{{ input.answer }}", cases: {no: no}}
  - {id: end, type: end, config: {output: {said: no}}}
edges:
  - {source: trigger, target: which}
  - {source: which, target: end, condition: no}
"""


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
)


@pytest.mark.parametrize(
    "content_type", ["application/yaml", "application/x-yaml; charset=utf-8", "text/yaml", "application/openapi+yaml"]
)
async def test_yaml_is_taken_by_its_content_type(api: httpx.AsyncClient, content_type: str) -> None:
    created = await api.post("/workflows", content=DEFINITION, headers={"content-type": content_type})

    assert created.status_code == 201, created.text
    assert created.json()["edges"][1]["condition"] == "no"


async def test_yaml_is_taken_wherever_a_definition_is(api: httpx.AsyncClient) -> None:
    validated = await api.post("/workflows/validate", content=DEFINITION, headers=YAML)
    created = await api.post("/workflows", content=f"id: answer\n{DEFINITION}", headers=YAML)
    changed = await api.put(
        "/workflows/answer", content=f"id: answer\nvariables: {{x: no}}\n{DEFINITION}", headers=YAML
    )
    started = await api.post("/workflows/answer/runs", content="input: {answer: no}", headers=YAML)

    assert (validated.status_code, validated.json()["valid"]) == (200, True), validated.text
    assert (created.status_code, changed.json()["variables"]) == (201, {"x": "no"})
    assert started.status_code == 202, started.text
    run = (await api.get(f"/runs/{started.json()['id']}")).json()
    assert run["input_data"] == {"answer": "no"}


@pytest.mark.parametrize(
    ("body", "detail", "hint"),
    [
        ("name: {{ x }}", "a key must be text", "put quotes around templates"),
        ("name: !!python/name:os.system x", "tags such as", None),
        ("a: {b: 1}\nc: {<<: 1}", "merge keys", "write the keys out"),
        ("name: a\nname: b", "/name: duplicate key; the first one is in line 1", "remove one of them"),
        (BOMB, "aliases expand to more than", None),
    ],
)
async def test_yaml_that_is_refused_has_a_position(
    api: httpx.AsyncClient, body: str, detail: str, hint: str | None
) -> None:
    refused = (await api.post("/workflows/validate", content=body, headers=YAML)).json()

    assert (refused["status"], refused["code"]) == (400, "yaml_syntax")
    assert refused["detail"].startswith(detail)
    assert hint is None or refused["hint"].startswith(hint)


async def test_the_problems_of_yaml_have_lines_and_columns(api: httpx.AsyncClient) -> None:
    wrong = DEFINITION.replace("target: end,", "target: edn,")
    both = "workflows:\n" + "".join(
        "- " + "\n  ".join(text.rstrip().splitlines()) + "\n" for text in (DEFINITION, wrong)
    )
    one = (await api.post("/workflows/validate", content=wrong, headers=YAML)).json()
    several = (await api.post("/workflows/validate-all", content=both, headers=YAML)).json()["results"]
    as_json = (await api.post("/workflows/validate", json={"name": "x", "nodes": []})).json()

    assert find_positions(one) == {"/edges/1/target": (10, 29)}
    # Eleven lines before it, and two columns for the list.
    assert find_positions(several[1]) == {"/edges/1/target": (21, 31)}
    assert several[0]["problems"] == []
    assert set(find_positions(as_json).values()) == {(None, None)}


def find_positions(result: dict[str, Any]) -> dict[str, tuple[int | None, int | None]]:
    wrong = ("unknown_node", "no_nodes")
    return {each["path"]: (each["line"], each["column"]) for each in result["problems"] if each["code"] in wrong}


async def test_a_large_body_in_yaml_is_refused(api: httpx.AsyncClient) -> None:
    body = f"note: {'x' * MAX_YAML_BYTES}"
    refused = await api.post("/workflows/validate", content=body, headers=YAML)

    assert refused.status_code == 413
    assert refused.json()["detail"] == "the YAML body is larger than 262,144 bytes; send larger ones as JSON"


async def test_a_wrong_field_of_yaml_is_named_as_in_json(api: httpx.AsyncClient) -> None:
    answers: list[dict[str, Any]] = [
        (await api.post("/workflows/none/runs", content="inptu: 1", headers=YAML)).json(),
        (await api.post("/workflows/none/runs", json={"inptu": 1})).json(),
    ]

    assert answers[0]["errors"] == answers[1]["errors"] != []
    assert answers[0].get("hint") == answers[1].get("hint")


async def read_yaml(api: httpx.AsyncClient, path: str) -> str:
    answer = await api.get(path, headers={"accept": "application/yaml"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/yaml"), answer.text
    return answer.text


async def test_yaml_is_given_back_as_it_was_written(api: httpx.AsyncClient) -> None:
    first, second = f"# first\nid: kept\n{DEFINITION}", f"# second\nid: kept\nvariables: {{x: 1}}\n{DEFINITION}"
    await api.post("/workflows", content=first, headers=YAML)
    await api.post("/workflows/kept/activate")
    await api.put("/workflows/kept", content=second, headers=YAML)
    changed = await read_yaml(api, "/workflows/kept")
    await api.post("/workflows/kept/activate")
    versions = [await read_yaml(api, f"/workflows/kept/versions/{number}") for number in (1, 2)]
    await api.post("/workflows/kept/rollback", json={"version": 1})
    back = [await read_yaml(api, path) for path in ("/workflows/kept", "/workflows/kept/versions/3")]
    either = [
        await api.get(path, headers={"accept": "application/yaml, application/json"})
        for path in ("/workflows/kept", "/workflows/kept/versions/2")
    ]

    assert [each.text for each in either] == [first, second]
    assert (changed, versions, back) == (second, [first, second], [first, first])
    etags = [
        (await api.get("/workflows/kept", headers={"accept": kind})).headers["etag"]
        for kind in ("application/yaml", "application/json")
    ]
    assert etags[0] == etags[1]


async def test_a_definition_that_was_changed_as_json_is_written_as_yaml_again(api: httpx.AsyncClient) -> None:
    await api.post("/workflows", content=f"# mine\nid: mixed\n{DEFINITION}", headers=YAML)
    document = (await api.get("/workflows/mixed")).json()
    await api.put("/workflows/mixed", json={**document, "description": "of JSON"})

    either = await api.get("/workflows/mixed", headers={"accept": "application/yaml, application/json;q=0.9"})
    text = await read_yaml(api, "/workflows/mixed")
    again = await api.put("/workflows/mixed", content=text, headers=YAML)

    assert either.json()["description"] == "of JSON"
    assert "# mine" not in text
    assert "description: of JSON" in text
    assert "run_count" not in text
    assert again.json()["description"] == "of JSON"
    assert await read_yaml(api, "/workflows/mixed") == text
