import { useState } from "preact/hooks";
import { problem } from "../../api/problem";
import { useTurn, type SigningKey, type TurnAction } from "../../api/signing";
import { Dialog } from "../../ui/dialog";
import { Fault } from "../../ui/fault";
import { toast } from "../../ui/toast";
import { TURN_WORDS } from "./words";

/** What the origin refuses unless it is forced. */
const CAN_BE_FORCED = ["signing_key_unseen", "signing_key_in_use"];

interface Props {
  action: Exclude<TurnAction, "freeze">;
  signingKey: SigningKey;
  onClose: () => void;
}

/** Activates or retires a key, after saying what that does. What the origin warns of has to be waved through on purpose. */
export function TurnDialog({ action, signingKey: key, onClose }: Props) {
  const words = TURN_WORDS[action];
  const turn = useTurn();
  const [force, setForce] = useState(false);
  const refused = turn.error !== null && CAN_BE_FORCED.includes(problem(turn.error).code);
  const run = () => turn.mutate({ kid: key.kid, action, force }, { onSuccess: () => (toast(words.done), onClose()) });
  return (
    <Dialog
      title={`${words.title} ${key.kid.slice(0, 12)}…`}
      onClose={onClose}
      actions={
        <button
          type="button"
          class={action === "retire" ? "button danger sure" : "button primary"}
          disabled={turn.isPending || (refused && !force)}
          aria-busy={turn.isPending}
          onClick={run}
        >
          {words.title}
        </button>
      }
    >
      <p>{key.state === "pre-published" && action === "retire" ? "It has signed nothing: nothing ends with it." : words.what(key.role)}</p>
      {turn.isError && <Fault cause={turn.error} />}
      {refused && (
        <label class="check">
          <input type="checkbox" checked={force} onChange={(event) => setForce(event.currentTarget.checked)} />
          {words.force}
        </label>
      )}
    </Dialog>
  );
}
