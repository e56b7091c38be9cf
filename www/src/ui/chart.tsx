// Charts over time, drawn by uPlot, which is loaded when there is something to draw.
import { useEffect, useRef } from "preact/hooks";
import type uPlot from "uplot";
import { useTheme } from "./theme";

/** A colour of the theme: `good` is `--good`. */
export type Ink = "accent" | "good" | "bad" | "warn" | "info" | "faint";

export interface Series {
  readonly label: string;
  readonly ink: Ink;
  /** As many as there are times. */
  readonly values: readonly number[];
}

interface Props {
  /** What it shows: its caption, and its name to a screen reader. */
  label: string;
  /** Unix seconds, in order. */
  times: readonly number[];
  series: readonly Series[];
  height?: number;
}

export function Chart({ label, times, series, height = 180 }: Props) {
  const frame = useRef<HTMLDivElement>(null);
  const theme = useTheme();
  useEffect(() => {
    const element = frame.current;
    if (!element) return;
    let plot: uPlot | undefined;
    let left = false;
    const fit = new ResizeObserver(() => plot?.setSize({ width: element.clientWidth, height }));
    void draw(element, times, series, height).then((drawn) => {
      if (left) return drawn.destroy();
      plot = drawn;
      fit.observe(element);
    });
    return () => {
      left = true;
      fit.disconnect();
      plot?.destroy();
    };
  }, [times, series, height, theme]);
  return (
    <figure class="chart">
      <figcaption>{label}</figcaption>
      <div ref={frame} role="img" aria-label={`${label}: ${series.map(sum).join(", ")}`} />
    </figure>
  );
}

function sum({ label, values }: Series): string {
  return `${values.reduce((total, value) => total + value, 0).toLocaleString()} ${label.toLowerCase()}`;
}

async function draw(element: HTMLElement, times: Props["times"], series: Props["series"], height: number): Promise<uPlot> {
  const [{ default: Plot }] = await Promise.all([import("uplot"), import("uplot/dist/uPlot.min.css")]);
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => resolved(style.getPropertyValue(`--${name}`));
  const axis = { stroke: colour("faint"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false } };
  // What is counted comes whole: between two there is nothing to name.
  const count = (tick: number) => (Number.isInteger(tick) ? short(tick) : "");
  const daily = isDaily(times);
  const options: uPlot.Options = {
    // A day is counted in UTC, wherever it is looked at.
    ...(daily && { tzDate: (at: number) => Plot.tzDate(new Date(at * 1000), "Etc/UTC") }),
    width: element.clientWidth,
    height,
    cursor: { drag: { x: false, y: false } },
    axes: [
      { ...axis, size: 30, values: (_, ticks, __, ___, step) => ticks.map((tick) => clock(tick, step, daily)) },
      { ...axis, size: 56, values: (_, ticks) => ticks.map(count) },
    ],
    scales: { y: { range: (_, __, most) => [0, Math.max(1, most * 1.1)] } },
    series: [
      { value: (_, at) => (at == null ? "–" : named(at, daily)) },
      ...series.map(({ label, ink }) => ({
        label,
        stroke: colour(ink),
        width: 1.5,
        points: { show: times.length < 3 },
        value: (_: uPlot, value: number | null) => (value == null ? "–" : value.toLocaleString()),
      })),
    ],
  };
  return new Plot(options, [[...times], ...series.map(({ values }) => [...values])] as uPlot.AlignedData, element);
}

/** `light-dark(a, b)` as the colour that it is now: a canvas doesn't know the theme. */
function resolved(value: string): string {
  const probe = document.createElement("span");
  probe.style.color = value;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}

/** Whether there is a time a day, each the beginning of one. */
function isDaily(times: Props["times"]): boolean {
  return times.length > 0 && times.every((time) => time % 86_400 === 0);
}

/** What the pointer is at. */
function named(seconds: number, daily: boolean): string {
  const moment = new Date(seconds * 1000);
  if (daily) return `${moment.toLocaleDateString(undefined, { dateStyle: "medium", timeZone: "UTC" })} (UTC)`;
  return moment.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

/** A moment below the chart: the day, and within days the hour. */
function clock(seconds: number, step: number, daily: boolean): string {
  const moment = new Date(seconds * 1000);
  if (daily) return moment.toLocaleString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
  const day = (moment.getHours() === 0 && moment.getMinutes() === 0) || step >= 86_400;
  return moment.toLocaleString("en-GB", day ? { day: "numeric", month: "short" } : { hour: "2-digit", minute: "2-digit" });
}

const SHORT = new Intl.NumberFormat("en", { notation: "compact" });

/** `12K`. */
export function short(value: number): string {
  return SHORT.format(value);
}
