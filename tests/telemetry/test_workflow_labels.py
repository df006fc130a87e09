"""Metrics tell workflows apart, up to a number."""

from prometheus_client.parser import text_string_to_metric_families

from orchestrator.telemetry.workflow_labels import OTHER, WorkflowLabels, bound_types
from orchestrator.temporal.workflow_types import name_branch_type

SERVED = rb"""# HELP temporal_workflow_completed Count
# TYPE temporal_workflow_completed counter
temporal_workflow_completed{namespace="n",workflow_type="first"} 1
temporal_workflow_completed{namespace="n",workflow_type="second"} 2
temporal_workflow_completed{namespace="n",workflow_type="first/branch"} 4
temporal_workflow_completed{namespace="n",workflow_type="third\"}"} 8
temporal_workflow_completed{namespace="n",workflow_type="second/branch"} 16
# HELP temporal_latency Latency
# TYPE temporal_latency histogram
temporal_latency_bucket{workflow_type="second",le="0.1"} 1
temporal_latency_bucket{workflow_type="second",le="+Inf"} 3
temporal_latency_sum{workflow_type="second"} 0.5
temporal_latency_count{workflow_type="second"} 3
temporal_latency_bucket{workflow_type="third",le="0.1"} 10
temporal_latency_bucket{workflow_type="third",le="+Inf"} 30
temporal_latency_sum{workflow_type="third"} 1.25
temporal_latency_count{workflow_type="third"} 30
# HELP temporal_pollers Pollers
# TYPE temporal_pollers gauge
temporal_pollers{namespace="n"} 5
"""


def test_the_first_workflows_have_labels_of_their_own_and_the_others_share_one() -> None:
    labels = WorkflowLabels(2)

    assert [labels.pick(name) for name in ("a", "b", "c", "a", "d")] == ["a", "b", OTHER, "a", OTHER]
    assert labels.pick_type(name_branch_type("a")) == "a/branch"
    assert labels.pick_type(name_branch_type("c")) == f"{OTHER}/branch"


def test_a_workflow_may_be_called_other() -> None:
    assert WorkflowLabels(1).pick("other") == "other"
    assert WorkflowLabels(0).pick("other") == OTHER != "other"


def test_generated_ids_use_up_no_label() -> None:
    """Each definition sent without an ID has one of its own: a hundred such runs would hide all workflows."""
    labels = WorkflowLabels(1)

    assert labels.pick("6f9619ff-8b86-4d01-b42d-00cf4fc964ff") == OTHER
    assert labels.pick("a") == "a"


def test_the_types_of_the_sdks_metrics_are_bounded_and_the_others_added_up() -> None:
    """The SDK keeps a dozen histograms for each workflow type that it has met."""
    text = bound_types(SERVED, WorkflowLabels(1)).decode()
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }

    assert samples == {
        ("temporal_workflow_completed_total", ("namespace", "n"), ("workflow_type", "first")): 1,
        ("temporal_workflow_completed_total", ("namespace", "n"), ("workflow_type", "first/branch")): 4,
        ("temporal_workflow_completed_total", ("namespace", "n"), ("workflow_type", OTHER)): 10,
        ("temporal_workflow_completed_total", ("namespace", "n"), ("workflow_type", f"{OTHER}/branch")): 16,
        ("temporal_latency_bucket", ("le", "0.1"), ("workflow_type", OTHER)): 11,
        ("temporal_latency_bucket", ("le", "+Inf"), ("workflow_type", OTHER)): 33,
        ("temporal_latency_sum", ("workflow_type", OTHER)): 1.75,
        ("temporal_latency_count", ("workflow_type", OTHER)): 33,
        ("temporal_pollers", ("namespace", "n")): 5,
    }
