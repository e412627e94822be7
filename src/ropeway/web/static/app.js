// What the pages do besides being read: they stay up to date, draw charts and listen to keys.
// Everything here is extra: without it each page is whole, and each action is a form.
"use strict";
(() => {
  const root = document.documentElement;
  const body = document.body;
  const prefix = body.dataset.prefix || "";
  const words = JSON.parse(body.dataset.words || "{}");
  const $ = (id) => document.getElementById(id);
  root.classList.add("js");

  // -- charts ------------------------------------------------------------------------------
  const charts = new Map();
  const colour = (name) => {
    const probe = document.createElement("i");
    probe.style.color = `var(${name})`;
    body.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  };
  const clock = (at) => new Date(at * 1000).toLocaleTimeString("en-GB");
  function draw() {
    if (!window.uPlot) return;
    for (const [element, chart] of charts) {
      if (!element.isConnected) { chart.plot.destroy(); charts.delete(element); }
    }
    for (const element of document.querySelectorAll("[data-chart]")) {
      const all = JSON.parse(element.dataset.points);
      const data = element.dataset.chart === "rate" ? [all[0], all[1]] : [all[0], all[2], all[3]];
      const known = charts.get(element);
      if (known && element.contains(known.plot.root)) { known.plot.setData(data); continue; }
      element.textContent = "";
      const names = element.dataset.names.split(",");
      const colours = [colour("--accent"), colour("--run")];
      const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
      const plot = new uPlot({
        width: element.clientWidth || 400, height: 190, padding: [null, 26, null, null], cursor: { y: false },
        scales: { y: { range: (_, low, high) => [0, Math.max(1, high * 1.1)] } },
        axes: [{ ...axis, space: 70, values: (_, times) => times.map(clock) }, { ...axis, size: 52 }],
        series: [{ label: document.body.dataset.time, value: (plot, at) => clock(at ?? plot.data[0].at(-1)) }, ...names.map((label, at) => ({
          label, stroke: colours[at], width: 2, value: (plot, given, at) => +((given ?? plot.data[at].at(-1) ?? 0).toFixed(1)), fill: at ? undefined : colours[0].replace(")", " / 12%)").replace("rgb(", "rgb(").replaceAll(",", ""), points: { show: false },
        }))],
      }, data, element);
      charts.set(element, { plot });
    }
  }
  function redraw() {
    for (const [, chart] of charts) chart.plot.destroy();
    charts.clear();
    draw();
  }
  addEventListener("resize", redraw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

  // -- live --------------------------------------------------------------------------------
  const button = $("live");
  let source = null, timer = 0, paused = false, spoken = 0, failures = 0;
  const busy = () => {
    const page = $("page"), active = document.activeElement, chosen = getSelection();
    if (document.querySelector("dialog[open]")) return true;
    if (active && page.contains(active) && active.matches("input, select, textarea")) return true;
    if (page.querySelector('td input[type="checkbox"]:checked')) return true;
    return chosen && !chosen.isCollapsed && page.contains(chosen.anchorNode);
  };
  const written = (node) => (node.matches("input[type=checkbox]") ? node.checked !== node.defaultChecked
    : node.matches("input, textarea") && node.value !== node.defaultValue);
  function show(word) {
    if (!button) return;
    button.classList.toggle("off", word === "paused");
    button.classList.toggle("wait", word === "reconnecting");
    $("live-word").textContent = words[word];
  }
  function take(html) {
    if (paused || busy() || !html.startsWith("<")) return;
    Idiomorph.morph($("page"), html, {
      morphStyle: "innerHTML", ignoreActiveValue: true,
      callbacks: {
        beforeNodeMorphed: (old) => !(old.matches && (written(old) || old.matches(".u-wrap, .uplot") || old.matches("details[open] > summary"))),
        beforeNodeRemoved: (old) => !(old.matches && old.matches(".uplot, .u-wrap")),
        beforeAttributeUpdated: (name, node) => !(name === "open" && node.matches("details")) && !(name === "class" && node.matches("tr")),
      },
    });
    draw();
    const now = Date.now(), verdict = document.querySelector(".verdict");
    if (verdict && now - spoken > 10000) {
      spoken = now;
      const said = verdict.textContent.trim();
      if ($("spoken").textContent !== said) $("spoken").textContent = said;
    }
  }
  const view = () => encodeURIComponent(body.dataset.path + location.search);
  async function poll() {
    try {
      const answer = await fetch(`${prefix}/live?once=1&view=${view()}`, { headers: { accept: "text/html" } });
      if (answer.ok) { take(await answer.text()); show("live"); } else show("reconnecting");
    } catch { show("reconnecting"); }
    timer = setTimeout(poll, 5000);
  }
  function open() {
    close();
    if (paused || document.hidden || body.dataset.live === "no") return;
    if (body.dataset.live === "poll" || failures > 2) { timer = setTimeout(poll, 3000); show("live"); return; }
    source = new EventSource(`${prefix}/live?view=${view()}`);
    source.addEventListener("page", (event) => { failures = 0; show("live"); take(JSON.parse(event.data)); });
    source.onopen = () => show("live");
    source.onerror = () => {
      show("reconnecting");
      if (source && source.readyState === EventSource.CLOSED) { failures += 1; timer = setTimeout(open, 3000); }
    };
  }
  function close() {
    if (source) source.close();
    source = null;
    clearTimeout(timer);
  }
  function toggle() {
    paused = !paused;
    if (paused) { close(); show("paused"); } else open();
  }
  if (button && body.dataset.live !== "no") {
    button.hidden = false;
    button.addEventListener("click", toggle);
    document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
    addEventListener("pagehide", close);
    open();
  }

  // -- small things ------------------------------------------------------------------------
  $("burger")?.addEventListener("click", () => {
    const opened = $("rail").classList.toggle("open");
    $("burger").setAttribute("aria-expanded", String(opened));
  });
  for (const name of ["lang", "theme"]) $(name)?.addEventListener("change", (event) => event.target.form.submit());
  document.addEventListener("click", async (event) => {
    const copy = event.target.closest("[data-copy]");
    if (!copy) return;
    const text = copy.dataset.copy;
    try { await navigator.clipboard.writeText(text); } catch {
      const area = document.createElement("textarea");
      area.value = text;
      body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    const said = copy.textContent;
    copy.textContent = words.copied;
    setTimeout(() => { copy.textContent = said; }, 1500);
  });
  document.addEventListener("change", (event) => {
    if (event.target.id !== "all") return;
    for (const box of document.querySelectorAll('td input[name="ids"]')) box.checked = event.target.checked;
  });

  // -- keys --------------------------------------------------------------------------------
  const off = $("keys-off");
  const remembered = (name) => { try { return localStorage.getItem(name); } catch { return null; } };
  if (off) {
    off.checked = remembered("ropeway-keys") === "off";
    off.addEventListener("change", () => { try { localStorage.setItem("ropeway-keys", off.checked ? "off" : "on"); } catch { /* not kept */ } });
  }
  $("help")?.addEventListener("click", () => $("keys").showModal());
  const places = { o: "/", j: "/jobs", e: "/errors", q: "/queues", r: "/routing", w: "/workers", l: "/limits", p: "/performance", a: "/audit" };
  let going = false, at = -1;
  const rows = () => [...document.querySelectorAll("#page .rows tbody tr")];
  function move(by) {
    const all = rows();
    if (!all.length) return;
    all[at]?.classList.remove("at");
    at = Math.max(0, Math.min(all.length - 1, at + by));
    all[at].classList.add("at");
    all[at].scrollIntoView({ block: "nearest" });
    all[at].querySelector("a.open")?.focus({ preventScroll: true });
  }
  document.addEventListener("keydown", (event) => {
    if (off?.checked && event.key !== "Escape") return;
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
    if (document.querySelector("dialog[open]")) return;
    if (going) {
      going = false;
      if (places[event.key]) { location.href = prefix + places[event.key]; event.preventDefault(); }
      return;
    }
    const does = {
      "/": () => ($("q") || $("find")).focus(),
      "?": () => $("keys").showModal(),
      g: () => { going = true; setTimeout(() => { going = false; }, 1200); },
      j: () => move(1),
      k: () => move(-1),
      x: () => rows()[at]?.querySelector('input[name="ids"]')?.click(),
      "*": () => $("all")?.click(),
      "]": () => $("older")?.click(),
      r: () => !button?.hidden && toggle(),
      t: () => {
        const theme = $("theme");
        const dark = getComputedStyle(body).colorScheme === "dark" || (theme.value === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
        theme.value = theme.value === "dark" || dark && theme.value !== "light" ? "light" : "dark";
        theme.form.submit();
      },
    }[event.key];
    if (does) { event.preventDefault(); does(); }
  });

  draw();
})();
