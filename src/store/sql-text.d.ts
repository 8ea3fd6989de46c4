// SQL files are embedded as text: import sql from "./0001_first.sql" with { type: "text" }.
declare module "*.sql" {
  const text: string;
  export = text;
}
