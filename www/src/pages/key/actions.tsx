// What can be done to the key, by who is signed in.
import { useMemo, useState } from "preact/hooks";
import { useStanding } from "../../api/keys";
import { problem } from "../../api/problem";
import { useCaller, useCan } from "../../api/session";
import type { Key } from "../../api/types";
import { Icon } from "../../ui/icon";
import { useCommands, type Command } from "../../ui/palette";
import { toast } from "../../ui/toast";
import { EditDialog } from "./edit";
import { RenewDialog } from "./renew";
import { RevokeDialog } from "./revoke";
import { RotateDialog } from "./rotate";
import { SuspendDialog, needsAWord } from "./suspend";

type Opened = "edit" | "rotate" | "renew" | "revoke" | "suspend";

export function Actions({ apiKey: key }: { apiKey: Key }) {
  const can = useCan();
  const caller = useCaller();
  const standing = useStanding(key);
  const [opened, setOpened] = useState<Opened>();
  const close = () => setOpened(undefined);
  const live = key.status !== "revoked";
  const turn = key.status === "suspended" ? "resume" : "suspend";
  const stand = () => (turn === "suspend" && needsAWord(key, caller) ? setOpened("suspend") : turned());
  const turned = () =>
    standing.mutate(turn, {
      onSuccess: () => toast(turn === "suspend" ? `${key.name} is suspended.` : `${key.name} can be used again.`),
      onError: (cause) => {
        const { title, code } = problem(cause);
        toast(code === "outcome_unknown" ? `${title}: ${turn} ${key.name}.` : `${title} (${code}): it is as it was.`, "bad");
      },
    });
  const commands = useMemo(() => {
    const all: (Command & { needs: string })[] = [
      { title: "Edit this key", icon: "edit", needs: "keys:update", run: () => setOpened("edit") },
      { title: "Rotate this key", icon: "rotate", needs: "keys:rotate", run: () => setOpened("rotate") },
      { title: "Renew this key", icon: "clock", needs: "keys:update", run: () => setOpened("renew") },
      { title: "Revoke this key", icon: "stop", needs: "keys:revoke", run: () => setOpened("revoke") },
    ];
    return live ? all.filter(({ needs }) => can(needs)) : [];
  }, [live, key.id]);
  useCommands(commands);
  return (
    <div class="row">
      {live && <Buttons apiKey={key} open={setOpened} turn={turn} stand={stand} standing={standing.isPending} />}
      {opened === "edit" && <EditDialog apiKey={key} onClose={close} />}
      {opened === "rotate" && <RotateDialog apiKey={key} onClose={close} />}
      {opened === "renew" && <RenewDialog apiKey={key} onClose={close} />}
      {opened === "suspend" && <SuspendDialog apiKey={key} onSure={() => (close(), turned())} onClose={close} />}
      {opened === "revoke" && <RevokeDialog apiKey={key} onClose={close} />}
    </div>
  );
}

interface ButtonsProps {
  apiKey: Key;
  open: (what: Opened) => void;
  turn: "suspend" | "resume";
  stand: () => void;
  standing: boolean;
}

function Buttons({ apiKey: key, open, turn, stand, standing }: ButtonsProps) {
  const can = useCan();
  const button = (what: Opened) => () => open(what);
  return (
    <>
      {can("keys:update") && (
        <>
          <button type="button" class="button" onClick={button("edit")}>
            <Icon name="edit" /> Edit
          </button>
          {key.status !== "expired" && (
            <button type="button" class="button" disabled={standing} onClick={stand}>
              <Icon name={turn === "suspend" ? "pause" : "play"} /> {turn === "suspend" ? "Suspend" : "Resume"}
            </button>
          )}
          <button type="button" class="button" onClick={button("renew")}>
            <Icon name="clock" /> Renew
          </button>
        </>
      )}
      {can("keys:rotate") && key.status !== "expired" && (
        <button type="button" class="button" onClick={button("rotate")}>
          <Icon name="rotate" /> Rotate
        </button>
      )}
      {can("keys:revoke") && (
        <button type="button" class="button danger" onClick={button("revoke")}>
          <Icon name="stop" /> Revoke
        </button>
      )}
    </>
  );
}
