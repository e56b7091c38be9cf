import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Problem } from "../api/problem";
import type { Page } from "../pages";
import { Loading } from "./empty";
import { Fault } from "./fault";

const loaded = new Map<string, ComponentType>();

/** A page whose code is loaded when it is first shown. */
export function Later({ page }: { page: Page }) {
  const [, setTurn] = useState(0);
  const [fault, setFault] = useState<Problem>();
  const Content = loaded.get(page.path);
  useEffect(() => {
    if (Content) return;
    let left = false;
    page.load().then(
      (module) => {
        loaded.set(page.path, module.default);
        if (!left) setTurn((turn) => turn + 1);
      },
      () => !left && setFault(new Problem("page_missing", "This page can't be loaded", 0, "It may have been replaced by a newer one.")),
    );
    return () => void (left = true);
  }, [page, Content]);
  if (Content) return <Content />;
  // A browser remembers that a module failed: only a new document asks for it again.
  return fault ? <Fault cause={fault} retry={() => location.reload()} /> : <Loading />;
}
