// Times and durations for people, in the time zone and language of the browser.
import { signal } from "@preact/signals";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** The current time, in milliseconds, once a second: countdowns read it. */
export const now = signal(Date.now());
setInterval(() => {
  if (!document.hidden) now.value = Date.now();
}, SECOND);

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
const numbers = new Intl.NumberFormat();

/** Return a number with separators. */
export function formatNumber(value: number): string {
  return numbers.format(value);
}

/** Return a number with its noun: `1 step`, `3 steps`. */
export function formatCount(value: number, noun: string): string {
  return `${formatNumber(value)} ${noun}${value === 1 ? "" : "s"}`;
}

/** Return a duration with two units at most: `4.2 s`, `12 min`, `6 d 2 h`. */
export function formatDuration(milliseconds: number): string {
  const value = Math.max(milliseconds, 0);
  if (value < SECOND) return `${Math.round(value)} ms`;
  if (value < 10 * SECOND) return `${(value / SECOND).toFixed(1)} s`;
  if (value < MINUTE) return `${Math.floor(value / SECOND)} s`;
  if (value < HOUR) return formatPair(value, MINUTE, "min", SECOND, "s", 10);
  if (value < DAY) return formatPair(value, HOUR, "h", MINUTE, "min", 10);
  return formatPair(value, DAY, "d", HOUR, "h", 30);
}

function formatPair(value: number, unit: number, name: string, part: number, partName: string, most: number): string {
  const whole = Math.floor(value / unit);
  const rest = Math.floor((value % unit) / part);
  return whole < most && rest ? `${whole} ${name} ${rest} ${partName}` : `${whole} ${name}`;
}

/** Return a moment as people say it today: `12:03:11`, with the day before it unless it is today. */
export function formatMoment(time: string): string {
  const moment = new Date(time);
  const isToday = moment.toDateString() === new Date(now.peek()).toDateString();
  return isToday ? clock.format(moment) : `${day.format(moment)}, ${clock.format(moment)}`;
}

/** A moment, with the full date in its title. */
export function Moment({ time }: { time: string }) {
  return (
    <time dateTime={time} title={full.format(new Date(time))}>
      {formatMoment(time)}
    </time>
  );
}

/** The time since a moment, counting. */
export function Since({ time }: { time: string }) {
  return <>{formatDuration(now.value - Date.parse(time))}</>;
}

/** The time until a moment, counting down; "now" once it has passed. */
export function Until({ time }: { time: string }) {
  const left = Date.parse(time) - now.value;
  return <>{left > 0 ? `in ${formatDuration(left)}` : "now"}</>;
}
