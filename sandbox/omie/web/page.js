"use strict";
// What is shown follows the ERP; a form is never touched.
async function refresh() {
  if (document.hidden) return;
  const offline = document.getElementById("offline");
  try {
    const answer = await fetch(location.pathname, { cache: "no-store" });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    offline.hidden = true;
    const pressed = [...document.querySelectorAll("[name=action]")].map((each) => each.value).join();
    const possible = [...fresh.querySelectorAll("[name=action]")].map((each) => each.value).join();
    if (pressed !== possible && !document.getElementById("reason")?.value) return location.reload();
    for (const part of document.querySelectorAll("[data-live]")) {
      const next = fresh.getElementById(part.id);
      if (next && part.innerHTML !== next.innerHTML) part.innerHTML = next.innerHTML;
    }
  } catch { offline.hidden = false; }
}
// A second click must not act twice. Afterwards, so that the pressed button still counts.
document.addEventListener("submit", ({ target }) => setTimeout(() => target.querySelectorAll("button").forEach((each) => { each.disabled = true; })));
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
if (document.querySelector("[data-live]")) setInterval(refresh, 2000);
