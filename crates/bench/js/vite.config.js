// Bundles the peers into one module that Node and workerd load alike.
export default {
  logLevel: "warn",
  build: {
    lib: { entry: "peers.js", formats: ["es"], fileName: () => "peers.js" },
    // Another's code as others ship it: what a minifier makes of it is not what is compared.
    minify: false,
    emptyOutDir: false,
    target: "es2022",
  },
};
