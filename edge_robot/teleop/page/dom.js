// Elements by their id, and text into them: everything that comes from outside becomes text here, never markup.

export const byId = (id) => document.getElementById(id);

/** Sets the text of an element only if it differs: an unchanged page costs no layout and keeps a selection. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Sets text and kind ("good", "warn", "bad" or "") of an indicator. */
export function indicate(element, text, kind = "") {
  say(element, text);
  const name = kind ? `chip-${kind}` : "";
  if (element.className !== name) element.className = name;
  if (element.title !== text) element.title = text;
}

/**
 * Fills a table's body, keeping the rows and cells that are there.
 * @param {HTMLElement} body - the tbody.
 * @param {Array<Array<string|{text: string, kind?: string, href?: string}>>} rows - cells, row by row.
 * @param {string} none - what an empty table says.
 */
export function fill(body, rows, none) {
  const heads = [...body.parentElement.tHead.rows[0].cells];
  if (!rows.length) {
    if (body.dataset.none !== none) {
      const cell = document.createElement("td");
      cell.colSpan = heads.length;
      cell.className = "empty";
      cell.textContent = none;
      const row = document.createElement("tr");
      row.append(cell);
      body.replaceChildren(row);
      body.dataset.none = none;
    }
    return;
  }
  if (body.dataset.none !== undefined) {
    body.replaceChildren();
    delete body.dataset.none;
  }
  while (body.rows.length > rows.length) body.deleteRow(-1);
  while (body.rows.length < rows.length) {
    const row = body.insertRow();
    for (const head of heads) row.insertCell().classList.toggle("num", head.classList.contains("num"));
  }
  rows.forEach((cells, line) => cells.forEach((given, column) => {
    const { text, kind = "", href } = typeof given === "object" ? given : { text: given };
    const cell = body.rows[line].cells[column];
    if (cell.textContent !== String(text) || (cell.firstElementChild?.getAttribute("href") ?? undefined) !== href) {
      if (href) {
        const link = document.createElement("a");
        link.href = href;
        link.textContent = text;
        cell.replaceChildren(link);
      } else {
        cell.textContent = text;
      }
    }
    const name = [heads[column].classList.contains("num") ? "num" : "", kind].filter(Boolean).join(" ");
    if (cell.className !== name) cell.className = name;
  }));
}

let spoken = 0;
let waiting = null;

/** Tells a screen reader something that changed, at most every two seconds and then only the newest. */
export function announce(text) {
  clearTimeout(waiting);
  const pause = Math.max(0, spoken + 2000 - performance.now());
  waiting = setTimeout(() => {
    spoken = performance.now();
    say(byId("announce"), text);
  }, pause);
}
