// A new raw key for the same key, with a time in which both hold.
import { useId, useState } from "preact/hooks";
import { useRotateKey } from "../../api/keys";
import type { Key } from "../../api/types";
import { Dialog } from "../../ui/dialog";
import { Fault } from "../../ui/fault";
import { Choice } from "../../ui/field";
import { reveal } from "../../ui/secret";

const OVERLAPS = [["3600", "An hour"], ["86400", "A day"], ["604800", "A week"], ["2592000", "30 days"], ["0", "None"]] as const;

export function RotateDialog({ apiKey, onClose }: { apiKey: Key; onClose: () => void }) {
  const form = useId();
  const [key] = useState(apiKey);
  const [attempt] = useState(() => crypto.randomUUID());
  const [overlap, setOverlap] = useState<(typeof OVERLAPS)[number][0]>("86400");
  const rotate = useRotateKey(key, ({ new_raw_key }) => (reveal({ text: new_raw_key, name: key.name }), onClose()));
  const submit = (event: Event) => {
    event.preventDefault();
    // Another overlap is another request, under another name.
    rotate.mutate({ rotation: { overlap_seconds: Number(overlap) }, attempt: `${attempt}-${overlap}` });
  };
  const button = (
    <button form={form} class="button primary" disabled={rotate.isPending} aria-busy={rotate.isPending}>
      Rotate
    </button>
  );
  return (
    <Dialog title={`Rotate ${key.name}`} onClose={onClose} actions={button}>
      <form id={form} class="stack" onSubmit={submit}>
        <p>A new raw key is made. The old one holds for as long as you say, so that whoever has it can change over; you can end it earlier here.</p>
        <Choice
          label="The old one holds for"
          value={overlap}
          options={OVERLAPS}
          hint={overlap === "0" ? "All older raw keys end at once: what to do after a leak." : "Never past its own expiry."}
          onChange={setOverlap}
        />
        {rotate.isError && <Fault cause={rotate.error} />}
      </form>
    </Dialog>
  );
}
