// The WebAssembly of the core, loaded when a page first needs it: it is the largest thing here. Once it is ready, what
// `./pkg/keyward` exports can be used.
let loading: Promise<unknown> | undefined;

export function ready(): Promise<unknown> {
  loading ??= start().catch((cause: unknown) => {
    // The next one tries again.
    loading = undefined;
    throw cause;
  });
  return loading;
}

async function start(): Promise<unknown> {
  const { default: load } = await import("./pkg/load");
  return load();
}
