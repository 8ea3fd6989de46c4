// Gives the challenge widget its worker: from a file of ours, because no script may come out of a blob or a string here.
const widget = document.querySelector("altcha-widget");
const worker = widget?.getAttribute("data-worker");
if (worker) globalThis.$altcha.algorithms.set("PBKDF2/SHA-256", () => new Worker(worker));
