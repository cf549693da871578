/** Numbers, times and words as the page writes them. */

const WHOLE = new Intl.NumberFormat("en");
const SHORT = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
const LARGE = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const RATIO = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const EXACT = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** A whole number with thousands apart. */
export const whole = (n) => WHOLE.format(n);

/** A response: about four digits; a dash where there is none. */
export function value(v) {
  if (v === null || v === undefined) return "–";
  const size = Math.abs(v);
  const plain = size === 0 || (size >= 1e-3 && size < 1e6);
  const text = plain ? (size >= 1000 ? LARGE : SHORT).format(v) : v.toExponential(2);
  return text.replaceAll("-", "\u2212");
}

/** A mean and its standard error, such as "4.12 ± 0.15"; the mean alone where there is none. */
export function withError(v, error) {
  const known = v !== null && v !== undefined && error !== null && error !== undefined;
  return known ? `${value(v)} ± ${value(Number(error.toPrecision(2)))}` : value(v);
}

/** What the highest value is called: where stimuli are shown more than once, some of it is luck. */
export const highest = ({ noisy }) => (noisy ? "highest" : "best");

/** A response beside the natural maximum, such as "1.29 × natural maximum"; "" where there is none to compare with. */
export function compared(v, natural) {
  const known = v !== null && v !== undefined && natural > 0;
  return known ? `${RATIO.format(v / natural)} × natural maximum`.replaceAll("-", "\u2212") : "";
}

/** "1 trial", "2 trials". */
export const count = (n, noun) => `${whole(n)} ${noun}${n === 1 ? "" : "s"}`;

/** A share, 0 to 1, in per cent. */
export const share = (s) => `${s > 0 && s < 0.01 ? "< 1" : Math.round(100 * s)}\u00a0%`;

/** Seconds as "1:05" to count down; negative ones as 0:00. */
export function countdown(seconds) {
  const left = Math.max(0, Math.ceil(seconds));
  const clock = `${Math.floor(left / 60) % 60}:${String(left % 60).padStart(2, "0")}`;
  return left < 3600 ? clock : `${Math.floor(left / 3600)}:${clock.padStart(5, "0")}`;
}

/** Seconds as a rough length of time. */
export function length(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${whole(Math.round(hours / 24))} days`;
}

/** Trials in a second, in the unit that reads best. */
export function rate(perSecond) {
  if (perSecond >= 2) return `${SHORT.format(Number(perSecond.toPrecision(3)))} trials/s`;
  if (perSecond >= 1 / 60) return `${SHORT.format(Number((60 * perSecond).toPrecision(3)))} trials/min`;
  return `${SHORT.format(Number((3600 * perSecond).toPrecision(2)))} trials/h`;
}

/** Seconds since 1970 as a time of today, or with its day. */
export const moment = (seconds) => clock(seconds, CLOCK);

/** A moment with its second. */
export const instant = (seconds) => clock(seconds, EXACT);

function clock(seconds, format) {
  if (seconds === null || seconds === undefined) return "–";
  const date = new Date(1000 * seconds);
  const today = date.toDateString() === new Date().toDateString();
  return today ? format.format(date) : `${DAY.format(date)}, ${format.format(date)}`;
}

/** What a trial without a picture of its own is called. */
export function outcome(trial) {
  return trial.state === "done" ? `value ${value(trial.value)}` : trial.state;
}

/** The name of the responses' axis; a study may say its unit in its meta. */
export function quantity(study) {
  const unit = study.meta?.unit;
  return typeof unit === "string" && unit ? `response (${unit})` : "response";
}
