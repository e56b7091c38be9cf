// Times verification in wasm, in Node and in workerd, against dalek in the same module and `crypto.subtle.verify` in the
// same runtime. Prints a JSON object a line.
//
//   for flag in -simd128 +simd128: RUSTFLAGS="-C target-feature=$flag" cargo build --profile wasm \
//     -p keyward-known-key --example bench --target wasm32-wasip1 --target-dir DIR
//   node crates/known-key/examples/bench.mjs DIR_WITHOUT/.../bench.wasm DIR_WITH/.../bench.wasm [path of workerd]
//
// workerd's clock stands still during a computation, so slots are measured from outside, as requests. What is measured is
// the CPU time of the process, where Linux tells it: it doesn't mind what else the machine does.
import { spawn } from "node:child_process";
import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer as listen } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [plain, simd, workerd] = process.argv.slice(2);
const ROUNDS = Number(process.env.ROUNDS ?? 21);

/// A worker (and a module for Node) that does one slot: `?module=simd&name=verify.cold.w6&count=1000`.
const slotSource = `
// As much of WASI as a Rust program needs to start, and to say why it stopped.
function run(module, args) {
  let memory, said = "";
  const encoder = new TextEncoder(), decoder = new TextDecoder();
  const view = () => new DataView(memory.buffer);
  const encoded = args.map((arg) => encoder.encode(arg + "\\0"));
  const imports = {
    args_sizes_get(count, size) {
      view().setUint32(count, encoded.length, true);
      view().setUint32(size, encoded.reduce((sum, arg) => sum + arg.length, 0), true);
      return 0;
    },
    args_get(pointers, buffer) {
      for (const arg of encoded) {
        view().setUint32(pointers, buffer, true);
        new Uint8Array(memory.buffer, buffer, arg.length).set(arg);
        pointers += 4;
        buffer += arg.length;
      }
      return 0;
    },
    environ_sizes_get(count, size) { view().setUint32(count, 0, true); view().setUint32(size, 0, true); return 0; },
    environ_get() { return 0; },
    clock_time_get(id, precision, time) { view().setBigUint64(time, 0n, true); return 0; },
    fd_write(fd, vectors, count, written) {
      let total = 0;
      for (let i = 0; i < count; i++) {
        const length = view().getUint32(vectors + 8 * i + 4, true);
        said += decoder.decode(new Uint8Array(memory.buffer, view().getUint32(vectors + 8 * i, true), length));
        total += length;
      }
      view().setUint32(written, total, true);
      return 0;
    },
    proc_exit(code) { throw new Error("exit " + code); },
    random_get(pointer, length) { return 0; },
  };
  const missing = { get: (known, name) => known[name] ?? (() => 52) };
  const instance = new WebAssembly.Instance(module, { wasi_snapshot_preview1: new Proxy(imports, missing) });
  memory = instance.exports.memory;
  try { instance.exports._start(); } catch (error) { throw new Error(said || error); }
}

// As long as what the program in wasm verifies.
const message = new Uint8Array(55);
let key, signature;

export async function slot(modules, query) {
  const name = query.get("name"), count = Number(query.get("count"));
  if (name !== "webcrypto") return run(modules[query.get("module")], ["bench", name, String(count)]);
  if (!signature) {
    const pair = await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]);
    key = pair.publicKey;
    signature = await crypto.subtle.sign("Ed25519", pair.privateKey, message);
  }
  for (let i = 0; i < count; i++) {
    if (!(await crypto.subtle.verify("Ed25519", key, signature, message))) throw new Error("refused");
  }
}
`;

const workerSource = `
import plain from "plain.wasm";
import simd from "simd.wasm";
import { slot } from "slot.mjs";
export default {
  async fetch(request) {
    await slot({ plain, simd }, new URL(request.url).searchParams);
    return new Response("done");
  },
};
`;

const config = (port) => `
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = (
    modules = [
      (name = "worker.mjs", esModule = embed "worker.mjs"),
      (name = "slot.mjs", esModule = embed "slot.mjs"),
      (name = "plain.wasm", wasm = embed "plain.wasm"),
      (name = "simd.wasm", wasm = embed "simd.wasm"),
    ],
    compatibilityDate = "2026-04-01",
  ))],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
);
`;

const CONTENDERS = [
  ["verify.cold.w6", "simd", "verify.cold.w6", 2000],
  ["verify.cold.w8", "simd", "verify.cold.w8", 2000],
  ["verify.cold.w6.portable", "plain", "verify.cold.w6", 1500],
  ["verify.cold.w8.portable", "plain", "verify.cold.w8", 1500],
  ["dalek", "simd", "dalek", 400],
  ["dalek.portable", "plain", "dalek", 400],
  ["webcrypto", "none", "webcrypto", 600],
];

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

/// Milliseconds that a process has computed, over all of its threads; else the time of day.
async function cpuTime(pid) {
  try {
    const threads = await readdir(`/proc/${pid}/task`);
    const stats = await Promise.all(threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/schedstat`, "utf8")));
    return stats.reduce((sum, stat) => sum + Number(stat.split(" ")[0]), 0) / 1e6;
  } catch {
    return performance.now();
  }
}

/// Microseconds a verification: a slot's time without that of an empty slot, which builds the same tables.
async function measure(runtime, pid, slot) {
  const times = new Map(CONTENDERS.map(([name]) => [name, []]));
  const timed = async (...slotOf) => {
    const start = await cpuTime(pid);
    await slot(...slotOf);
    return (await cpuTime(pid)) - start;
  };
  for (let round = -2; round < ROUNDS; round++) {
    for (const [name, module, contender, count] of CONTENDERS) {
      // One verification, rather than none: it builds the tables.
      const empty = await timed(module, contender, 1);
      const full = await timed(module, contender, count + 1);
      if (round >= 0) times.get(name).push(((full - empty) * 1000) / count);
    }
  }
  for (const against of ["dalek", "dalek.portable", "webcrypto"]) {
    for (const [name] of CONTENDERS.filter(([name]) => name.startsWith("verify"))) {
      const [value, theirs] = [median(times.get(name)), median(times.get(against))];
      const rounded = (number) => Number(number.toFixed(2));
      console.log(JSON.stringify({ name, against, ratio: rounded(theirs / value), value: rounded(value), unit: "us", runtime }));
    }
  }
}

const directory = await mkdtemp(join(tmpdir(), "known-key-bench-"));
try {
  await Promise.all([
    copyFile(plain, join(directory, "plain.wasm")),
    copyFile(simd, join(directory, "simd.wasm")),
    writeFile(join(directory, "slot.mjs"), slotSource),
    writeFile(join(directory, "worker.mjs"), workerSource),
  ]);
  const { slot } = await import(join(directory, "slot.mjs"));
  const modules = {
    plain: await WebAssembly.compile(await readFile(plain)),
    simd: await WebAssembly.compile(await readFile(simd)),
  };
  await measure("node", process.pid, (module, name, count) => slot(modules, new URLSearchParams({ module, name, count })));
  if (workerd) await inWorkerd(workerd, (pid, slotOf) => measure("workerd", pid, slotOf));
} finally {
  await rm(directory, { recursive: true });
}

async function inWorkerd(program, use) {
  const port = await freePort();
  await writeFile(join(directory, "config.capnp"), config(port));
  const server = spawn(program, ["serve", join(directory, "config.capnp")], { stdio: ["ignore", "inherit", "inherit"] });
  try {
    const fetchSlot = async (module, name, count) => {
      const response = await fetch(`http://127.0.0.1:${port}/?${new URLSearchParams({ module, name, count })}`);
      if (!response.ok) throw new Error(await response.text());
      await response.text();
    };
    for (let left = 200; ; left--) {
      try {
        await fetchSlot("none", "webcrypto", 1);
        break;
      } catch (error) {
        if (left === 0 || server.exitCode !== null) throw error;
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
    }
    await use(server.pid, fetchSlot);
  } finally {
    server.kill("SIGKILL");
  }
}

function freePort() {
  return new Promise((resolve) => {
    const server = listen().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
