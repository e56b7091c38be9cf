// Does the slot that it is asked for: `/?name=verify.cold.w6&count=1000`.
import biscuit from "./biscuit.wasm";
import ours from "./keyward_bench_bg.wasm";
import keyward from "./keyward/keyward_bg.wasm";
import sodium from "./sodium.wasm";
import { slot } from "./slots.js";

export default {
  async fetch(request) {
    const { searchParams } = new URL(request.url);
    try {
      await slot({ ours, keyward, biscuit, sodium }, searchParams.get("name"), Number(searchParams.get("count")));
      return new Response("done");
    } catch (error) {
      return new Response(error.stack ?? String(error), { status: 500 });
    }
  },
};
