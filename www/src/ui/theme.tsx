// Light or dark: as the system has it, unless chosen here.
import { useEffect, useMemo, useState } from "preact/hooks";
import { Icon, type IconName } from "./icon";
import { useCommands } from "./palette";

export type Theme = "system" | "light" | "dark";

const STORE = "keyward-theme";
const NEXT: Record<Theme, Theme> = { system: "light", light: "dark", dark: "system" };
const ICONS: Record<Theme, IconName> = { system: "system", light: "sun", dark: "moon" };
const CHANGED = "keyward-theme";

export function chosenTheme(): Theme {
  const stored = localStorage.getItem(STORE);
  return stored === "light" || stored === "dark" ? stored : "system";
}

/** Before anything is drawn, and on every choice. */
export function applyTheme(theme: Theme): void {
  if (theme === "system") {
    localStorage.removeItem(STORE);
    delete document.documentElement.dataset["theme"];
  } else {
    localStorage.setItem(STORE, theme);
    document.documentElement.dataset["theme"] = theme;
  }
  dispatchEvent(new Event(CHANGED));
}

/** What is shown: changes with the choice and with the system. */
export function useTheme(): "light" | "dark" {
  const [theme, setTheme] = useState(shown);
  useEffect(() => {
    const update = () => setTheme(shown());
    const dark = matchMedia("(prefers-color-scheme: dark)");
    addEventListener(CHANGED, update);
    dark.addEventListener("change", update);
    return () => {
      removeEventListener(CHANGED, update);
      dark.removeEventListener("change", update);
    };
  }, []);
  return theme;
}

function shown(): "light" | "dark" {
  const chosen = chosenTheme();
  if (chosen !== "system") return chosen;
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

export function ThemeSwitch() {
  const [theme, setTheme] = useState(chosenTheme);
  const turn = () => {
    applyTheme(NEXT[theme]);
    setTheme(NEXT[theme]);
  };
  useCommands(useMemo(() => [{ title: `Switch to the ${NEXT[theme]} theme`, icon: ICONS[NEXT[theme]], run: turn, general: true as const }], [theme]));
  const label = `Theme: ${theme}. Switch to ${NEXT[theme]}.`;
  return (
    <button type="button" class="button quiet icon" title={label} aria-label={label} onClick={turn}>
      <Icon name={ICONS[theme]} />
    </button>
  );
}
