import { Component, type ComponentChildren } from "preact";
import { Fault } from "./fault";

/** Shows what a page throws in the page's place, and leaves the rest standing. */
export class Guard extends Component<{ children: ComponentChildren }, { cause?: unknown }> {
  override state: { cause?: unknown } = {};

  static override getDerivedStateFromError(cause: unknown) {
    return { cause };
  }

  override render() {
    const { cause } = this.state;
    if (cause === undefined) return <>{this.props.children}</>;
    return <Fault cause={cause} retry={() => this.setState({ cause: undefined })} />;
  }
}
