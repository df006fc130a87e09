"""Format problems of definitions and results of test cases for CI: as GitHub annotations and as JUnit reports."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

Report = Mapping[str, Any]
"""`{file, valid, problems: [{severity, code, message, hint, line, column, …}]}`, as `validate --json` prints."""


def format_annotations(reports: Sequence[Report]) -> Iterator[str]:
    """Yield a workflow command of GitHub Actions for each problem, which it shows beside the line."""
    for report in reports:
        for problem in report["problems"]:
            position = {"line": problem.get("line"), "col": problem.get("column")}
            entries = {"file": report["file"], **position, "title": problem["code"]}
            properties = ",".join(
                f"{key}={_escape(value, ':,')}" for key, value in entries.items() if value is not None
            )
            yield f"::{problem['severity']} {properties}::{_escape(_describe(problem))}"


def format_junit(reports: Sequence[Report]) -> str:
    """Return a JUnit report: a case for each definition, which fails with its errors."""
    failed = sum(not report["valid"] for report in reports)
    counts = {"tests": str(len(reports)), "failures": str(failed)}
    suites = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(suites, "testsuite", {"name": "orchestrator validate", **counts})
    for report in reports:
        case = ElementTree.SubElement(suite, "testcase", {"classname": "definitions", "name": report["file"]})
        lines = [_clean(f"{_locate(report, each)}: {_describe(each)}") for each in report["problems"]]
        if not report["valid"]:
            errors = [each for each in report["problems"] if each["severity"] == "error"]
            message = _clean("; ".join(each["message"] for each in errors[:3]))
            ElementTree.SubElement(case, "failure", {"message": message}).text = "\n".join(lines)
        elif lines:
            ElementTree.SubElement(case, "system-out").text = "\n".join(lines)
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def format_test_junit(results: Sequence[Mapping[str, Any]]) -> str:
    """Return a JUnit report of test cases, `{file, name, passed, differences}`: a suite for each definition."""
    suites = ElementTree.Element("testsuites", _count_results(results))
    for file in dict.fromkeys(each["file"] for each in results):
        of_file = [each for each in results if each["file"] == file]
        suite = ElementTree.SubElement(suites, "testsuite", {"name": file, **_count_results(of_file)})
        for result in of_file:
            case = ElementTree.SubElement(suite, "testcase", {"classname": file, "name": _clean(result["name"])})
            if not result["passed"]:
                lines = [_clean(each) for each in result["differences"]]
                first = lines[0].splitlines()[0]
                ElementTree.SubElement(case, "failure", {"message": first}).text = "\n".join(lines)
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _count_results(results: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    return {"tests": str(len(results)), "failures": str(sum(not each["passed"] for each in results))}


def _describe(problem: Mapping[str, Any]) -> str:
    hint = f" ({problem['hint']})" if problem.get("hint") else ""
    return f"{problem['severity']} {problem['code']}: {problem['message']}{hint}"


def _locate(report: Report, problem: Mapping[str, Any]) -> str:
    return ":".join(str(part) for part in (report["file"], problem.get("line"), problem.get("column")) if part)


def _clean(text: str) -> str:
    """Replace characters that XML does not allow."""
    return "".join(each if each in "\t\n" or each >= " " else "\ufffd" for each in text)


def _escape(value: object, more: str = "") -> str:
    """Escape a value as a workflow command requires; properties end at `,` and `:`."""
    text = str(value).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    for character in more:
        text = text.replace(character, f"%{ord(character):02X}")
    return text
