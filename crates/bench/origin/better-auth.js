// better-auth with its API keys, behind HTTP as ours is, on the Postgres in DATABASE_URL. Prints its address when it
// listens. Its keys have room for any number of requests, so that counting is measured and not refusing.
import { createServer } from "node:http";
import { apiKey } from "@better-auth/api-key";
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import pg from "pg";

const MUCH = 1_000_000_000;
const HOUR_MS = 3_600_000;

const options = {
  baseURL: "http://127.0.0.1",
  secret: "a secret of this benchmark alone, of some length",
  database: new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 24 }),
  emailAndPassword: { enabled: true },
  logger: { disabled: true },
  telemetry: { enabled: false },
  plugins: [apiKey({ rateLimit: { enabled: true, timeWindow: HOUR_MS, maxRequests: MUCH } })],
};
const auth = betterAuth(options);
await (await getMigrations(options)).runMigrations();
const body = { email: "bench@example.com", password: "a password of some length", name: "bench" };
const { user } = await auth.api.signUpEmail({ body });

// A key with a rate limit, or one with a quota (`remaining`) beside it.
const create = (members) => auth.api.createApiKey({ body: { userId: user.id, name: "bench", ...members } });
const calls = {
  "/create": () => create({}),
  "/create-with-quota": () => create({ remaining: MUCH }),
  "/verify": ({ key }) => auth.api.verifyApiKey({ body: { key } }),
  "/disable": ({ id }) => auth.api.updateApiKey({ body: { keyId: id, userId: user.id, enabled: false } }),
};

const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  try {
    const answer = await calls[request.url](chunks.length ? JSON.parse(Buffer.concat(chunks)) : {});
    const text = JSON.stringify(answer);
    response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(text) }).end(text);
  } catch (error) {
    response.writeHead(500).end(String(error));
  }
});
server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1", () => console.log(`ready ${server.address().port}`));
