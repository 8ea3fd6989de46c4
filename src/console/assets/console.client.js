// The console's own script: small comforts. Every page works without it.

const LIVE = "[data-live]";

/** The server writes times in this zone from the next page on. */
async function rememberZone() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const cookies = globalThis.cookieStore;
  if (!zone || !cookies || (await cookies.get("gatepost-zone"))?.value === zone) return;
  const expires = Date.now() + 31_536_000_000;
  await cookies.set({ name: "gatepost-zone", value: zone, path: "/", sameSite: "lax", expires });
}

/** A region must not refresh itself under the reader's hands. */
function isBusy(region) {
  if (document.hidden) return true;
  if (region.querySelector("input:checked")) return true;
  const focused = document.activeElement;
  if (focused && region.contains(focused) && focused.matches("input, select, textarea")) return true;
  const selection = document.getSelection();
  return selection !== null && !selection.isCollapsed && region.contains(selection.anchorNode);
}

document.addEventListener("htmx:config:request", (event) => {
  const { ctx } = event.detail;
  if (ctx.sourceElement.matches(LIVE) && isBusy(ctx.sourceElement)) event.preventDefault();
  // Addresses stay short: filters left empty are not sent.
  if (ctx.request.method === "GET" && ctx.request.body instanceof FormData) {
    for (const [name, value] of [...ctx.request.body]) if (value === "") ctx.request.body.delete(name);
  }
});

/** A bar at the top while a page is on its way; it shows itself after a moment only. */
function showWaiting() {
  document.documentElement.classList.add("waiting");
}
document.addEventListener("submit", (event) => {
  if (!event.defaultPrevented) showWaiting();
});
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href]");
  if (
    !link ||
    event.defaultPrevented ||
    event.ctrlKey ||
    event.metaKey ||
    event.shiftKey ||
    event.button !== 0
  )
    return;
  const url = new URL(link.href, location.href);
  const samePage = url.pathname === location.pathname && url.search === location.search && url.hash !== "";
  if (!samePage && url.origin === location.origin && !link.hasAttribute("download") && !link.target)
    showWaiting();
});
addEventListener("pageshow", () => document.documentElement.classList.remove("waiting"));

/** "All on this page", and how many are selected. */
function countSelected(form) {
  const boxes = [...form.querySelectorAll('input[type="checkbox"][name="id"]')];
  const selected = boxes.filter((box) => box.checked).length;
  const label = form.querySelector("[data-selected-count]");
  if (label) label.textContent = selected === 0 ? "" : `${selected} selected`;
  const all = form.querySelector("[data-select-all]");
  if (all) {
    all.checked = selected > 0 && selected === boxes.length;
    all.indeterminate = selected > 0 && selected < boxes.length;
  }
}
document.addEventListener("change", (event) => {
  const box = event.target;
  const form = box.closest?.("form.bulk");
  if (!form) return;
  if (box.matches("[data-select-all]"))
    for (const one of form.querySelectorAll('input[type="checkbox"][name="id"]')) one.checked = box.checked;
  countSelected(form);
});

/** "/" goes to the search field, Escape closes the menu. */
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && location.hash === "#navigation") location.hash = "#content";
  if (event.key !== "/" || event.target.matches("input, textarea, select")) return;
  const field = document.querySelector('[data-shortcut="/"]');
  if (!field) return;
  event.preventDefault();
  field.focus();
  field.select();
});

/** What is wrong gets the focus, so that keyboards and screen readers start there. */
function focusProblem() {
  const invalid = document.querySelector('[aria-invalid="true"]');
  invalid?.focus();
}

rememberZone().catch(() => undefined);
focusProblem();
