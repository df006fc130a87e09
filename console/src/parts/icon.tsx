// Icons as paths on a grid of 16, drawn with the colour of the text beside them.

export const ICONS = {
  pending: "M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11M5.2 8h.01M8 8h.01M10.8 8h.01",
  running: "M5.5 3.5v9l7-4.5z",
  waiting: "M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11M8 5v3.2l2.2 1.3",
  retrying: "M12.8 6.2A5.2 5.2 0 1 0 13.2 9M13.2 3v3.4H9.8",
  completed: "M3.5 8.6l3 3 6-6.8",
  failed: "M4.2 4.2l7.6 7.6M11.8 4.2l-7.6 7.6",
  cancelled: "M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11M4.2 11.8l7.6-7.6",
  skipped: "M3 4l5 4-5 4zM9 4l4 4-4 4",
  sun: "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6M8 1.5v1M8 13.5v1M1.5 8h1M13.5 8h1M3.4 3.4l.7.7M11.9 11.9l.7.7M3.4 12.6l.7-.7M11.9 4.1l.7-.7",
  moon: "M13 9.6A5.6 5.6 0 0 1 6.4 3a5.4 5.4 0 1 0 6.6 6.6",
  external: "M6.5 3.5H3.5v9h9v-3M9 3.5h3.5V7M12.5 3.5L7.5 8.5",
  search: "M7 2.8a4.2 4.2 0 1 0 0 8.4 4.2 4.2 0 0 0 0-8.4M10.2 10.2l3.3 3.3",
  close: "M4.2 4.2l7.6 7.6M11.8 4.2l-7.6 7.6",
  plus: "M8 3.5v9M3.5 8h9",
  minus: "M3.5 8h9",
  fit: "M3 6V3h3M10 3h3v3M13 10v3h-3M6 13H3v-3",
  warning: "M8 2.5L14 13H2zM8 6.5v3M8 11.2v.1",
  lock: "M4 7.5h8v5.5H4zM5.5 7.5V5.3a2.5 2.5 0 0 1 5 0v2.2",
} as const;

export type IconName = keyof typeof ICONS;

const FILLED: readonly IconName[] = ["running", "skipped"];

/** An icon; words beside it say the same. */
export function Icon({ name }: { name: IconName }) {
  return (
    <svg class={FILLED.includes(name) ? "icon filled" : "icon"} viewBox="0 0 16 16" aria-hidden="true">
      <path d={ICONS[name]} />
    </svg>
  );
}
