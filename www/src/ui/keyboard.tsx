import { Dialog } from "./dialog";

const KEYS: readonly (readonly [keys: readonly string[], what: string])[] = [
  [["Ctrl", "K"], "Commands: every page, and what can be done on this one"],
  [["/"], "To the search of this page"],
  [["Esc"], "Out of a search; closes what is open"],
  [["?"], "This help"],
  [["Tab"], "To the next thing that can be pressed or filled in"],
];

/** Which keys do what, on every page. */
export function KeyboardHelp({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Keyboard" onClose={onClose}>
      <dl class="facts">
        {KEYS.map(([keys, what]) => (
          <>
            <dt key={what} class="row">
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{what}</dd>
          </>
        ))}
      </dl>
      <p class="faint small">On a Mac, Cmd K. Three letters in the commands also search the keys.</p>
    </Dialog>
  );
}
