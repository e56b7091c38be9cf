// What goes on: requests and refusals over time, what is about to end, how fresh edges are, and decisions as they come.
import "../../styles/overview.css";
import { useSearchParams } from "wouter-preact";
import { Choice } from "../../ui/field";
import { Expiring } from "./expiring";
import { Freshness } from "./freshness";
import { LiveTail } from "./tail";
import { Traffic } from "./traffic";

const RANGES = [["1", "Today (UTC)"], ["7", "7 days"], ["30", "30 days"]] as const;
type Range = (typeof RANGES)[number][0];

export default function Overview() {
  const [params, setParams] = useSearchParams();
  const range = RANGES.find(([days]) => days === params.get("days"))?.[0] ?? "1";
  const choose = (days: Range) => setParams((now) => (now.set("days", days), now), { replace: true });
  return (
    <div class="page">
      <div class="page-head">
        <h1>Overview</h1>
        <Choice label="Range" quiet value={range} options={RANGES} onChange={choose} />
      </div>
      <Traffic days={Number(range)} />
      <div class="columns">
        <Expiring />
        <Freshness />
      </div>
      <LiveTail />
    </div>
  );
}
