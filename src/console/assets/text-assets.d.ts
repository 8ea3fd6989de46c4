// What the console embeds: files imported as text, or as a path inside the binary.
declare module "*.css" {
  const text: string;

  export { text as default };
}
declare module "*.svg" {
  const text: string;

  export { text as default };
}
declare module "*.min.js" {
  const text: string;

  export { text as default };
}
declare module "*.client.js" {
  const text: string;

  export { text as default };
}
declare module "*.woff2" {
  const path: string;

  export { path as default };
}
declare module "altcha/external" {
  const text: string;

  export { text as default };
}
declare module "altcha/workers/pbkdf2" {
  const text: string;

  export { text as default };
}
