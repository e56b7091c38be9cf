// Keys that work on every page: Ctrl or Cmd K for commands, `/` for the page's search. Esc is the platform's.
import { useEffect } from "preact/hooks";

export function useHotkeys({ onPalette }: { onPalette: () => void }): void {
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        onPalette();
      } else if (event.key === "/" && !typing(event.target) && !document.querySelector("dialog[open]")) {
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
  }, [onPalette]);
}

function typing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}
