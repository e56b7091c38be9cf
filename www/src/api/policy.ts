// What edges decide on a key by.
import { below, call } from "./client";

export interface KeyPolicy {
  readonly number: number;
  /** As edges get it. */
  readonly signed: string;
  readonly credentials: readonly {
    readonly index: number;
    readonly amended: boolean;
    readonly policy: number;
    readonly in_force: number;
    readonly expires: number | null;
  }[];
}

/** By the key's id, which is no secret. */
export function keyPolicy(id: string): Promise<KeyPolicy> {
  return call<KeyPolicy>("GET", below("/api/v1/api-keys", id, "policy"));
}
