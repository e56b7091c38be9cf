import "./style.css";
import load from "./pkg/load";
import { inspect } from "./inspect";
import { loadKeys, type Keys } from "./keys";
import { showFault, showInspection, showKeys, showNothing } from "./view";

const input = document.querySelector<HTMLTextAreaElement>("#key")!;
let keys: Keys | undefined;
// Counts the pastes, so that an answer that comes late can't stand under a newer key.
let turn = 0;

async function update(): Promise<void> {
  const mine = ++turn;
  const text = input.value.trim();
  if (text === "") return showNothing();
  try {
    const inspection = await inspect(text, keys);
    if (mine === turn) showInspection(inspection);
  } catch (error) {
    if (mine === turn) showFault(error);
  }
}

try {
  await load();
  keys = await loadKeys();
  showKeys(keys);
  input.addEventListener("input", () => void update());
  await update();
  input.focus();
} catch (error) {
  showFault(error);
}
