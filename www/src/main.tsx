import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/layout.css";
import "./styles/controls.css";
import "./styles/notices.css";
import "./styles/dialog.css";
import "./styles/table.css";
import "./styles/chart.css";
import { render } from "preact";
import { App } from "./app";
import { applyTheme, chosenTheme } from "./ui/theme";

applyTheme(chosenTheme());
render(<App />, document.querySelector("#app")!);
