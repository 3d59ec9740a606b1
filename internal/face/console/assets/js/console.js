// The console works without this file. It adds: forms in a dialog, keyboard
// shortcuts, filters that apply by themselves.
(() => {
  "use strict";
  const dialog = document.getElementById("dialog");
  const shortcuts = document.getElementById("shortcuts");

  // A link with data-dialog has its form fetched by htmx into the dialog.
  document.addEventListener("htmx:after:swap", () => {
    if (dialog && dialog.querySelector("#act") && !dialog.open) dialog.showModal();
  });
  document.addEventListener("click", (event) => {
    const target = event.target instanceof Element ? event.target : null;
    if (!target) return;
    if (dialog && dialog.open && (target.closest("[data-close]") || target === dialog)) {
      event.preventDefault();
      dialog.close();
    }
    if (shortcuts && target.closest("[data-shortcuts]")) shortcuts.showModal();
  });
  if (dialog) {
    dialog.addEventListener("close", () => {
      document.getElementById("dialog-body").replaceChildren();
    });
  }

  // A board tells whether it is live. A session that is over begins again at
  // the door.
  const live = (state) => (event) => {
    const at = event.target instanceof Element && event.target.closest("[data-live]");
    if (at) at.dataset.live = state;
    if (event.detail && event.detail.status === 401) location.reload();
  };
  document.addEventListener("htmx:sse:after:connection", live("on"));
  document.addEventListener("htmx:sse:error", live("off"));
  document.addEventListener("htmx:sse:close", live("off"));

  // The policy's editor: a problem's line is selected, a field goes to the cursor.
  document.addEventListener("click", (event) => {
    const target = event.target instanceof Element ? event.target : null;
    const source = document.getElementById("f-text");
    if (!target || !source) return;
    const line = target.closest("[data-line]");
    if (line) {
      event.preventDefault();
      const lines = source.value.split("\n");
      const at = Math.max(1, Math.min(Number(line.dataset.line) || 1, lines.length));
      const start = lines.slice(0, at - 1).reduce((n, l) => n + l.length + 1, 0);
      source.focus();
      source.setSelectionRange(start, start + lines[at - 1].length);
      source.scrollTop = (source.scrollHeight / lines.length) * Math.max(0, at - 5);
    }
    const insert = target.closest("[data-insert]");
    if (insert) {
      source.setRangeText(insert.dataset.insert, source.selectionStart, source.selectionEnd, "end");
      source.focus();
    }
  });

  // What is being typed narrows the list of fields, and Ctrl+Space completes it.
  const begun = (source) => /\b(?:device|patch)(?:\.\w*)*$/.exec(source.value.slice(0, source.selectionStart))?.[0] ?? "";
  const fitting = (word) => [...document.querySelectorAll("#fields [data-insert]")].filter((b) => b.dataset.insert.startsWith(word));
  document.addEventListener("input", (event) => {
    if (!(event.target instanceof Element) || event.target.id !== "f-text") return;
    const fits = new Set(fitting(begun(event.target)));
    for (const b of document.querySelectorAll("#fields [data-insert]")) b.closest("li").hidden = fits.size > 0 && !fits.has(b);
  });
  document.addEventListener("keydown", (event) => {
    const source = event.target;
    if (!(source instanceof Element) || source.id !== "f-text" || !event.ctrlKey || event.code !== "Space") return;
    event.preventDefault();
    const word = begun(source);
    const [first] = word ? fitting(word) : [];
    if (!first) return;
    source.setRangeText(first.dataset.insert, source.selectionStart - word.length, source.selectionEnd, "end");
    source.dispatchEvent(new Event("input", { bubbles: true }));
  });

  document.addEventListener("change", (event) => {
    const form = event.target instanceof Element && event.target.closest("form[data-auto]");
    if (form && event.target.matches("select")) form.requestSubmit();
  });

  // "g" then a letter goes to a section, "/" to the search, "?" tells them all.
  let wasG = 0;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const at = event.target;
    if (at instanceof Element && at.closest("input, textarea, select, dialog[open]")) return;
    if (event.key === "/") {
      const search = document.querySelector("[data-search]");
      if (search) {
        event.preventDefault();
        search.focus();
      }
    } else if (event.key === "?" && shortcuts) {
      shortcuts.showModal();
    } else if (event.key === "g") {
      wasG = event.timeStamp;
      return;
    } else if (wasG && event.timeStamp - wasG < 1500) {
      const link = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
      if (link) link.click();
    }
    wasG = 0;
  });
})();
