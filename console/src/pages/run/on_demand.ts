// What is behind buttons of the page of a run: one file, loaded when the first of it is needed.
export { compareRuns } from "./compared_runs";
export { ChoiceDialog, ComparisonCard } from "./comparison_card";
export { EventDialog } from "./event_dialog";
export { InterventionsCard } from "./interventions_card";
export { RepairDialog } from "./repair_dialog";
export { drawPlan, RerunBanner } from "./rerun_plan";
export { StopDialog } from "./stop_dialog";
export { ValueDialog } from "./value_dialog";
