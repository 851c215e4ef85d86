"use strict";
// A page outlives its tab: the tab tells which page it shows, and comes back to it when it is reloaded or the
// connection was lost. A duplicated tab brings the name along, too, but not the mark of one that was left.
(() => {
  const PAGE = "pdfkit-page", LEFT = "pdfkit-left";
  const shelf = (() => { try { sessionStorage.setItem(LEFT + "?", ""); return sessionStorage; } catch { return new Map(); } })();
  const get = (key) => (shelf.getItem ? shelf.getItem(key) : shelf.get(key)) ?? "";
  const set = (key, value) => (shelf.setItem ? shelf.setItem(key, value) : shelf.set(key, value));

  const before = get(PAGE), left = get(LEFT) === "yes";
  let known = "";
  workbench.before = before;
  set(LEFT, "");
  workbench.on("page", (page) => {
    if (!known) begin(page);
    known = page;
    set(PAGE, page);
    document.body.dataset.page = page;
  });

  function begin(page) {
    if (before && before !== page) workbench.send({ do: "continue", page: before, copy: !left });
  }

  workbench.changed("earlier", (list) => {
    const choice = document.getElementById("earlier");
    choice.replaceChildren(new Option("earlier…", ""), ...list.map((one) => new Option(`${one.when} ${one.title}`, one.id)));
    choice.onchange = () => { if (choice.value) workbench.send({ do: "continue", page: choice.value, copy: true }); choice.value = ""; };
    for (const id of ["earlier-pages", "earlier-note"]) document.getElementById(id).hidden = !list.length;
  });
  workbench.changed("trouble", (trouble) => { if (trouble) document.getElementById("message").textContent = trouble; });

  addEventListener("pagehide", () => set(LEFT, "yes"));
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

  let ended = false;
  workbench.on("ended", () => { ended = true; });

  workbench.lost = async function back(event) {
    if (ended) return; // the message says why
    const message = document.getElementById("message");
    if (event.code === 1013) { message.textContent = event.reason; return; }
    message.textContent = "The connection to pdfkit live is lost. Nothing of this page is: it goes on as soon as the server answers. Was it started anew, open the address that it printed: this page is under Pages there.";
    document.body.dataset.lost = "yes";
    for (;;) {
      try {
        if ((await fetch("alive", { cache: "no-store" })).ok) break;
      } catch { /* not yet */ }
      await new Promise((done) => setTimeout(done, 1000));
    }
    set(LEFT, "yes");
    location.reload();
  };
})();
