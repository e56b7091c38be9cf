import { useEffect, useRef, useState } from "preact/hooks";
import { identity, lapsed, useCaller } from "../api/session";
import { useActing } from "../api/tenant";

const kept = new Map<string, unknown>();

/**
 * State that is still there where the session ended meanwhile and the same key signs in again. Kept in this document alone: it has
 * to be no secret.
 */
export function useKept<T>(name: string, initial: () => T): [T, (change: (now: T) => T) => void] {
  const place = `${identity(useCaller())} ${useActing()} ${name}`;
  const [value, setValue] = useState(() => (kept.get(place) as T | undefined) ?? initial());
  const last = useRef(value);
  last.current = value;
  useEffect(() => {
    kept.delete(place);
    return () => void (lapsed() && kept.set(place, last.current));
  }, []);
  return [value, setValue];
}
