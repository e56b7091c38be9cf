import { Empty } from "../../ui/empty";

export default function Keys() {
  return (
    <div class="page">
      <h1>Keys</h1>
      <Empty title="No keys yet">A key is what a program presents at the edge.</Empty>
    </div>
  );
}
