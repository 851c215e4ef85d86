"use strict";
// Files dropped anywhere on the page, or chosen, go to the server one after the other, and are opened together.
(() => {
  const say = (text) => { document.getElementById("message").textContent = text; };

  async function open(files) {
    const kept = [];
    document.body.dataset.loading = "yes";
    try {
      while (!document.body.dataset.page) await new Promise((done) => setTimeout(done, 20)); // it is being loaded
      for (const file of files) {
        const about = new URLSearchParams({ page: document.body.dataset.page, name: file.name });
        const answer = await fetch(`upload?${about}`, { method: "POST", body: file });
        if (!answer.ok) { say(await answer.text()); return; }
        kept.push((await answer.json()).file);
      }
      if (kept.length) workbench.send({ do: "open", files: kept });
    } catch {
      say("A file could not be sent (is it a folder, or was it changed meanwhile?): drop it again.");
    } finally {
      delete document.body.dataset.loading;
    }
  }

  const carries = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragover", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    document.body.dataset.drop = "yes";
  });
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) delete document.body.dataset.drop; });
  addEventListener("drop", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    delete document.body.dataset.drop;
    open([...event.dataTransfer.files]);
  });

  // workbench.save("recipe") downloads what the page exports.
  async function save(kind) {
    const about = new URLSearchParams({ page: document.body.dataset.page, kind });
    const answer = await fetch(`download?${about}`);
    if (!answer.ok) { say(await answer.text()); return; }
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await answer.blob());
    link.download = decodeURIComponent(answer.headers.get("Content-Disposition").split("''")[1]);
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  }

  Object.assign(workbench, { open, save });
})();
