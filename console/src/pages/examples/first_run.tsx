// The page of an empty installation.
import { Empty } from "../../parts/notices";

/** What to do first. */
export function FirstRun() {
  return (
    <Empty title="No workflows yet">
      <p>
        <code>orchestrator workflows push FILE</code> saves one, or <a href="#/edit">write one here</a>.
      </p>
    </Empty>
  );
}
