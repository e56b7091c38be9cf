// Runs the crate's tests in wasm under Node, without simd128 and with it. Needs the target wasm32-wasip1.
//
//   node crates/known-key/tests/wasm.mjs [arguments for the test programs]
//
// CARGO_ARGS has further arguments for Cargo. The long campaign is `cargo xtask soak sameness`.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const runner = fileURLToPath(new URL("wasi.mjs", import.meta.url));
const manifest = fileURLToPath(new URL("../Cargo.toml", import.meta.url));
const options = (process.env.CARGO_ARGS ?? "").split(" ").filter(Boolean);
const target = "wasm32-wasip1";

for (const simd of ["-simd128", "+simd128"]) {
  console.log(`known-key in wasm, ${simd}`);
  const { status } = spawnSync(
    "cargo",
    ["test", "--manifest-path", manifest, "--target", target, "--lib", "--tests", ...options, "--", ...process.argv.slice(2)],
    {
      stdio: "inherit",
      env: {
        ...process.env,
        CARGO_TARGET_WASM32_WASIP1_RUNNER: `node --no-warnings ${runner}`,
        CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS: `-C target-feature=${simd}`,
      },
    },
  );
  if (status !== 0) process.exit(status ?? 1);
}
