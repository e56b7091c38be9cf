// What roles, states and turns mean, for those who decide on them. docs/signing-keys.md has the same at length.
import type { SigningRole, SigningState, TurnAction } from "../../api/signing";
import type { Tone } from "../../ui/badge";

export const ROLE_WORDS: Record<SigningRole, { title: string; signs: string; root?: true }> = {
  "api-key": { title: "API keys", signs: "Every raw key. Each one names its signer and holds only while that counts." },
  token: { title: "Tokens", signs: "What keys are exchanged for: minutes long, so that its signers come and go easily." },
  policy: { title: "Policies", signs: "What keys may do. Signed anew for edges when the manifest changes." },
  feed: { title: "Feed", signs: "What edges follow: changes, snapshots and status lists. Signed anew when the manifest changes." },
  audit: { title: "Audit", signs: "Checkpoints of the audit trails. They are proved by it for as long as it isn't retired." },
  root: { title: "Root", signs: "The manifest, which says all of the above. Every edge pins it." },
};

export const STATE_WORDS: Record<SigningState, { tone: Tone; signs: string; signed: string; how: string }> = {
  "pre-published": { tone: "info", signs: "no", signed: "–", how: "Prepared: announced, so that every edge knows it before it signs." },
  active: { tone: "good", signs: "yes", signed: "counts", how: "Activated. There is one of each role." },
  "verify-only": { tone: "plain", signs: "no", signed: "counts", how: "Another one of its role was activated." },
  frozen: { tone: "bad", signs: "no", signed: "an API key where it was issued; nothing else", how: "It was compromised." },
  retired: { tone: "plain", signs: "no", signed: "counts no more", how: "Nothing needs it any more. Its private half is erased." },
};

interface Turn {
  readonly title: string;
  /** What will happen, of a key of that role. */
  readonly what: (role: SigningRole) => string;
  readonly done: string;
  readonly force: string;
}

export const TURN_WORDS: Record<Exclude<TurnAction, "freeze">, Turn> = {
  activate: {
    title: "Activate",
    what: (role) =>
      `From now on this key signs. The one that signs today goes on to count for all that it has signed${role === "api-key" ? ": customers notice nothing" : ""}. An edge that doesn't know the new key yet would refuse what it signs, which is why it has to be announced for two minutes first.`,
    done: "It signs from now on.",
    force: "Activate it although edges may not know it yet: some requests may be refused until they do",
  },
  retire: {
    title: "Retire",
    what: (role) => RETIRES[role],
    done: "It is retired.",
    force: "Retire it although what it signed is in use: that ends at once",
  },
};

const RETIRES: Record<SigningRole, string> = {
  "api-key": "No raw key that it signed passes any more, and its private half is erased. This can't be undone. It is refused while any such raw key lives.",
  token: "No token that it signed passes any more, and its private half is erased. This can't be undone. Five minutes after its successor took over no such token is left.",
  policy: "Its private half is erased. Nothing is lost: policies are signed anew.",
  feed: "Its private half is erased. Nothing is lost: what edges follow is signed anew.",
  audit: "Checkpoints that it signed prove nothing by later manifests, and its private half is erased. This can't be undone. Who kept the manifest of the time can still prove them.",
  root: "It isn't the next root any more.",
};

/** Of a freeze: what a thief could have done, what changes for customers, what is left to do. */
export const FREEZE_WORDS: Partial<Record<SigningRole, { thief: string; customers: string; next: readonly string[] }>> = {
  "api-key": {
    thief: "Make keys that look genuine, of any owner and policy.",
    customers: "Nothing, for those with real keys: each one passes where it is known to have been issued, which an edge asks once and remembers. What the thief makes is refused as junk is. New keys are signed by its successor at once.",
    next: [
      "Reissue: rotate each key that it signed, with an overlap, and hand the new raw key over. The list of them is linked beside the frozen key, in each tenant; your own admin's and the edges' are among them.",
      "Freeze the token signer too, if tokens that were exchanged for forged keys mustn't live out their five minutes.",
      "When the last overlap has ended: retire it.",
    ],
  },
  token: {
    thief: "Make tokens for keys whose id and index he knows.",
    customers: "Every token that it signed is refused at once. Programs that exchange their key again get one by the successor; raw keys aren't touched.",
    next: ["Retire it: nothing of it counts any more."],
  },
  policy: {
    thief: "Write policies, if he stands between origin and edge.",
    customers: "Nothing: policies are signed anew as edges ask for them.",
    next: ["Retire it."],
  },
  feed: {
    thief: "Mark keys valid and hold back changes, if he stands between origin and edge; push an edge's position ahead of the origin's.",
    customers: "Nothing: what edges follow is signed anew by the successor.",
    next: ["Run keyward recover on the origin: the epoch rises, and edges leave behind what they were told.", "Retire it."],
  },
  audit: {
    thief: "Sign another past.",
    customers: "Nothing. Every tenant's trail gets a record of this, and a checkpoint by the successor.",
    next: ["Keep the manifests that prove earlier checkpoints."],
  },
};
