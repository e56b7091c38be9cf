// Why requests are refused, in a sentence each.
const WORDS: Record<string, string> = {
  path_refused: "The path has no normal form: upstreams would disagree on what it names.",
  no_route: "The edge has no route for this.",
  endpoint_not_allowed: "The key isn't for this endpoint.",
  endpoint_blocked: "The endpoint is among those that are refused.",
  address_not_allowed: "Not from this address, or the address isn't known.",
  domain_not_allowed: "Not from a page of this host, or it isn't known.",
  tls_required: "Only over TLS.",
  capability_missing: "The key can't do what the route asks for.",
  constraint_unknown: "A constraint is of a kind that the core doesn't know.",
};

export function reasonWords(code: string): string {
  return WORDS[code] ?? "";
}
