// The pages, by the first part of the address.
import type { ComponentType } from "preact";
import { linkTo } from "../data/address";
import { DeliveriesPage } from "../pages/deliveries/deliveries_page";
import { EditorPage } from "../pages/editor/editor_page";
import { RunPage } from "../pages/run/run_page";
import { RunsPage } from "../pages/runs/runs_page";
import { SchedulesPage } from "../pages/schedules/schedules_page";
import { WorkflowPage } from "../pages/workflows/workflow_page";
import { WorkflowsPage } from "../pages/workflows/workflows_page";
import { Empty } from "../parts/notices";

export interface PageProps {
  path: string[];
}

interface Page {
  name: (path: string[]) => string;
  View: ComponentType<PageProps>;
}

export const NAVIGATION = [
  { path: "runs", name: "Runs" },
  { path: "workflows", name: "Workflows" },
  { path: "schedules", name: "Schedules" },
  { path: "deliveries", name: "Deliveries" },
] as const;

const PAGES: Record<string, Page> = {
  runs: { name: () => "Runs", View: RunsPage },
  "runs/": { name: (path) => `Run ${path[1]}`, View: RunPage },
  workflows: { name: () => "Workflows", View: WorkflowsPage },
  "workflows/": { name: (path) => `Workflow ${path[1]}`, View: WorkflowPage },
  edit: { name: () => "New workflow", View: EditorPage },
  "edit/": { name: (path) => `Edit ${path[1]}`, View: EditorPage },
  schedules: { name: () => "Schedules", View: SchedulesPage },
  deliveries: { name: () => "Deliveries", View: DeliveriesPage },
};

const NOT_FOUND: Page = {
  name: () => "Not found",
  View: () => (
    <Empty title="There is no such page" isPage>
      <a href={linkTo([])}>Go to the runs</a>
    </Empty>
  ),
};

/** Return the page at an address. */
export function findPage(path: string[]): Page {
  const [section = NAVIGATION[0].path, id] = path;
  const name = id ? `${section}/` : section;
  return (Object.hasOwn(PAGES, name) && PAGES[name]) || NOT_FOUND;
}
