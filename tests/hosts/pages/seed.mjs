// A deployment as it might be after some weeks: keys of several owners and kinds, used by day and hour, some of them
// suspended, rotated, revoked. The same every time, but for ids and the time of day.
import { randomBytes } from "node:crypto";

const DAY = 24 * 3600_000;
const OWNERS = ["team-billing", "team-chat", "team-search", "ann", "partner-acme"];
const KEYS = [
  { name: "billing exporter", owner_id: "team-billing", capabilities: ["rag:search"], expires_in_days: 365, rotation_period_days: 90 },
  { name: "chat frontend", owner_id: "team-chat", scope: "tenant", capabilities: ["llm:gpt-4", "llm:claude-sonnet"], allowed_domains: ["*.example.com"] },
  { name: "nightly reindex", owner_id: "team-search", capabilities: ["rag:*"], allowed_ips: ["10.20.0.0/16"], expires_in_days: null },
  { name: "Acme integration", owner_id: "partner-acme", capabilities: ["rag:search", "external:slack"], allowed_endpoints: ["POST /v1/search", "GET /v1/documents/**"], blocked_endpoints: ["GET /v1/documents/private/**"], expires_in_days: 30 },
  { name: "mobile app", owner_id: "team-chat", capabilities: ["llm:gpt-4", "image:dall-e"], rate_limit_per_hour: 200, expires_in_days: 90 },
  { name: "data science notebook", owner_id: "ann", capabilities: ["embedding:openai", "rag:search"], expires_in_days: 7 },
  { name: "smoke tests", owner_id: "ann", environment: "test", capabilities: ["rag:search"], expires_in_days: 365 },
  { name: "support desk", owner_id: "team-chat", capabilities: ["rag:search", "automation:execute"], expires_in_days: 180 },
  { name: "webhook relay", owner_id: "team-billing", capabilities: ["automation:webhooks"], expires_in_days: 365 },
  { name: "search gateway", owner_id: "team-search", scope: "tenant", capabilities: ["rag:search", "rag:upload"], daily_quota: "unlimited", expires_in_days: null },
  { name: "monthly report", owner_id: "team-billing", capabilities: ["rag:search"], expires_in_days: 14 },
  { name: "old importer", owner_id: "team-search", capabilities: ["rag:upload"], expires_in_days: 60 },
];
const ENDPOINTS = ["POST /v1/chat/**", "POST /v1/search", "GET /v1/documents/**", "GET /v1/me"];

/** Makes it, with requests through a real edge where there is one; answers with the keys as they were created. */
export async function seed({ page, key, edge, through, more = 0 }) {
  const call = async (method, path, body, bearer = key) => {
    const headers = { authorization: `Bearer ${bearer}`, "content-type": "application/json" };
    const response = await fetch(page + path, { method, headers, body: body && JSON.stringify(body) });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response.status === 204 ? undefined : response.json();
  };
  const made = [];
  for (const body of KEYS) made.push(await call("POST", "/api/v1/api-keys", body));
  for (let at = 0; at < more; at += 500) {
    const keys = Array.from({ length: Math.min(500, more - at) }, (_, n) => ({ name: `worker ${at + n + 1}`, owner_id: OWNERS[n % OWNERS.length], capabilities: ["rag:search"] }));
    await call("POST", "/api/v1/api-keys/bulk/create", { keys });
  }
  for (const [slug, name] of [["acme", "Acme"], ["acme-eu", "Acme Europe"]]) await call("POST", "/api/v1/tenants", { slug, name });
  for (const [value, label] of [["invoices:read", "Read invoices"], ["invoices:send", "Send invoices"]]) {
    await call("POST", "/api/v1/api-keys/catalog/capabilities", { value, label, category: "Billing" });
  }
  const ids = made.map(({ api_key }) => api_key.id);
  await call("POST", "/edge/v1/usage", use(ids), edge);
  const [billing, , , acme, mobile, , , , webhook, , , old] = ids;
  await call("PATCH", `/api/v1/api-keys/${billing}`, { rate_limit_per_hour: 2000, description: "Fetches the invoices of the day, every night at two." });
  const { new_raw_key } = await call("POST", `/api/v1/api-keys/${mobile}/rotate`, { overlap_seconds: 7 * 86_400 });
  await call("POST", `/api/v1/api-keys/${webhook}/suspend`);
  await call("DELETE", `/api/v1/api-keys/${old}/revoke`, { reason: "Replaced by the search gateway" });
  const exchange = new URLSearchParams({
    grant_type: "urn:ietf:params:oauth:grant-type:token-exchange", subject_token_type: "urn:keyward:token-type:api-key", subject_token: made[3].raw_key,
  });
  for (let n = 0; n < 3; n++) {
    const response = await fetch(`${page}/oauth/token`, { method: "POST", body: exchange });
    if (!response.ok) throw new Error(`exchange: ${response.status} ${await response.text()}`);
  }
  if (through) await Promise.all(Array.from({ length: 60 }, (_, n) => request(through, made[n % 10].raw_key, n)));
  // Most of its users have changed over.
  const presented = (n) => (n % 5 === 0 ? made[4].raw_key : new_raw_key);
  if (through) await Promise.all(Array.from({ length: 40 }, (_, n) => request(through, presented(n), 5 * n)));
  return { made, acme, billing, mobile };
}

/** One of the requests that come all the time: most of them pass, some don't. */
async function request(edge, key, n) {
  const [method, path] = [["GET", "/echo"], ["POST", "/v1/chat/completions"], ["GET", "/v1/search/invoices"], ["GET", "/v1/nowhere"], ["GET", "/echo/orders"]][n % 5];
  const response = await fetch(edge + path, { method, headers: { authorization: `Bearer ${key}` } });
  await response.arrayBuffer();
}

/** What edges would have reported of the last two weeks; nothing may be later than a week, so that is how far it goes back. */
function use(ids) {
  const now = Date.now();
  const hour = Math.floor(now / 3600_000);
  const today = Math.floor(now / DAY);
  const entries = [];
  const callers = [];
  ids.slice(0, -1).forEach((key, which) => {
    for (let back = 0; back < 7 * 24; back += which === 4 ? 1 : which < 4 ? 3 : 12) {
      const wave = 1.2 + Math.sin(((hour - back) / 24) * 2 * Math.PI + which) + 0.3 * Math.sin(back * 7 + which * 3);
      const requests = Math.max(1, Math.round(wave * 40 * (1 + (which * 5) % 7)));
      const endpoint = ENDPOINTS[(which + back) % ENDPOINTS.length];
      const latency = [0, Math.round(requests / 8), Math.round(requests / 2), Math.round(requests / 5), Math.round(requests / 12), 0, 0, 0];
      const common = { key, hour: hour - back, endpoint };
      entries.push({ ...common, outcome: "passed", status: 2, requests, bytes_in: requests * 310, bytes_out: requests * 4200, cost: requests % 7, latency, last_ms: now - back * 3600_000 - which * 61_000 });
      if (back % 4 === 0) entries.push({ ...common, outcome: ["capability_missing", "endpoint_not_allowed", "rate_limit_exceeded"][which % 3], status: 4, requests: 1 + (requests % 11) });
      if (back % 5 === 0) entries.push({ ...common, outcome: "passed", status: 5, requests: 1 + (requests % 3) });
    }
    for (let back = 0; back < 7; back++) callers.push({ key, day: today - back, address: `203.0.113.${10 + which}`, requests: 40 + which });
    callers.push({ key, day: today, address: `2001:db8:${which}::1`, requests: 17 });
  });
  return { id: uuid7(now), entries: entries.slice(0, 2000), callers };
}

function uuid7(now) {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(now, 0, 6);
  bytes[6] = 0x70 | (bytes[6] & 0x0f);
  bytes[8] = 0x80 | (bytes[8] & 0x3f);
  const hex = bytes.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
