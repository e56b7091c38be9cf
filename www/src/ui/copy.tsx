import { useEffect, useState } from "preact/hooks";
import { Icon } from "./icon";
import { toast } from "./toast";

/** Copies the text. `label` says what: `Copy the key`. */
export function Copy({ text, label, words }: { text: string; label: string; words?: boolean }) {
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => setDone(false), 2000);
    return () => clearTimeout(timer);
  }, [done]);
  const copy = () =>
    navigator.clipboard.writeText(text).then(
      () => setDone(true),
      () => toast("The browser doesn't let this page copy: select the text instead.", "bad"),
    );
  return (
    <button type="button" class={words ? "button" : "button quiet icon small"} title={label} aria-label={words && done ? "Copied" : label} onClick={copy}>
      <Icon name={done ? "check" : "copy"} />
      {words && (done ? "Copied" : label)}
    </button>
  );
}
