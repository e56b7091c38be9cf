// Keys that work on every page: Ctrl or Cmd K for commands, `/` for the page's search, `?` for help. Esc is the platform's.
import { useEffect } from "preact/hooks";

export function useHotkeys({ onPalette, onHelp }: { onPalette: () => void; onHelp: () => void }): void {
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        // Also while something is being written, but not over a dialog: it would lead away from under it.
        if (!document.querySelector("dialog[open]")) onPalette();
      } else if (event.key === "?" && free(event)) {
        event.preventDefault();
        onHelp();
      } else if (event.key === "/" && free(event)) {
        const search = document.querySelector<HTMLInputElement>("input[type=search]");
        if (!search) return;
        event.preventDefault();
        search.select();
      } else if (event.key === "Escape" && event.target instanceof HTMLInputElement && event.target.type === "search") {
        event.target.blur();
      }
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, [onPalette, onHelp]);
}

/** Whether a key is nobody else's: nothing is being written and no dialog is open. */
function free(event: KeyboardEvent): boolean {
  return !typing(event.target) && !event.ctrlKey && !event.metaKey && !document.querySelector("dialog[open]");
}

function typing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}
