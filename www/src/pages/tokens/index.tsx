// Tokens: a key exchanged for less, and any token held against its key.
import "../../styles/terms.css";
import "../../styles/inspect.css";
import { useEffect, useState } from "preact/hooks";
import { Choice } from "../../ui/field";
import { Loading } from "../../ui/empty";
import { Fault } from "../../ui/fault";
import { ready } from "../../wasm";
import { loadKeys, type Keys } from "../inspect/published";
import { Exchange } from "./exchange";
import { Held } from "./held";

export default function Tokens() {
  const [keys, setKeys] = useState<Keys>();
  const [fault, setFault] = useState<unknown>();
  const [what, setWhat] = useState<"exchange" | "look">("exchange");
  const [token, setToken] = useState("");
  useEffect(() => {
    ready()
      .then(loadKeys)
      .then((found) => (found ? setKeys(found) : setFault(new Error("This origin publishes no signing keys."))), setFault);
  }, []);
  return (
    <div class="page">
      <h1>Tokens</h1>
      <p class="faint">
        A token is made from a key, permits less for a few minutes, and ends with its key. Give one to whatever needs not have the key itself: a browser, a job, a partner.
      </p>
      <Choice label="What to do" quiet value={what} options={[["exchange", "Exchange a key"], ["look", "Look at a token"]]} onChange={setWhat} />
      {fault !== undefined ? (
        <Fault cause={fault} />
      ) : !keys ? (
        <Loading />
      ) : what === "exchange" ? (
        <Exchange keys={keys} onToken={setToken} token={token} />
      ) : (
        <Held keys={keys} text={token} onText={setToken} />
      )}
    </div>
  );
}
