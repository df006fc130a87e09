// What a page shows instead of, or above, its content: loading, empty, an error.
import type { ComponentChildren } from "preact";
import { explain, type Problem } from "../data/api";
import { Icon } from "./icon";

/** The time until something has been read. */
export function Loading({ what }: { what: string }) {
  return (
    <p class="loading" role="status">
      Loading {what}…
    </p>
  );
}

/** An error of the API, in words, with all of its mistakes. */
export function ProblemNotice({ problem, onRetry }: { problem: Problem; onRetry?: () => void }) {
  return (
    <div class="notice bad" role="alert">
      <Icon name="warning" />
      <div>
        <p>{explain(problem)}</p>
        {problem.errors.length > 0 && (
          <ul>
            {problem.errors.map((each) => (
              <li key={each.path + each.message}>
                <code>{each.path || "/"}</code> {each.message}
                {each.hint && <span class="muted"> ({each.hint})</span>}
              </li>
            ))}
          </ul>
        )}
      </div>
      {onRetry && (
        <button type="button" onClick={onRetry}>
          Try again
        </button>
      )}
    </div>
  );
}

/** Why a page has nothing to show: what it is about does not exist, or cannot be read now. */
export function NotRead({ problem, onRetry, children }: { problem: Problem; onRetry: () => void; children: ComponentChildren }) {
  if (problem.status !== 404) return <ProblemNotice problem={problem} onRetry={onRetry} />;
  return (
    <Empty title={problem.message.charAt(0).toUpperCase() + problem.message.slice(1)} isPage>
      {children}
    </Empty>
  );
}

/** A page or list without content, and what to do about it. */
export function Empty({ title, children, isPage = false }: { title: string; children?: ComponentChildren; isPage?: boolean }) {
  return (
    <div class="empty">
      {isPage ? <h1>{title}</h1> : <h2>{title}</h2>}
      {children}
    </div>
  );
}

/** A part of the page that the server does not deliver: it is away, or has been updated. */
export function NotLoaded() {
  return (
    <div class="notice bad" role="alert">
      <Icon name="warning" />
      <div>
        <p>This part of the page cannot be loaded: it tries again by itself. After an update of the server, load the page again.</p>
      </div>
      <button type="button" onClick={() => location.reload()}>
        Load the page again
      </button>
    </div>
  );
}
