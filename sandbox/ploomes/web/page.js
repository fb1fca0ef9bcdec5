"use strict";
// Numbers as Brazilians type them: 1.234,56 and 10.50 too.
const read = (text) => {
  let plain = text.replace(/[R$%\s]/g, "");
  if (/^\d{1,3}(\.\d{3})+(,\d+)?$/.test(plain) || plain.includes(",")) plain = plain.replaceAll(".", "").replace(",", ".");
  return Number(plain) || 0;
};
const money = new Intl.NumberFormat("pt-BR", { style: "currency", currency: "BRL" });
const value = (row, name) => read(row.querySelector(`[name=line_${name}]`).value);

// A preview only: the server computes what is stored, with exact decimals.
function total(form) {
  let sum = 0;
  for (const row of form.querySelectorAll(".line")) {
    const own = Math.round(value(row, "quantity") * value(row, "price") * (100 - value(row, "discount"))) / 100;
    row.querySelector("output").textContent = money.format(own);
    sum += own;
  }
  form.querySelector("#sum").textContent = money.format(Math.round(sum * (100 - read(form.elements.discount.value))) / 100);
}

let dirty = false;
function prepare(form) {
  dirty = form.hasAttribute("data-typed");
  form.addEventListener("input", () => { dirty = true; total(form); });
  form.addEventListener("change", ({ target }) => {
    if (target.name !== "line_product") return;
    target.closest("tr").querySelector("[name=line_price]").value = target.selectedOptions[0]?.dataset.price ?? "";
    total(form);
  });
  form.addEventListener("click", ({ target }) => {
    if (target.closest("[data-add]")) {
      form.querySelector("#lines").append(form.querySelector("#blank").content.cloneNode(true));
      form.querySelector("#lines .line:last-child select").focus();
    } else if (target.closest("[data-remove]")) target.closest("tr").remove();
    else return;
    dirty = true;
    total(form);
  });
  // Enter saves; it must not press the first button, which wins the deal.
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.tagName === "INPUT") {
      event.preventDefault();
      form.querySelector("button[value=save], .actions button")?.click();
    }
  });
  // A second click must not make a second deal. Afterwards, so that the pressed button still counts.
  form.addEventListener("submit", () => setTimeout(() => form.querySelectorAll("button").forEach((each) => { each.disabled = true; })));
  total(form);
}
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

// The rest of the page follows the CRM; the form is swapped only while nobody has typed in it.
async function refresh() {
  if (document.hidden) return;
  const offline = document.getElementById("offline");
  try {
    const answer = await fetch(`${location.pathname}?live=1`, { cache: "no-store" });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    offline.hidden = true;
    for (const part of document.querySelectorAll("[data-live]")) {
      const next = fresh.getElementById(part.id);
      if (next && !part.contains(document.activeElement) && part.innerHTML !== next.innerHTML) part.innerHTML = next.innerHTML;
    }
    const form = document.getElementById("form"), next = fresh.getElementById("form");
    if (form && next && form.dataset.version !== next.dataset.version) {
      if (dirty) document.getElementById("changed").hidden = false;
      else if (!form.contains(document.activeElement) || form.querySelector("fieldset").disabled) { form.replaceWith(next); prepare(next); }
    }
  } catch { offline.hidden = false; }
}

// A small form beside the big one: sent without leaving the page, so that nothing typed is lost.
document.addEventListener("submit", async (event) => {
  if (!event.target.matches("[data-quiet]")) return;
  event.preventDefault();
  event.submitter.disabled = true;
  event.submitter.blur();
  await fetch(event.target.action, { method: "POST", body: new URLSearchParams(new FormData(event.target)) }).catch(() => {});
  await refresh();
});
document.querySelector("[data-submit]").addEventListener("change", ({ target }) => target.form.submit());
if (location.search) history.replaceState(null, "", location.pathname);
const empty = document.querySelector("form[data-form]:not(#form) #lines");
if (empty && !empty.querySelector(".line")) empty.append(document.getElementById("blank").content.cloneNode(true));
document.querySelectorAll("form[data-form]").forEach(prepare);
if (document.querySelector("[data-live]")) setInterval(refresh, 2000);
