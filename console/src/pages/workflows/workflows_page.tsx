// The list of workflows.
import { get } from "../../data/api";
import { usePolled } from "../../data/polling";
import type { Page, Workflow } from "../../data/types";
import { Empty, Loading, ProblemNotice } from "../../parts/notices";

const REFRESH_MS = 5000;

/** The page with all workflows. */
export function WorkflowsPage() {
  const { value, error, refresh } = usePolled((signal) => get<Page<Workflow>>("workflows", {}, signal), "", REFRESH_MS);
  return (
    <>
      <div class="heading">
        <h1>Workflows</h1>
      </div>
      {error && !error.isUnreachable && <ProblemNotice problem={error} onRetry={refresh} />}
      {value === null ? <Loading what="workflows" /> : <WorkflowTable workflows={value.items} />}
    </>
  );
}

function WorkflowTable({ workflows }: { workflows: Workflow[] }) {
  if (workflows.length === 0) return <Empty title="No workflows yet" />;
  return (
    <div class="card">
      <table class="table">
        <thead>
          <tr>
            <th>Workflow</th>
            <th>Status</th>
          </tr>
        </thead>
        <tbody>
          {workflows.map((each) => (
            <tr key={each.id}>
              <td>{each.name ?? each.id}</td>
              <td>{each.status}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
