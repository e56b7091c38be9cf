// Requests over time, by what became of them.
import { useMemo } from "preact/hooks";
import type { Point } from "../api/types";
import { Chart } from "./chart";

export function Outcomes({ label, points }: { label: string; points: readonly Point[] }) {
  const times = useMemo(() => points.map((point) => Date.parse(point.start) / 1000), [points]);
  const lines = useMemo(
    () => [
      { label: "Passed", ink: "good" as const, values: points.map((point) => point.requests - point.refused - point.errors) },
      { label: "Refused", ink: "bad" as const, values: points.map((point) => point.refused) },
      { label: "Upstream errors", ink: "warn" as const, values: points.map((point) => point.errors) },
    ],
    [points],
  );
  return <Chart label={label} times={times} series={lines} />;
}
