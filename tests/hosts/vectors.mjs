// Runs files of test vectors in WebAssembly under Node: `node vectors.mjs PACKAGE FILE…`. Prints one report a line.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [runner, ...files] = process.argv.slice(2);
const { runVectors } = await import(pathToFileURL(runner).href);
for (const file of files) console.log(runVectors(readFileSync(file, "utf8")));
