// Reads the main form of a page the way a browser would send it back untouched.

/** The fields of a page's `policy-form`. Passwords are never in a page. */
export function formFields(markup: string): Record<string, string[]> {
  const fields: Record<string, string[]> = {};
  const add = (name: string, value: string) => {
    fields[name] = [...(fields[name] ?? []), value];
  };
  const start = markup.indexOf('class="policy-form"');
  const form = markup.slice(start, markup.indexOf("</form>", start));
  for (const [tag] of form.matchAll(/<input[^>]*>/g)) {
    const name = /name="([^"]*)"/.exec(tag)?.[1];
    if (name === undefined || /type="password"/.test(tag)) continue;
    if (!/type="checkbox"/.test(tag)) add(name, unescapeText(/value="([^"]*)"/.exec(tag)?.[1] ?? ""));
    else if (/ checked/.test(tag)) add(name, unescapeText(/value="([^"]*)"/.exec(tag)?.[1] ?? "on"));
  }
  for (const [, name = "", text = ""] of form.matchAll(
    /<textarea[^>]*name="([^"]*)"[^>]*>([^<]*)<\/textarea>/g,
  ))
    add(name, unescapeText(text));
  for (const [, name = "", options = ""] of form.matchAll(
    /<select[^>]*name="([^"]*)"[^>]*>(.*?)<\/select>/gs,
  )) {
    const chosen =
      /value="([^"]*)" selected/.exec(options)?.[1] ?? /value="([^"]*)"/.exec(options)?.[1] ?? "";
    add(name, chosen);
  }
  return fields;
}

function unescapeText(text: string): string {
  return text
    .replaceAll("&quot;", '"')
    .replaceAll("&#39;", "'")
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&amp;", "&");
}
