// A drawing that can be scrolled, zoomed and fitted to the page.
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Icon } from "../parts/icon";

/** The part of the drawing that is in view, in its own coordinates. */
export interface View {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

interface Area {
  x: number;
  y: number;
  width: number;
  height: number;
}

interface Props {
  width: number;
  height: number;
  label: string;
  /** What is scrolled into view whenever it changes. */
  target: Area | null;
  children: (view: View) => ComponentChildren;
}

const STEP = 1.25;
const LEAST = 0.1;
const MOST = 2;
const LARGEST_FIT = 1.1;

/** The drawing. */
export function Canvas({ width, height, label, target, children }: Props) {
  const frame = useRef<HTMLDivElement>(null);
  const [scale, setScale] = useState(1);
  const [view, setView] = useState<View>({ left: 0, top: 0, right: width, bottom: height });

  const readView = () => {
    const { scrollLeft = 0, scrollTop = 0, clientWidth = 0, clientHeight = 0 } = frame.current ?? {};
    setView({
      left: scrollLeft / scale,
      top: scrollTop / scale,
      right: (scrollLeft + clientWidth) / scale,
      bottom: (scrollTop + clientHeight) / scale,
    });
  };
  const fit = () => {
    const { clientWidth = width } = frame.current ?? {};
    setScale(clamp(Math.min((clientWidth - 2) / width, LARGEST_FIT), 0.55));
  };
  const zoom = (factor: number) => setScale((before) => clamp(before * factor, LEAST));

  useLayoutEffect(fit, [width, height]);
  useEffect(readView, [scale, width, height]);
  useEffect(() => {
    const observer = new ResizeObserver(readView);
    if (frame.current) observer.observe(frame.current);
    return () => observer.disconnect();
  }, [scale]);
  useEffect(() => {
    if (target && frame.current) scrollTo(frame.current, target, scale);
  }, [target?.x, target?.y]);

  return (
    <div class="canvas">
      <div class="canvas-frame" ref={frame} onScroll={readView}>
        <svg width={width * scale} height={height * scale} viewBox={`0 0 ${width} ${height}`} role="group" aria-label={label}>
          {children(view)}
        </svg>
      </div>
      <div class="canvas-tools">
        <Tool name="minus" label="Zoom out" onClick={() => zoom(1 / STEP)} />
        <Tool name="fit" label="Fit to the page" onClick={fit} />
        <Tool name="plus" label="Zoom in" onClick={() => zoom(STEP)} />
      </div>
    </div>
  );
}

function Tool({ name, label, onClick }: { name: "plus" | "minus" | "fit"; label: string; onClick: () => void }) {
  return (
    <button type="button" class="icon-only small" aria-label={label} title={label} onClick={onClick}>
      <Icon name={name} />
    </button>
  );
}

function clamp(scale: number, least: number): number {
  return Math.min(Math.max(scale, least), MOST);
}

function scrollTo(frame: HTMLElement, { x, y, width, height }: Area, scale: number): void {
  const margin = 24;
  const isInView =
    x * scale >= frame.scrollLeft &&
    (x + width) * scale <= frame.scrollLeft + frame.clientWidth &&
    y * scale >= frame.scrollTop &&
    (y + height) * scale <= frame.scrollTop + frame.clientHeight;
  if (isInView) return;
  frame.scrollTo({
    left: Math.max((x + width / 2) * scale - frame.clientWidth / 2, 0),
    top: Math.max(y * scale - margin - frame.clientHeight / 3, 0),
  });
}
