(function () {
  "use strict";
  var root = document.documentElement;

  function dark() {
    var chosen = root.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  }
  var toggle = document.getElementById("theme");
  function showTheme() { toggle.setAttribute("aria-pressed", String(dark())); }
  function remembered() { try { return localStorage.getItem("onnxdup-theme"); } catch (e) { return null; } }
  function remember(theme) { try { localStorage.setItem("onnxdup-theme", theme); } catch (e) { /* private */ } }
  if (remembered()) { root.dataset.theme = remembered(); }
  toggle.addEventListener("click", function () {
    root.dataset.theme = dark() ? "light" : "dark";
    remember(root.dataset.theme);
    showTheme();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);
  showTheme();

  function key(row, column) {
    var cell = row.cells[column];
    var value = cell.dataset.key;
    if (value === undefined) { return cell.textContent.trim().toLowerCase(); }
    if (value === "-inf") { return -Infinity; }
    return value !== "" && !isNaN(value) ? Number(value) : value;
  }
  function compare(a, b) {
    if (typeof a === "number" && typeof b === "number") { return a - b; }
    return String(a).localeCompare(String(b), undefined, { numeric: true });
  }
  function sort(head) {
    var table = head.closest("table"), body = table.tBodies[0], column = head.cellIndex;
    var numeric = head.classList.contains("num");
    var now = head.getAttribute("aria-sort");
    var down = now ? now === "ascending" : numeric && column > 0;
    table.querySelectorAll("th[aria-sort]").forEach(function (th) { th.removeAttribute("aria-sort"); });
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    var rows = Array.from(body.rows).map(function (row) { return [key(row, column), row]; });
    rows.sort(function (a, b) { return down ? compare(b[0], a[0]) : compare(a[0], b[0]); });
    body.append.apply(body, rows.map(function (pair) { return pair[1]; }));
  }
  document.querySelectorAll("table.sortable thead button").forEach(function (button) {
    button.addEventListener("click", function () { sort(button.closest("th")); });
  });

  document.querySelectorAll("input[data-table]").forEach(function (input) {
    var body = document.getElementById(input.dataset.table).querySelector("tbody");
    var status = input.parentElement.querySelector("[role=status]");
    input.addEventListener("input", function () {
      var wanted = input.value.trim().toLowerCase(), shown = 0;
      Array.from(body.rows).forEach(function (row) {
        row.hidden = row.textContent.toLowerCase().indexOf(wanted) < 0;
        shown += row.hidden ? 0 : 1;
      });
      status.textContent = wanted ? shown + " of " + body.rows.length : "";
    });
  });

  function all(id, open) {
    document.getElementById(id).querySelectorAll("details").forEach(function (d) { d.open = open; });
  }
  document.querySelectorAll("[data-open]").forEach(function (b) {
    b.addEventListener("click", function () { all(b.dataset.open, true); });
  });
  document.querySelectorAll("[data-close]").forEach(function (b) {
    b.addEventListener("click", function () { all(b.dataset.close, false); });
  });

  function openTarget() {
    var target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.tagName === "DETAILS") {
      target.open = true;
      target.scrollIntoView();
      target.querySelector("summary").focus({ preventScroll: true });
    }
  }
  addEventListener("hashchange", openTarget);
  openTarget();

  var closed = [];
  addEventListener("beforeprint", function () {
    closed = Array.from(document.querySelectorAll("details.layer:not([open])"));
    closed.forEach(function (d) { d.open = true; });
  });
  addEventListener("afterprint", function () { closed.forEach(function (d) { d.open = false; }); });
})();
