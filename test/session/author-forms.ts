// Forms of From, each with what is read of it. {own} is an address of the client's own, {other} one of somebody else; Q and B are its
// encodings. Octets are written as Latin-1. `author-forms.test.ts` sends every one of them over SMTP, as a stranger and as a log-in.

/** `sound`: one author, read alike by everybody. */
export interface AuthorForm {
  readonly name: string;
  readonly form: string;
  readonly reads: readonly ("own" | "other")[];
  readonly sound: boolean;
}

type Row = readonly [name: string, form: string, reads?: AuthorForm["reads"]];

/** Taken: from its own sender with DMARC p=reject, and from a log-in. */
const SOUND: readonly Row[] = [
  ["an address alone", "From: {own}"],
  ["in brackets", "From: <{own}>"],
  ["a name", "From: Ann Lee <{own}>"],
  ["a quoted name with a comma", 'From: "Lee, Ann" <{own}>'],
  ["an unquoted comma in the name", "From: Lee, Ann <{own}>"],
  ["an unquoted colon in the name", "From: ACME: News <{own}>"],
  ["an encoded name", "From: =?utf-8?Q?J=C3=B6rg_M=C3=BCller?= <{own}>"],
  ["a name encoded in base64", "From: =?utf-8?B?SsO2cmcgTcO8bGxlcg==?= <{own}>"],
  ["an encoded name in quotes", 'From: "=?utf-8?Q?J=C3=B6rg?=" <{own}>'],
  ["a raw UTF-8 name", "From: J\u00c3\u00b6rg <{own}>"],
  ["a raw Latin-1 name", "From: J\u00f6rg <{own}>"],
  ["a name behind the address", "From: {own} (Ann Lee)"],
  ["comments in comments", "From: Ann (at (home)) <{own}>"],
  ["its own address as the name", "From: {own} <{own}>"],
  ["its own address as the quoted name", 'From: "{own}" <{own}>'],
  ["its own address as an encoded name", "From: =?utf-8?Q?{ownQ}?= <{own}>"],
  ["another address of its domain as the name", "From: info@{ownDomain} <{own}>"],
  ["another address of its domain, quoted", 'From: "info@{ownDomain}" <{own}>'],
  ["an address of a domain below its own", 'From: "info@news.{ownDomain}" <{own}>'],
  ["an at sign that is no address", "From: Ann @ Work <{own}>"],
  ["an at sign between words", 'From: "Team@Work" <{own}>'],
  ["a handle", 'From: "Ann (@ann)" <{own}>'],
  ["a price", 'From: "2 items @ 5.99" <{own}>'],
  ["a machine of a local network", 'From: "root@web1.internal" <{own}>'],
  ["a list that passes a name on", 'From: "Ann Lee via Talk" <{own}>'],
  [
    "a list that passes an address on",
    'From: "{other} via Talk" <{own}>\r\nList-Id: Talk <talk.lists.{ownDomain}>',
  ],
  [
    "a group that passes an address on",
    "List-Post: <mailto:talk@{ownDomain}>\r\nFrom: \"'{other}' via Talk\" <{own}>",
  ],
  [
    "a service that passes an address on",
    'DKIM-Signature: v=1; a=rsa-sha256; s=x;\r\n\td=mail.{ownDomain}; b=x\r\nFrom: "{other} (via Drive)" <{own}>',
  ],
  ["a service in another language", 'From: "{other} \u00c3\u00bcber Talk" <{own}>\r\nSender: Talk <{own}>'],
  ["folded over lines", "From:\r\n Ann\r\n\t<{own}>"],
  ["in capitals", "FROM: Ann <{own}>"],
  ["blanks around the address", "From: Ann < {own} >"],
  ["an mbox separator above", "From {other} Fri Nov 20 10:00:00 2026\r\nFrom: {own}"],
  ["a field with a blank in its name above", "X Odd: y\r\nFrom: {own}"],
  ["a list of one with a comma behind", "From: {own},"],
];

/**
 * Failed: where {other} is read, its p=reject refuses it, and so do we where it is one of ours (L3). Of a log-in each is refused; from an
 * own domain with p=reject each is refused, from one without a record the others are taken.
 */
const FAILED: readonly Row[] = [
  ["another's address as the bare name", "From: {other} <{own}>", ["own", "other"]],
  ["another's address with blanks", "From: {otherLocal} @ {otherDomain} <{own}>", ["own", "other"]],
  ["another's address as the quoted name", 'From: "{other}" <{own}>', ["own", "other"]],
  ["another's address in a quoted name", 'From: "CEO <{other}>" <{own}>', ["own", "other"]],
  ["an escaped at sign in quotes", 'From: "{otherLocal}\\@{otherDomain}" <{own}>', ["own", "other"]],
  ["a passed-on address, and nothing says by whom", 'From: "{other} via Talk" <{own}>', ["own", "other"]],
  ["the same in brackets behind it", 'From: "{other} (via Drive)" <{own}>', ["own", "other"]],
  ["the same in another language", 'From: "{other} \u00c3\u00bcber Talk" <{own}>', ["own", "other"]],
  [
    "the same by another's list",
    'From: "{other} via Talk" <{own}>\r\nList-Id: <talk.lists.example>\r\nList-Post: <mailto:t@lists.example>',
    ["own", "other"],
  ],
  [
    "the same signed by another",
    'DKIM-Signature: v=1; d=mailer.example; x={ownDomain}\r\nFrom: "{other} via Talk" <{own}>',
    ["own", "other"],
  ],
  [
    "the same with an empty List-Id",
    'From: "{other} via Talk" <{own}>\r\nList-Id: {ownDomain}',
    ["own", "other"],
  ],
  ["an encoded word that is an address", "From: =?utf-8?Q?{otherQ}?= <{own}>", ["own", "other"]],
  ["a base64 word that is an address", "From: =?utf-8?B?{otherB}?= <{own}>", ["own", "other"]],
  [
    "two words that become an address",
    "From: =?utf-8?Q?{otherLocal}=40?= =?utf-8?Q?{otherDomain}?= <{own}>",
    ["own", "other"],
  ],
  ["an encoded word in quotes", 'From: "=?utf-8?Q?{otherQ}?=" <{own}>', ["own", "other"]],
  ["a bare at sign in an encoded word", "From: =?utf-8?Q?{other}?= <{own}>", ["own", "other"]],
  ["brackets in an encoded word", "From: =?utf-8?Q?CEO_=3C{otherQ}=3E=2C?= <{own}>", ["own", "other"]],
  ["UTF-7 in an encoded word", "From: =?utf-7?Q?{otherLocal}+AEA-{otherDomain}?= <{own}>", ["own", "other"]],
  ["UTF-7 as it is", "From: {otherLocal}+AEA-{otherDomain} <{own}>", ["own", "other"]],
  ["a wide at sign", "From: {otherLocal}\u00ef\u00bc\u00a0{otherDomain} <{own}>", ["own", "other"]],
  ["a small at sign", 'From: "{otherLocal}\u00ef\u00b9\u00ab{otherDomain}" <{own}>', ["own", "other"]],
  [
    "a soft hyphen in another's address",
    'From: "{otherLocal}\u00c2\u00ad@{otherDomain}" <{own}>',
    ["own", "other"],
  ],
  ["only an encoded word", "From: =?utf-8?Q?{otherQ}?=", ["other"]],
  ["another's address in a comment", "From: {own} ({other})", ["own", "other"]],
  ["another's address in a comment in front", "From: ({other}) {own}", ["own", "other"]],
  ["an encoded address in a comment", "From: {own} (=?utf-8?Q?{otherQ}?=)", ["own", "other"]],
  ["a comment inside the brackets", "From: <{own}({other})>", ["own", "other"]],
  ["a comment inside the address", "From: {ownLocal}({other})@{ownDomain}", ["own", "other"]],
  ["a bracket in a comment", "From: <{own}(>{other})>", ["own", "other"]],
  ["two addresses of two domains", "From: {other}, {own}", ["own", "other"]],
  ["two bracketed addresses", "From: <{other}> <{own}>", ["own", "other"]],
  ["two words of addresses", "From: {other} {own}", ["own", "other"]],
  ["a semicolon between", "From: {other}; {own}", ["own", "other"]],
  ["a group", "From: Friends: {own};", ["own"]],
  ["a group of two", "From: Friends: {other}, {own};", ["own", "other"]],
  ["a group called like an address", "From: {other}: {own};", ["own", "other"]],
  ["a group that is never closed, called so", "From: {other}: {own}", ["own", "other"]],
  ["an empty group", "From: undisclosed-recipients:;", []],
  ["a route", "From: <@relay.example:{own}>", ["own"]],
  ["blanks around a second at sign", "From: <{other} @{ownDomain}>", ["other"]],
  ["an address as an encoded local part", "From: =?utf-8?Q?{otherQ}?=@{ownDomain}", ["other"]],
  ["the same in brackets", "From: <=?utf-8?Q?{otherQ}?=@{ownDomain}>", ["other"]],
  ["the same in base64", "From: <=?utf-8?B?{otherB}?=@{ownDomain}>", ["other"]],
  ["a bracket in a quoted local part", 'From: <"{other}>"@{ownDomain}>', ["other"]],
  ["a bracket and a blank in a quoted local part", 'From: <"{other}> "@{ownDomain}>', ["other"]],
  ["an escaped at sign in the local part", "From: <{otherLocal}@{otherDomain}\\@{ownDomain}>", ["other"]],
  ["an entity behind another's address", "From: {other}&lt; <{own}>", ["own", "other"]],
  ["no closing bracket", "From: Ann <{own}", ["own"]],
  ["no opening bracket", "From: Ann {own}>", ["own"]],
  ["two opening brackets", "From: <<{own}>>", ["own"]],
  ["a name in front without brackets", 'From: "{other}" {own}', ["own", "other"]],
  ["an unclosed quote", 'From: "{other} <{own}>', ["own", "other"]],
  ["an unclosed comment", "From: ({other} <{own}>", ["own", "other"]],
  ["blanks inside the address", "From: <{other} .{ownDomain}>", ["other"]],
  ["a quoted address as the local part", 'From: "{other}"@{ownDomain}', ["other"]],
  ["an encoded word as the local part", "From: <=?utf-8?Q?{otherLocal}?=@{ownDomain}>", []],
  ["NUL between two addresses", "From: {other}\0{own}", ["own", "other"]],
  ["NUL behind an address", "From: {own}\0", ["own"]],
  ["an escape in the name", "From: A\u001bnn <{own}>", ["own"]],
  ["a vertical tab", "From: Ann\u000b<{own}>", ["own"]],
  ["two fields", "From: {other}\r\nFrom: {own}", ["own", "other"]],
  ["the same address in two fields", "From: {own}\r\nFrom: {own}", ["own"]],
  ["two fields in two spellings", "From: {own}\r\nFROM: {other}", ["own", "other"]],
  ["a blank before the colon", "From : {own}", ["own"]],
  ["a second field with a blank", "From: {own}\r\nFrom : {other}", ["own", "other"]],
  ["a second field with a tab", "From: {own}\r\nFrom\t: {other}", ["own", "other"]],
  ["folded before the colon", "From: {own}\r\nFrom\r\n : {other}", ["own", "other"]],
  ["NUL in the name of the field", "From: {own}\r\nFr\0om: {other}", ["own", "other"]],
  ["a control at its start", "From: {own}\r\n\u0001From: {other}", ["own", "other"]],
  ["a no-break space in the name of the field", "From: {own}\r\nFrom\u00c2\u00a0: {other}", ["own", "other"]],
  ["behind a line that is no field", "Subject: x\r\nno field at all\r\nFrom: {own}", ["own"]],
  ["behind a line of blanks", "Subject: x\r\n \r\nFrom: {own}", ["own"]],
  [
    "a second one behind a line that is no field",
    "From: {own}\r\nno field at all\r\nFrom: {other}",
    ["own", "other"],
  ],
  ["Latin-1 in the domain", "From: ann@m\u00fcller.example", []],
  ["a wide at sign in the address", "From: <{otherLocal}\u00ef\u00bc\u00a0{otherDomain}>", ["other"]],
  ["no address at all", "From: MAILER-DAEMON", []],
];

export const AUTHOR_FORMS: readonly AuthorForm[] = [
  ...SOUND.map(([name, form]): AuthorForm => ({ name, form, reads: ["own"], sound: true })),
  ...FAILED.map(([name, form, reads = []]): AuthorForm => ({ name, form, reads, sound: false })),
];

/** The form with addresses in it. */
export function writeForm(
  form: string,
  { own, other }: { readonly own: string; readonly other: string },
): Buffer {
  const [ownLocal = "", ownDomain = ""] = own.split("@");
  const [otherLocal = "", otherDomain = ""] = other.split("@");
  const values: Readonly<Record<string, string>> = {
    own,
    ownLocal,
    ownDomain,
    ownQ: own.replace("@", "=40"),
    other,
    otherLocal,
    otherDomain,
    otherQ: other.replace("@", "=40"),
    otherB: Buffer.from(other).toString("base64"),
  };
  return Buffer.from(
    form.replace(/\{(\w+)\}/g, (_, key: string) => values[key] ?? ""),
    "latin1",
  );
}
