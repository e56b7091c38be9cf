// Writes the WebAssembly that libsodium carries within its script: `node extract.mjs FILE`.
import { writeFile } from "node:fs/promises";

const { instantiate } = WebAssembly;
const compiled = new Promise((resolve) => {
  WebAssembly.instantiate = (bytes, imports) => {
    resolve(bytes);
    return instantiate(bytes, imports);
  };
});
await import("libsodium-wrappers");
await writeFile(process.argv[2], await compiled);
