// The command palette: every page, and what the page that is shown offers.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { useLocation } from "wouter-preact";
import type { Page } from "../pages";
import { Icon, type IconName } from "./icon";

export interface Command {
  readonly title: string;
  readonly icon: IconName;
  readonly run: () => void;
  /** The same on every page: after what the page that is shown offers, and after the pages. */
  readonly general?: true;
}

const offered = new Set<readonly Command[]>();

/** Offers commands for as long as the page is shown. */
export function useCommands(commands: readonly Command[]): void {
  useEffect(() => {
    offered.add(commands);
    return () => void offered.delete(commands);
  }, [commands]);
}

export function Palette({ pages, onClose }: { pages: readonly Page[]; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [, navigate] = useLocation();
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  // At once: keys that are pressed meanwhile are meant for it.
  useLayoutEffect(() => dialog.current?.showModal(), []);

  const goes: Command[] = pages.map(({ path, title, icon }) => ({ title: `Go to ${title}`, icon: icon ?? "right", run: () => navigate(path) }));
  const search: Command[] = text.trim().length > 2
    ? [{ title: `Search keys for “${text.trim()}”`, icon: "search", run: () => navigate(`/keys?search=${encodeURIComponent(text.trim())}`) }]
    : [];
  const all = [...offered].flat();
  const ordered = [...all.filter(({ general }) => !general), ...goes, ...all.filter(({ general }) => general)];
  const found = ordered.filter(({ title }) => matches(title, text)).concat(search);
  const chosen = Math.min(at, found.length - 1);
  const run = (command: Command | undefined) => {
    dialog.current?.close();
    command?.run();
  };
  const press = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) setAt((chosen + step + found.length) % Math.max(1, found.length));
    else if (event.key === "Enter") run(found[chosen]);
    else return;
    event.preventDefault();
  };
  return (
    <dialog ref={dialog} class="palette" aria-label="Commands" onClose={onClose} onClick={(event) => event.target === dialog.current && dialog.current?.close()}>
      <input
        type="text"
        role="combobox"
        aria-label="Command"
        aria-expanded="true"
        aria-controls="commands"
        aria-activedescendant={chosen >= 0 ? `command-${chosen}` : undefined}
        placeholder="Where to, or what to do?"
        autocomplete="off"
        value={text}
        onInput={(event) => (setText(event.currentTarget.value), setAt(0))}
        onKeyDown={press}
      />
      <div id="commands" class="palette-list" role="listbox" aria-label="Commands">
        {found.map((command, index) => (
          <div
            key={command.title}
            id={`command-${index}`}
            role="option"
            aria-selected={index === chosen}
            ref={(element) => void (index === chosen && element?.scrollIntoView({ block: "nearest" }))}
            onMouseMove={() => setAt(index)}
            onClick={() => run(command)}
          >
            <Icon name={command.icon} />
            {command.title}
          </div>
        ))}
        {found.length === 0 && <p class="faint">Nothing of that name. Three letters search the keys.</p>}
      </div>
    </dialog>
  );
}

/** Whether every word begins somewhere in it. */
function matches(title: string, text: string): boolean {
  const where = title.toLowerCase();
  return text.toLowerCase().split(/\s+/).every((word) => where.includes(word));
}
