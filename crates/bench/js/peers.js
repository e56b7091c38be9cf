// Other implementations, as their documentation has them used. A contender verifies the sample of that number, and tells
// whether it holds.
import * as noble from "@noble/ed25519";
import { ed25519 as curves } from "@noble/curves/ed25519.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { SignJWT, jwtVerify } from "jose";
import sodium from "libsodium-wrappers";
// What its entry does with a WebAssembly module that it imports itself, which only bundlers do for it, is done below.
import * as biscuit from "./node_modules/@biscuit-auth/biscuit-wasm/module/biscuit_bg.js";

// Resolved when all of them are there.
export const ready = () => sodium.ready;

// Those that verify a signature over a message of 55 bytes. `samples`: `public`, and lists of `messages` and `signatures`.
export async function signatures({ public: key, messages, signatures }) {
  noble.hashes.sha512 = sha512;
  const imported = await crypto.subtle.importKey("raw", key, "Ed25519", false, ["verify"]);
  return {
    later: {
      webcrypto: (i) => crypto.subtle.verify("Ed25519", imported, signatures[i], messages[i]),
    },
    now: {
      "noble-ed25519": (i) => noble.verify(signatures[i], messages[i], key),
      "noble-curves": (i) => curves.verify(signatures[i], messages[i], key),
      libsodium: (i) => sodium.crypto_sign_verify_detached(signatures[i], messages[i], key),
    },
  };
}

// Those that take a token's text the whole way.
export async function tokens(biscuitModule, count) {
  const { verifies, authorizes } = { verifies: await jose(count), authorizes: biscuits(biscuitModule, count) };
  return { later: { jose: verifies }, now: { biscuit: authorizes } };
}

// A JWT that says as much as an API key does.
async function jose(count) {
  const { privateKey, publicKey } = await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]);
  const given = { algorithms: ["EdDSA"], issuer: "https://keys.example.com", audience: "https://edge.example.com" };
  const texts = [];
  for (let n = 0; n < count; n++) {
    const token = new SignJWT({ jti: crypto.randomUUID(), policy: n }).setProtectedHeader({ alg: "EdDSA" }).setSubject("user");
    texts.push(await token.setIssuer(given.issuer).setAudience(given.audience).setExpirationTime("1h").sign(privateKey));
  }
  return async (i) => (await jwtVerify(texts[i], publicKey, given)).payload.policy === i;
}

// A token of one fact, and a policy of one condition, parsed beforehand.
function biscuits(module, count) {
  const functions = { performance_now: () => performance.now() };
  const imports = Object.fromEntries(
    WebAssembly.Module.imports(module).map(({ module: from }) => [from, from === "./biscuit_bg.js" ? biscuit : functions]),
  );
  const { exports } = new WebAssembly.Instance(module, imports);
  biscuit.__wbg_set_wasm(exports);
  exports.__wbindgen_start();

  const root = new biscuit.KeyPair(biscuit.SignatureAlgorithm.Ed25519);
  const texts = [];
  for (let n = 0; n < count; n++) {
    const builder = biscuit.Biscuit.builder();
    builder.addFact(biscuit.Fact.fromString(`user("${n}")`));
    texts.push(builder.build(root.getPrivateKey()).toBase64());
  }
  const key = root.getPublicKey();
  const policy = biscuit.Policy.fromString("allow if user($user)");
  // A busy machine may stop it for longer than the millisecond that it grants itself.
  const limits = { max_facts: 100, max_iterations: 100, max_time_micro: 1_000_000 };
  return (i) => {
    const token = biscuit.Biscuit.fromBase64(texts[i], key);
    const builder = new biscuit.AuthorizerBuilder();
    builder.addPolicy(policy);
    const authorizer = builder.buildAuthenticated(token);
    const first = authorizer.authorizeWithLimits(limits);
    authorizer.free();
    token.free();
    return first === 0;
  };
}
