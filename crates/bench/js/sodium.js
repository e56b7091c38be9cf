// libsodium compiles its WebAssembly from bytes within its script while it is loaded, which workerd permits nobody. Both
// runtimes hand it the module compiled from the same bytes; and only with the first request, since it asks for random
// numbers then, which workerd has for requests alone. To be imported before libsodium.
const { instantiate } = WebAssembly;
let resolve;
const handed = new Promise((resolved) => (resolve = resolved));

WebAssembly.instantiate = async (_, imports) => {
  const module = await handed;
  return { module, instance: new WebAssembly.Instance(module, imports) };
};

// Hands it over.
export function hand(module) {
  WebAssembly.instantiate = instantiate;
  resolve(module);
}
