// File names as the recipient's system will take them, and which of them can run. No I/O.

const MAX_NAME = 255;

/**
 * A name as a system would save it: without folders, control characters, marks that turn text around, a stream suffix, and the dots and
 * spaces at the end that Windows drops.
 */
export function savedName(name: string): string {
  const visible = name.replace(
    /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g,
    "",
  );
  const bare = visible.slice(Math.max(visible.lastIndexOf("/"), visible.lastIndexOf("\\")) + 1);
  return withoutLastDots(withoutStream(withoutLastDots(bare))).slice(-MAX_NAME);
}

/** `a.exe::$DATA` and `a.exe:$DATA` are a.exe. */
function withoutStream(name: string): string {
  const stream = name.indexOf("::");
  const whole = stream < 0 ? name : name.slice(0, stream);
  const colon = whole.lastIndexOf(":$");
  return colon >= 0 && /^[A-Za-z_]*$/.test(whole.slice(colon + 2)) ? whole.slice(0, colon) : whole;
}

/** A loop: /[. ]+$/ would look at each dot of a long run anew, and the name is a stranger's. */
function withoutLastDots(name: string): string {
  let end = name.length;
  while (name.charCodeAt(end - 1) === 0x2e || name.charCodeAt(end - 1) === 0x20) end--;
  return name.slice(0, end);
}

/** The extension of a name, lower case, without the dot; "" when it has none. */
export function extensionOf(name: string): string {
  const saved = savedName(name);
  const dot = saved.lastIndexOf(".");
  return dot < 0
    ? ""
    : saved
        .slice(dot + 1)
        .trim()
        .toLowerCase();
}

/** `exe`, and `pdf.exe` too for a name that pretends to be a document: what `attachments.extensions` lists. */
export function extensionsOf(name: string): readonly string[] {
  const last = extensionOf(name);
  if (last === "") return [];
  const saved = savedName(name);
  const before = extensionOf(saved.slice(0, saved.lastIndexOf(".")));
  return DISGUISES.has(before) ? [last, `${before}.${last}`] : [last];
}

const DISGUISES: ReadonlySet<string> = new Set(
  "pdf doc docx xls xlsx ppt pptx txt rtf odt ods csv jpg jpeg png gif bmp mp3 mp4 avi htm html zip".split(
    " ",
  ),
);

// What Windows, macOS or Linux runs, installs, mounts or hands to an interpreter at a double click.
const DANGEROUS: ReadonlySet<string> = new Set(
  (
    "ade adp apk app appinstaller application appref-ms appx appxbundle action bas bat bash btm cab chm class cmd com command cpl " +
    "crt csh der desktop diagcab dll dmg drv elf exe fon fxp gadget grp hlp hta htc img inf ins iso isp jar jnlp js jse ksh " +
    "library-ms lnk mad maf mag mam mar mas mat mau mav maw mcf mda mde mdt mdw mdz msc msh msh1 msh2 mshxml msi msix msixbundle " +
    "msp mst msu ocx one ops osd pcd pif pkg pl plg prf prg printerexport ps1 ps1xml ps2 ps2xml psc1 psc2 psd1 psdm1 psm1 pst py " +
    "pyc pyo pyw pyz pyzw rb reg rpm run scf scpt scr sct search-ms settingcontent-ms sh shb shs slk sys theme tmp udl url vb vbe " +
    "vbp vbs vhd vhdx vsmacros vsw vxd webpnp website workflow ws wsb wsc wsf wsh xbap xll xnk xpi xrm-ms zsh"
  ).split(" "),
);

/** Extensions of programs that are top-level domains too: a name may end in a site or an address. */
const DOMAINS_TOO: ReadonlySet<string> = new Set("com pl py sh app run one website cab".split(" "));
/** The last word is an address, or a host of three labels and more. */
const ENDS_IN_PLACE =
  /(?:^|[\s"'(<[,;])(?:[^\s@]{1,64}@(?:[\p{L}\p{N}-]{1,63}\.)+|(?:[\p{L}\p{N}-]{1,63}\.){2,})\p{L}{2,}$/u;

/**
 * May a name with a dangerous extension be that of a harmless file, `www.example.com`? Then its content decides: `text` says that it is
 * nothing but text, `known` that it is of a kind that does not run. `invoice.pdf.com` is a disguise whatever is in it.
 */
export function isNameOfPlace(
  name: string,
  content: { readonly text: boolean; readonly known: boolean },
): boolean {
  const extension = extensionOf(name);
  if (!DOMAINS_TOO.has(extension) || extensionsOf(name).length > 1) return false;
  if (!content.text && !content.known) return false;
  // Text never is a .com program that runs today; the others are scripts, or documents with a life of their own.
  return extension === "com" || ENDS_IN_PLACE.test(savedName(name));
}

/** True when a file of this extension can run or start something at a double click. */
export function isDangerousExtension(extension: string): boolean {
  return DANGEROUS.has(extension);
}
