"""Mistakes in the examples: those that change a run are found, and the others are no errors."""

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from activities import data, email, events, http, log, notify, sql
from activities.registry import build_registry
from orchestrator.errors import DefinitionInvalid, Problem
from orchestrator.planner import checks
from orchestrator.planner.planner import check
from orchestrator.simulator.simulate import simulate
from tests.example_files import BY_NAME, load_example
from tests.golden import Case, load_cases
from tests.planner.mutations import MUTATIONS, Mutant, declare_data, list_compared, vary
from tests.scale import scale

SEED = 20261126
COUNT = scale(150)
REGISTRY = build_registry([http, email, notify, data, log, events, sql])
VARIANTS = 8
"""Runs of each case with other data, to see what a change does to them."""


def group_cases() -> dict[str, list[Case]]:
    """Return the golden cases of each example, and more with other data of the same types."""
    grouped: dict[str, list[Case]] = {}
    for case in load_cases("examples.yaml"):
        grouped.setdefault(case.definition["id"], []).append(case)
    rng = random.Random(SEED)
    for cases in grouped.values():
        texts = list_compared(cases[0].definition) or ["urgent"]
        for case in list(cases):
            for _ in range(VARIANTS):
                actions = {name: vary_answers(answers, texts, rng) for name, answers in case.actions.items()}
                cases.append(replace(case, input=vary(case.input, texts, rng), actions=actions))
    return grouped


def vary_answers(answers: Any, texts: list[str], rng: random.Random) -> Any:
    """Return the answers of an action with other outputs."""
    if isinstance(answers, list):
        return [vary_answers(answer, texts, rng) for answer in answers]
    return {"output": vary(answers["output"], texts, rng)} if "output" in answers else answers


def observe(definition: Mapping[str, Any], cases: list[Case]) -> Iterator[tuple[Any, Any]]:
    """Run a definition in each case, even if the check of its data refuses it.

    Yield how far each step got and what it warned about, and the same with all inputs and outputs.
    """
    for case in cases:
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(checks.data_flow, "check", lambda *arguments: None)
                run = simulate(
                    definition,
                    input=case.input,
                    actions=case.actions,
                    workflows=case.workflows,
                    events=case.events,
                    registry=REGISTRY,
                )
        except DefinitionInvalid as error:
            codes = [problem.code for problem in error.problems if problem.severity == "error"]
            yield codes, codes
            continue
        steps = sorted(
            (step.id, step.status, len(step.warnings), (step.error or {}).get("message", "")) for step in run.steps
        )
        values = sorted((step.id, repr(step.input_data), repr(step.output_data)) for step in run.steps)
        yield (run.status, steps), (run.status, steps, values, run.output, run.error)


def compare(before: list[tuple[Any, Any]], after: Iterable[tuple[Any, Any]], level: int) -> tuple[bool, bool]:
    """Return whether a run differs at a level of what `observe` yields, and whether all are the same."""
    same = True
    for one, other in zip(before, after, strict=False):
        same = same and one == other
        if one[level] != other[level]:
            return True, False
    return False, same


def find_problems(definition: Mapping[str, Any], workflows: Mapping[str, Any]) -> set[Problem]:
    return set(check(definition, registry=REGISTRY, workflows=workflows).problems)


def prepare(definition: dict[str, Any], cases: list[Case]) -> tuple[dict[str, Any], set[str]]:
    """Return an example with its data declared, and the nodes that have run."""
    results: dict[str, list[Any]] = {}
    ran: set[str] = set()
    for case in cases:
        run = simulate(definition, input=case.input, actions=case.actions, workflows=case.workflows, events=case.events)
        ran |= {step.node_id for step in run.steps}
        for step in run.steps:
            if step.status == "completed" and not (
                isinstance(step.output_data, dict) and "fallback" in step.output_data
            ):
                results.setdefault(step.node_id, []).append(step.output_data)
    return declare_data(definition, [case.input for case in cases], results), ran


def draw_mutants(rng: random.Random) -> list[tuple[str, str, Mutant, list[Case], dict[str, Any]]]:
    grouped = group_cases()
    prepared = {name: prepare(load_example(BY_NAME[name]), cases) for name, cases in grouped.items()}
    mutants: list[tuple[str, str, Mutant, list[Case], dict[str, Any]]] = []
    seen: set[str] = set()
    while len(mutants) < COUNT:
        name, kind = rng.choice(sorted(prepared)), rng.choice(sorted(MUTATIONS))
        definition, ran = prepared[name]
        mutant = MUTATIONS[kind](definition, ran, rng)
        if mutant is not None and f"{name} {mutant.description}" not in seen:
            seen.add(f"{name} {mutant.description}")
            mutants.append((name, kind, mutant, grouped[name], definition))
    return mutants


@pytest.mark.slow
@pytest.mark.long
def test_mutations_of_the_examples_that_change_a_run_are_found() -> None:
    counts: Counter[str] = Counter()
    missed: list[str] = []
    false_errors: list[str] = []
    originals: dict[str, tuple[list[tuple[Any, Any]], set[Problem]]] = {}
    for name, kind, mutant, cases, definition in draw_mutants(random.Random(SEED)):
        workflows = cases[0].workflows
        if name not in originals:
            originals[name] = list(observe(definition, cases)), find_problems(definition, workflows)
        before, known = originals[name]
        fresh = find_problems(mutant.definition, workflows) - known
        errors = [problem.message for problem in fresh if problem.severity == "error"]
        # A value of another type that is only passed on, into a body or an output, is no mistake.
        changes, same = compare(before, observe(mutant.definition, cases), 0 if kind == "type" else 1)
        if changes:
            counts[f"{kind}, changes a run, {'found' if fresh else 'not found'}"] += 1
            missed += [] if fresh else [f"{name} {kind} {mutant.description}"]
        else:
            counts[f"{kind}, {'changes nothing' if same else 'passes another value on'}"] += 1
            false_errors += [f"{name} {kind} {mutant.description}: {errors[0]}"] if same and errors else []

    print(f"seed {SEED}", *sorted(counts.items()), "not found:", *missed, "false:", *false_errors, sep="\n")
    changing = sum(number for what, number in counts.items() if "changes a run" in what)
    assert changing > COUNT / 2
    assert false_errors == []
    assert len(missed) <= 0.1 * changing
