// Names each cell after its column, for phones, where rows are stacked; sorts tables that ask for it.
"use strict";
(() => {
  for (const table of document.querySelectorAll("table")) {
    const heads = [...table.querySelectorAll("thead tr:last-child > *")];
    const names = heads.map((head) => head.dataset.name ?? head.textContent.trim());
    for (const cell of table.querySelectorAll("tbody > tr > td")) cell.dataset.label = names[cell.cellIndex] ?? "";
    if (!table.classList.contains("facts")) table.classList.add("stacks");
    if (table.classList.contains("sortable")) heads.forEach((head, column) => sortable(table, head, column));
  }

  function sortable(table, head, column) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const numbers = column > 0;
      const down = head.getAttribute("aria-sort") ? head.getAttribute("aria-sort") !== "descending" : numbers;
      const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
      const compare = (a, b) => {
        const [x, y] = [value(a), value(b)];
        if (numbers && (x === "" || y === "")) return (x === "") - (y === ""); // what was not measured comes last
        return (numbers ? Number(x) - Number(y) : x.localeCompare(y)) * (down ? -1 : 1);
      };
      const body = table.tBodies[0];
      body.append(...[...body.rows].sort(compare));
      for (const other of table.querySelectorAll("[aria-sort]")) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
    });
  }
})();
