// Text that strangers wrote: subjects, names, addresses, replies. Kept short, kept in its place, its tricks made visible.

const DEFAULT_MAX = 160;
/** Controls, and the invisible characters that turn writing around or hide in it (Unicode TR 36 §2.10). */
const ODD =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/u;

interface Piece {
  readonly odd: boolean;
  readonly text: string;
}

function piecesOf(text: string): readonly Piece[] {
  const pieces: Piece[] = [];
  let plain = "";
  for (const character of text) {
    if (!ODD.test(character)) {
      plain += character;
      continue;
    }
    if (plain !== "") pieces.push({ odd: false, text: plain });
    plain = "";
    pieces.push({
      odd: true,
      text: (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0"),
    });
  }
  if (plain !== "") pieces.push({ odd: false, text: plain });
  return pieces;
}

/** Cuts by characters, not in the middle of one. */
export function clip(text: string, max: number): string {
  if (text.length <= max) return text;
  return `${[...text.slice(0, max * 2)].slice(0, max - 1).join("")}…`;
}

/** Foreign text, isolated from the direction of what stands around it. Empty text shows `empty`. */
export function Foreign({
  text,
  max = DEFAULT_MAX,
  empty = "",
}: {
  readonly text: string;
  readonly max?: number;
  readonly empty?: string;
}) {
  if (text === "") return <span class="muted">{empty}</span>;
  const shown = clip(text, max);
  const title = shown === text ? undefined : clip(text, 1000);
  return (
    <bdi title={title}>
      {piecesOf(shown).map((piece) =>
        piece.odd ? (
          <span class="odd" title="An invisible or control character">
            U+{piece.text}
          </span>
        ) : (
          piece.text
        ),
      )}
    </bdi>
  );
}

/** A mail address; the null reverse-path is `<>`. */
export function Address({ text, max = 80 }: { readonly text: string; readonly max?: number }) {
  return <Foreign text={text === "" ? "<>" : text} max={max} />;
}
