// A text that is looked for by the origin, kept in the address by whoever shows this.
import { useEffect, useRef, useState } from "preact/hooks";

/** How long a pause in typing is waited for. */
const PAUSE = 100;

interface Props {
  label: string;
  placeholder: string;
  /** What is looked for, as the address says. */
  text: string;
  onSearch: (text: string) => void;
  /** Fewer letters aren't looked for. */
  shortest?: number;
}

export function Search({ label, placeholder, text: searched, onSearch, shortest = 1 }: Props) {
  const [text, setText] = useState(searched);
  // What this field has put into the address: what else is found there came by other hands, the back button or the palette.
  const put = useRef(searched);
  useEffect(() => {
    if (searched !== put.current) setText((put.current = searched));
  }, [searched]);
  useEffect(() => {
    const wanted = text.trim().length >= shortest ? text.trim() : "";
    if (wanted === put.current) return;
    const timer = setTimeout(() => onSearch((put.current = wanted)), PAUSE);
    return () => clearTimeout(timer);
  }, [text]);
  const short = text.trim() !== "" && text.trim().length < shortest;
  return (
    <div class="search">
      <input
        type="search"
        aria-label={label}
        placeholder={placeholder}
        title="Press / to come here"
        maxLength={128}
        aria-describedby={short ? "search-hint" : undefined}
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      {short && (
        <span class="field-hint" id="search-hint">
          {shortest} letters at least.
        </span>
      )}
    </div>
  );
}
