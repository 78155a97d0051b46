"use strict";
// Keeps what is marked data-live up to date, and shows what the loader says of a policy while one types.

const live = document.querySelector("[data-live]");
if (live) {
  const source = new EventSource(live.dataset.live);
  // What happened while nobody was listening was told to nobody.
  source.addEventListener("open", refresh);
  source.addEventListener("changed", refresh);
  source.addEventListener("over", () => source.close());
}

async function refresh() {
  // Nobody's half-written answer is thrown away.
  if (live.contains(document.activeElement) && document.activeElement.matches("input, textarea, select")) return;
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("#live");
  if (fresh) live.replaceChildren(...fresh.childNodes);
}

const editor = document.querySelector("textarea[data-check]");
if (editor) {
  let waiting = 0;
  editor.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(check, 300);
  });
}

async function check() {
  const told = document.querySelector("#problems");
  const csrf = editor.form.elements.csrf.value;
  const body = new URLSearchParams({ content: editor.value, csrf });
  const answer = await fetch(editor.dataset.check, { method: "POST", body });
  const problems = answer.ok ? (await answer.json()).problems : ["The server could not be asked."];
  told.replaceChildren(...(problems.length ? problems : ["No problems."]).map((text) => {
    const line = document.createElement("li");
    line.textContent = text;
    return line;
  }));
}
