import { useEffect } from "preact/hooks";

/** Has the browser ask before the document is left or read anew, for as long as something would be lost with it. */
export function useHold(holds: boolean): void {
  useEffect(() => {
    if (!holds) return;
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener("beforeunload", ask);
    return () => removeEventListener("beforeunload", ask);
  }, [holds]);
}
