// Does a slot for each line `NAME COUNT` that it reads, and answers `done`.
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { slot } from "./slots.js";

// Standard output is for answers alone; biscuit greets there.
console.log = console.error;

const module = async (name) => WebAssembly.compile(await readFile(new URL(name, import.meta.url)));
const modules = {
  ours: await module("keyward_bench_bg.wasm"),
  keyward: await module("keyward/keyward_bg.wasm"),
  biscuit: await module("biscuit.wasm"),
  sodium: await module("sodium.wasm"),
};

for await (const line of createInterface({ input: process.stdin })) {
  const [name, count] = line.split(" ");
  await slot(modules, name, Number(count));
  process.stdout.write("done\n");
}
