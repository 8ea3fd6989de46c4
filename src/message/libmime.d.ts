// The two functions of libmime 5.4.6 used here; the package brings no types.
declare module "libmime" {
  interface Libmime {
    decodeWords(text: string): string;
    encodeWord(text: string, encoding: "Q" | "B", maxLength?: number): string;
  }
  const libmime: Libmime;
  export = libmime;
}
