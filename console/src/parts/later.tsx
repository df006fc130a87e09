// Parts of the page that are loaded when they are first shown: the first page is small.
import { type ComponentType, createElement } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Loading, NotLoaded } from "./notices";

const SLOW_MS = 300;
const RETRY_MS = 2000;

/** What has not been asked for yet. */
const waiting = new Set<() => Promise<unknown>>();

/** Load all parts: a server that restarts later keeps nobody from opening another page or dialog. */
export async function preloadParts(): Promise<void> {
  for (const load of waiting) {
    waiting.delete(load);
    await load().catch(() => {});
  }
}

export type Later<Props> = ComponentType<Props> & {
  /** Load it now: it is about to be shown. */
  preload: () => void;
};

/** Return a component that is loaded when it is first shown. */
export function loadLater<Props extends object>(load: () => Promise<ComponentType<Props>>): Later<Props> {
  let loaded: ComponentType<Props> | null = null;
  waiting.add(load);
  const preload = () =>
    void load().then(
      (component) => {
        loaded = component;
      },
      () => {}, // what shows it tries again
    );
  return Object.assign(Shown, { preload });

  function Shown(props: Props) {
    const [, setLoaded] = useState(false);
    const [isSlow, setSlow] = useState(false);
    const [hasFailed, setFailed] = useState(false);
    const isShown = loaded !== null; // a preload may end between this rendering and its effect
    useEffect(() => {
      if (isShown) return;
      let isGone = false;
      const notice = setTimeout(() => setSlow(true), SLOW_MS);
      let again: ReturnType<typeof setTimeout> | undefined;
      const attempt = () =>
        load().then(
          (component) => {
            loaded = component;
            if (!isGone) setLoaded(true);
          },
          () => {
            if (isGone) return;
            setFailed(true);
            again = setTimeout(attempt, RETRY_MS);
          },
        );
      void attempt();
      return () => {
        isGone = true;
        clearTimeout(notice);
        clearTimeout(again);
      };
    }, []);
    if (loaded) return createElement(loaded, props);
    if (hasFailed) return <NotLoaded />;
    return isSlow ? <Loading what="the page" /> : null;
  }
}
