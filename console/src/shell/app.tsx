// The frame around every page: navigation, who is signed in, whether the server answers.
import { useEffect, useRef } from "preact/hooks";
import { address, linkTo } from "../data/address";
import { get, isConnected } from "../data/api";
import { usePolled } from "../data/polling";
import { caller, chooseCustomer, customer, isKeyNeeded, key, signOut } from "../data/session";
import type { Caller } from "../data/types";
import { preloadParts } from "../parts/later";
import { Loading, ProblemNotice } from "../parts/notices";
import { Toasts } from "../parts/toasts";
import { findPage, NAVIGATION } from "./pages";
import { KeyForm } from "./key_form";
import { ThemeButton } from "./theme";

const CALLER_MS = 15_000;
const PRELOAD_MS = 2000;
const TITLE = "Orchestrator";

/** The whole page. */
export function App() {
  const who = usePolled((signal) => get<Caller>("caller", {}, signal), key.value, CALLER_MS);
  useEffect(() => {
    const timer = setTimeout(() => void preloadParts(), PRELOAD_MS);
    return () => clearTimeout(timer);
  }, []);
  useEffect(() => {
    if (!who.value) return;
    caller.value = who.value;
    isKeyNeeded.value = false;
  }, [who.value]);
  return (
    <>
      <Header />
      {!isConnected.value && <ConnectionLost onRetry={who.refresh} />}
      <Main problem={who.error} known={caller.value !== null} />
      <Toasts />
    </>
  );
}

function Header() {
  const skip = () => document.querySelector<HTMLElement>("main")?.focus();
  const section = address.value.path[0] ?? NAVIGATION[0].path;
  return (
    <header class="top">
      <button type="button" class="skip" onClick={skip}>
        Skip to the page
      </button>
      <a class="brand" href={linkTo([])}>
        {TITLE}
      </a>
      <nav aria-label="Pages">
        {NAVIGATION.map(({ path, name }) => (
          <a key={path} href={linkTo([path])} aria-current={section === path ? "page" : undefined}>
            {name}
          </a>
        ))}
      </nav>
      <div class="who">
        <Connection />
        <CustomerChoice />
        {caller.value && <span class="caller">{caller.value.customer_id ?? caller.value.name}</span>}
        {key.value && (
          <button type="button" class="quiet" onClick={signOut}>
            Sign out
          </button>
        )}
        <ThemeButton />
      </div>
    </header>
  );
}

/** The customer whose runs and workflows an administrator looks at. */
function CustomerChoice() {
  const isAdministrator = caller.value?.customer_id === null;
  if (!isAdministrator && !customer.value) return null;
  return (
    <input
      class="customer"
      aria-label="Customer"
      placeholder="all customers"
      value={customer.value}
      onChange={(event) => chooseCustomer(event.currentTarget.value.trim())}
    />
  );
}

function Connection() {
  const text = isConnected.value ? "connected" : "no connection";
  return (
    <span class={isConnected.value ? "connection on" : "connection off"}>
      <i aria-hidden="true" />
      {text}
    </span>
  );
}

function ConnectionLost({ onRetry }: { onRetry: () => void }) {
  return (
    <div class="strip warn" role="status">
      The server does not answer. Nothing you typed is lost; the page reconnects by itself.
      <button type="button" onClick={onRetry}>
        Try now
      </button>
    </div>
  );
}

function Main({ problem, known }: { problem: ReturnType<typeof usePolled>["error"]; known: boolean }) {
  const { path } = address.value;
  const main = useRef<HTMLElement>(null);
  const page = findPage(path);
  const place = path.join("/");
  const isFirst = useRef(true);
  // While the key is being checked.
  useEffect(() => page.View.preload?.(), [page]);
  useEffect(() => {
    document.title = `${page.name(path)} · ${TITLE}`;
    if (!isFirst.current) main.current?.focus();
    isFirst.current = false;
    window.scrollTo(0, 0);
  }, [place]);
  let content = <Loading what="the page" />;
  if (isKeyNeeded.value) content = <KeyForm reason={problem} />;
  else if (known) content = <page.View key={`${customer.value} ${place}`} path={path} />;
  else if (problem && !problem.isUnreachable) content = <ProblemNotice problem={problem} />;
  return (
    <main ref={main} tabIndex={-1}>
      {content}
    </main>
  );
}
