// The title of a run: which workflow, which run, its state, where it comes from.
import { linkTo } from "../../data/address";
import type { Run } from "../../data/types";
import { Icon } from "../../parts/icon";
import { hasEnded, StatusPill } from "../../parts/status";
import { formatMoment, Since } from "../../parts/time";

/** The heading. */
export function RunHeading({ run, isLive }: { run: Run; isLive: boolean }) {
  const temporal = run.links.temporal_ui;
  return (
    <div class="heading">
      <h1>
        <a class="plain" href={linkTo(["workflows", run.workflow_id])}>
          {run.workflow_name || run.workflow_id}
        </a>
      </h1>
      <code class="muted">{run.id}</code>
      <StatusPill status={run.status} />
      <span class="muted">
        {run.workflow_version ? `version ${run.workflow_version}` : "unpublished"} · {describeTrigger(run)}
        {run.started_at && (
          <>
            {" "}
            at {formatMoment(run.started_at)}, <Since time={run.started_at} /> ago
          </>
        )}
      </span>
      <span class="heading-links">
        {!hasEnded(run.status) && <span class={isLive ? "connection on" : "connection off"}>
          <i aria-hidden="true" />
          {isLive ? "live" : "reconnecting"}
        </span>}
        {run.parent_run_id && <a href={linkTo(["runs", run.parent_run_id])}>Called by</a>}
        {run.rerun_of && <a href={linkTo(["runs", run.rerun_of])}>Rerun of</a>}
        {run.reruns.map((id, index) => (
          <a key={id} href={linkTo(["runs", id])}>
            Rerun {run.reruns.length > 1 ? index + 1 : ""}
          </a>
        ))}
        {temporal && isWebLink(temporal) && (
          <a href={temporal} target="_blank" rel="noreferrer">
            Temporal <Icon name="external" />
          </a>
        )}
      </span>
    </div>
  );
}

function describeTrigger(run: Run): string {
  const data = run.trigger_data;
  const event = data && typeof data === "object" && !Array.isArray(data) && typeof data.name === "string" ? ` ${data.name}` : "";
  return `started by ${run.trigger_type === "manual" ? "hand" : run.trigger_type}${event}`;
}

/** Whether an address may be followed: `javascript:` and the like are not. */
function isWebLink(url: string): boolean {
  return /^https?:\/\//.test(url);
}
