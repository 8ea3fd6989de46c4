// Loaded before all else: SIGHUP asks `serve` to read its certificate again, also while the rest of the program is still being loaded, and
// must not end it then. The certificate is read after that anyway.
if (process.argv.includes("serve")) process.on("SIGHUP", () => {});
