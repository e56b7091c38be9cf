import type { KeySet, StatusLists, VerifiedKey } from "./keyward";

/**
 * Admits keys by one cheap call each. A key whose signature has been found to hold is recognised by its whole text; its
 * status and time are looked at each time.
 */
export class Gate {
  /** For keys of one environment; both the keys and the lists are its own from now on. */
  constructor(keys: KeySet, environment: "live" | "test", statuses: StatusLists);
  /** 0 where the text is a key that holds at `now` (milliseconds); else the number of a reason, for `reasonCode`. */
  admit(text: string, now: number): number;
  /** The key that was admitted last; `undefined` where the last text was refused. */
  readonly admitted: VerifiedKey | undefined;
  /** Takes another key set, and forgets which signatures held by the old one. */
  useKeys(keys: KeySet): void;
  /** Adds a published status list, in the place of an older one. */
  addStatusList(number: number, text: string, now: number): void;
  free(): void;
}
