// Checks capability tokens as a service does that has never heard of Keyward: npm `jose`, the JWKS and the status lists.
// `node tokens.mjs`, told by the environment: ISSUER, and TOKENS, a JSON object of tokens (they have no place in a
// command line). Prints what it makes of each as JSON.
import { inflateSync } from "node:zlib";
import { createRemoteJWKSet, jwtVerify } from "jose";

const { ISSUER, TOKENS } = process.env;
const metadata = await (await fetch(`${ISSUER}/.well-known/oauth-authorization-server`)).json();
if (metadata.issuer !== ISSUER) throw new Error(`the metadata is of ${metadata.issuer}`);
const keys = createRemoteJWKSet(new URL(metadata.jwks_uri));

const lists = new Map();
async function status({ idx, uri }) {
  if (!lists.has(uri)) {
    const text = await (await fetch(uri)).text();
    const { payload } = await jwtVerify(text, keys, { typ: "statuslist+jwt", algorithms: ["EdDSA"], subject: uri });
    const { bits, lst } = payload.status_list;
    lists.set(uri, { bits, bytes: inflateSync(Buffer.from(lst, "base64url")) });
  }
  const { bits, bytes } = lists.get(uri);
  return (bytes[Math.floor((idx * bits) / 8)] >> ((idx * bits) % 8)) & ((1 << bits) - 1);
}

const found = {};
for (const [name, token] of Object.entries(JSON.parse(TOKENS))) {
  try {
    const { payload } = await jwtVerify(token, keys, { issuer: ISSUER, audience: ISSUER, typ: "at+jwt", algorithms: ["EdDSA"] });
    found[name] = { claims: payload, status: await status(payload.status.status_list) };
  } catch (error) {
    found[name] = { error: error.code ?? String(error) };
  }
}
console.log(JSON.stringify(found));
