// The pages, by the first part of the address.
import type { ComponentType } from "preact";
import { linkTo } from "../data/address";
import { type Later, loadLater } from "../parts/later";
import { Empty } from "../parts/notices";

export interface PageProps {
  path: string[];
}

interface Page {
  name: (path: string[]) => string;
  View: ComponentType<PageProps> & Partial<Later<PageProps>>;
}

export const NAVIGATION = [
  { path: "runs", name: "Runs" },
  { path: "workflows", name: "Workflows" },
  { path: "schedules", name: "Schedules" },
  { path: "deliveries", name: "Deliveries" },
] as const;

const loaders = {
  deliveries: () => import("../pages/deliveries/deliveries_page").then(({ DeliveriesPage }) => DeliveriesPage),
  editor: () => import("../pages/editor/editor_page").then(({ EditorPage }) => EditorPage),
  run: () => import("../pages/run/run_page").then(({ RunPage }) => RunPage),
  runs: () => import("../pages/runs/runs_page").then(({ RunsPage }) => RunsPage),
  schedules: () => import("../pages/schedules/schedules_page").then(({ SchedulesPage }) => SchedulesPage),
  workflow: () => import("../pages/workflows/workflow_page").then(({ WorkflowPage }) => WorkflowPage),
  workflows: () => import("../pages/workflows/workflows_page").then(({ WorkflowsPage }) => WorkflowsPage),
};
const EditorPage = loadLater<PageProps>(loaders.editor);

const PAGES: Record<string, Page> = {
  runs: { name: () => "Runs", View: loadLater<PageProps>(loaders.runs) },
  "runs/": { name: (path) => `Run ${path[1]}`, View: loadLater<PageProps>(loaders.run) },
  workflows: { name: () => "Workflows", View: loadLater<PageProps>(loaders.workflows) },
  "workflows/": { name: (path) => `Workflow ${path[1]}`, View: loadLater<PageProps>(loaders.workflow) },
  edit: { name: () => "New workflow", View: EditorPage },
  "edit/": { name: (path) => `Edit ${path[1]}`, View: EditorPage },
  schedules: { name: () => "Schedules", View: loadLater<PageProps>(loaders.schedules) },
  deliveries: { name: () => "Deliveries", View: loadLater<PageProps>(loaders.deliveries) },
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
