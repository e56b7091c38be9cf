// A rotation on its way: whether the old raw key is still in use, and the end of it.
import { useEndRotation } from "../../api/keys";
import { problem } from "../../api/problem";
import { useCan } from "../../api/session";
import type { Key } from "../../api/types";
import { Time } from "../../ui/time";
import { toast } from "../../ui/toast";

export function Rotating({ apiKey: key }: { apiKey: Key }) {
  const can = useCan();
  const end = useEndRotation(key);
  const former = key.credentials.find(({ current }) => !current);
  const current = key.credentials.find(({ current }) => current);
  if (!former || !current) return null;
  const turn = (how: "finish" | "cancel") =>
    end.mutate(how, {
      onSuccess: () => toast(how === "finish" ? "The old raw key has ended." : "The new raw key has ended; the old one is as before."),
      onError: (cause) => toast(`${problem(cause).title} (${problem(cause).code})`, "bad"),
    });
  return (
    <section class="notice" data-tone="info" aria-labelledby="rotating">
      <strong id="rotating">A rotation is on its way</strong>
      <p>
        Both raw keys hold. The old one, <code>{former.key_hint ?? "without a hint"}</code>, ends by itself <Time at={former.expires_at} />.
      </p>
      {can("keys:rotate") && (
        <div class="row">
          <button type="button" class="button primary" disabled={end.isPending} onClick={() => turn("finish")}>
            Finish: end the old one now
          </button>
          <button type="button" class="button" disabled={end.isPending} onClick={() => turn("cancel")}>
            Cancel: end the new one
          </button>
        </div>
      )}
    </section>
  );
}
