"use strict";
// The audit's page. With data embedded it is a report, without it asks the server that sent it.
// Whatever comes from documents becomes text nodes: nothing here builds markup from strings.
(() => {
  const embedded = document.getElementById("data");
  const DATA = embedded ? JSON.parse(embedded.textContent) : null;
  const LIVE = DATA === null;
  const root = document.documentElement;
  const saved = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
  const keep = (key, value) => { try { localStorage.setItem(key, value); } catch { /* a file may have no storage */ } };
  const asked = new URLSearchParams(location.hash.split("?")[1] || "");
  let lang = asked.get("lang") || saved("bibim-lang") || ((navigator.language || "en").startsWith("ko") ? "ko" : "en");
  let dark = (saved("bibim-theme") || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const t = (key, ...rest) => { const word = WORDS[lang][key]; return typeof word === "function" ? word(...rest) : word === undefined ? key : word; };
  const changes = new Map(); // rule index -> new value
  const charts = new Set();
  let overview = null, asking = null;

  // Building nodes, from those of nodes.js

  const count = (n) => new Intl.NumberFormat(lang).format(n);
  const share = (n, all) => all ? new Intl.NumberFormat(lang, { style: "percent", maximumFractionDigits: n / all < 0.01 ? 2 : 1 }).format(n / all) : "–";
  const number = (x) => x === null || x === undefined ? "–" : Number.isInteger(x) ? count(x) : String(+x.toPrecision(4));
  const mega = (n) => n < 1e5 ? `${number(Math.round(n / 100) / 10)} kB` : n < 1e9 ? `${number(Math.round(n / 1e5) / 10)} MB` : `${number(Math.round(n / 1e7) / 100)} GB`;
  function table(caption, heads, rows) {
    return h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": caption },
      h("table", null, h("caption", null, caption),
        h("thead", null, h("tr", null, heads.map((head) => head === "" ? h("td") : h("th", { scope: "col" }, head)))),
        h("tbody", null, rows.map((row) => h("tr", null, row.map((cell, i) => i ? h("td", { class: cell === 0 || cell === "0" ? "zero" : null }, cell instanceof Node ? cell : typeof cell === "number" ? number(cell) : cell ?? "–") : h("th", { scope: "row" }, cell)))))));
  }
  function pieces(list, large) {
    const box = h("div", { class: "text", tabindex: "0", role: "group", "aria-label": t("document"), dir: "auto" });
    for (const [text, kind] of list) {
      const tag = { pass: "mark", del: "del", ins: "ins" }[kind];
      if (tag) box.append(h(tag, null, text)); else put(box, text);
    }
    return box;
  }
  const button = (label, act, given) => h("button", { type: "button", ...given, onclick: act }, label);
  const openDoc = (id) => LIVE ? button(t("open"), () => showDocument(id), { class: "link", "aria-label": `${t("open")} ${id}` }) : null;

  // Asking

  async function ask(view, parameters = {}) {
    if (!LIVE) return DATA[view] && parameters.key !== undefined ? DATA[view][parameters.key] : DATA[view];
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(parameters)) for (const one of [].concat(value)) query.append(name === "key" ? "of" : name, one);
    const answer = await fetch(`/api/${view}?${query}`);
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.error || answer.statusText);
    return body;
  }
  /** The ledger's sums and findings: asked once; the page does not wait for them. */
  const accounting = () => asking ||= ask("accounting");
  const fault = (error) => h("p", { class: "warning", role: "alert" }, `${t("error")}: ${error.message}`);
  /** Fill `box` with what `make` gives for the answer. */
  async function fill(box, view, parameters, make) {
    box.setAttribute("aria-busy", "true");
    try { box.replaceChildren(...[make(await ask(view, parameters))].flat()); reopen(); } catch (error) { box.replaceChildren(fault(error)); }
    box.removeAttribute("aria-busy");
  }
  /** Call `act` once when `node` comes near the screen. */
  const seen = "IntersectionObserver" in window ? new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) { seen.unobserve(entry.target); entry.target.whenSeen?.(); }
  }, { rootMargin: "400px" }) : null;
  function later(node, act) {
    let done = false;
    node.whenSeen = () => { if (!done) { done = true; act(); } };
    if (seen) seen.observe(node); else node.whenSeen();
    return node;
  }
  addEventListener("beforeprint", () => document.querySelectorAll("main *").forEach((node) => node.whenSeen?.()));

  // What is open, and where the address leads

  const wasOpen = new Set(); // paths of details that were open before the page was built again
  /** Where a node is below its section, which does not depend on the language. */
  function pathOf(node) {
    const steps = [];
    for (; node && node.tagName !== "SECTION"; node = node.parentElement) steps.unshift([...node.parentElement.children].indexOf(node));
    return node ? [node.id, ...steps].join("/") : null;
  }
  /** Open again what was open, as far as it is loaded. */
  function reopen() {
    for (const path of wasOpen) {
      const [id, ...steps] = path.split("/");
      const node = steps.reduce((at, step) => at?.children[step], document.getElementById(id));
      if (node?.tagName === "DETAILS") { node.open = true; wasOpen.delete(path); }
    }
  }
  let following = true; // until the reader does something, parts that load late do not move the target
  for (const act of ["wheel", "touchstart", "pointerdown", "keydown"]) addEventListener(act, () => { following = false; }, { passive: true });
  /** Show and open the part that the address names. */
  function land() {
    const node = document.getElementById(decodeURIComponent(location.hash.slice(1).split("?")[0]) || "-");
    for (let at = node; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    node?.scrollIntoView();
  }
  addEventListener("hashchange", land);

  // Charts

  const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  /** The place of a value on the axis of bins, and back. */
  function placeOf(edges, value) {
    let i = 0;
    while (i < edges.length - 2 && value >= edges[i + 1]) i++;
    const [a, b] = [edges[i], edges[i + 1]];
    return i + Math.min(Math.max((value - a) / (b - a || 1), 0), 1);
  }
  function valueAt(edges, place) {
    const i = Math.min(Math.max(Math.floor(place), 0), edges.length - 2);
    return edges[i] + (place - i) * (edges[i + 1] - edges[i]);
  }
  const counted = (signal, name) => {
    const parts = name === "*" ? Object.values(signal.components) : [signal.components[name]].filter(Boolean);
    const zero = new Array(signal.edges.length - 1).fill(0);
    return parts.reduce((sum, part) => ({ all: sum.all.map((v, i) => v + part.all[i]), kept: sum.kept.map((v, i) => v + part.kept[i]) }), { all: zero, kept: zero });
  };
  /** Draw a histogram into `box`. `lines()` gives [value, changed] of each threshold. */
  function histogram(box, signal, component, height, lines, drag) {
    const bins = signal.edges.length - 1;
    const { all, kept } = counted(signal, component);
    const total = all.reduce((a, b) => a + b, 0);
    box.setAttribute("role", "img");
    const thresholds = lines().map(([value]) => `${t("threshold")} ${number(value)}`).join(", ");
    box.setAttribute("aria-label", [t("hist", signal.name, component === "*" ? t("total") : component, count(total)), thresholds].filter(Boolean).join("; "));
    const xs = all.map((_, i) => i);
    const bars = (fill) => ({ paths: uPlot.paths.bars({ size: [0.92, 60], align: 1 }), fill: () => colour(fill), width: 0, points: { show: false } });
    const axis = { stroke: () => colour("--soft"), grid: { stroke: () => colour("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    const draw = (u) => {
      for (const [value, changed] of lines()) {
        const x = Math.round(u.valToPos(placeOf(signal.edges, value), "x", true));
        const { ctx, bbox } = u;
        const ratio = devicePixelRatio || 1;
        ctx.save();
        ctx.strokeStyle = ctx.fillStyle = colour(changed ? "--warn" : "--ink");
        ctx.lineWidth = 1.5 * ratio;
        ctx.setLineDash(changed ? [] : [5 * ratio, 3 * ratio]);
        ctx.beginPath(); ctx.moveTo(x, bbox.top); ctx.lineTo(x, bbox.top + bbox.height); ctx.stroke();
        ctx.font = `600 ${11 * ratio}px system-ui, sans-serif`;
        const right = x > bbox.left + bbox.width * 0.8;
        ctx.textAlign = right ? "right" : "left"; ctx.textBaseline = "top";
        ctx.fillText(number(value), x + (right ? -5 : 5) * ratio, bbox.top + 2 * ratio);
        ctx.restore();
      }
    };
    const chart = new uPlot({
      width: Math.max(box.clientWidth, 160), height, legend: { show: false }, padding: [10, 20, 0, 0],
      cursor: { show: false, drag: { x: false, y: false } },
      scales: { x: { time: false, range: [0, bins] }, y: { range: (u, low, high) => [0, Math.max(high, 1) * 1.06] } },
      axes: [
        { ...axis, size: 26, grid: { show: false }, splits: () => [0, 0.25, 0.5, 0.75, 1].map((f) => f * bins), values: (u, at) => at.map((i) => compact(signal.edges[Math.min(Math.round(i), bins)])) },
        { ...axis, size: 44, splits: (u, i, low, high) => [0.35, 0.7, 1].map((f) => high * f / 1.06), values: (u, at) => at.map((v) => compact(Math.round(v * v))) },
      ],
      series: [{}, bars("--shade"), bars("--kept")], hooks: { draw: [draw] },
    }, [xs, all.map(Math.sqrt), kept.map(Math.sqrt)], box);
    chart.root.setAttribute("aria-hidden", "true");
    if (drag) {
      const over = chart.over;
      let held = false;
      const move = (event) => drag(valueAt(signal.edges, chart.posToVal(event.clientX - over.getBoundingClientRect().left, "x")));
      over.addEventListener("pointerdown", (event) => { held = true; over.setPointerCapture(event.pointerId); move(event); });
      over.addEventListener("pointermove", (event) => { if (held) move(event); });
      over.addEventListener("pointerup", () => { held = false; });
      over.addEventListener("pointercancel", () => { held = false; });
    }
    chart.box = box;
    charts.add(chart);
    return chart;
  }
  const compact = (x) => Math.abs(x) >= 1000 ? new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 }).format(x) : String(+x.toPrecision(2));
  addEventListener("resize", () => { for (const c of charts) if (c.box.isConnected) c.setSize({ width: Math.max(c.box.clientWidth, 160), height: c.height }); else charts.delete(c); });
  const redraw = () => charts.forEach((chart) => chart.box.isConnected ? chart.redraw(true, true) : charts.delete(chart));
  const valueOf = (index) => changes.has(index) ? changes.get(index) : overview.rules[index].value;
  const linesOf = (signal, component) => () => signal.rules.filter((i) => component === "*" || ["all", component].includes(overview.rules[i].scope) || !(overview.rules[i].scope in signal.components)).map((i) => [valueOf(i), changes.has(i)]);

  // Sections

  const section = (id, title, lead, ...children) => h("section", { id, "aria-labelledby": `${id}-title` }, h("h2", { id: `${id}-title` }, title), lead ? h("p", { class: "lead" }, lead) : null, children);
  const tint = (reasons) => new Map(reasons.map((reason, i) => [reason, reason.startsWith("unreadable") ? "ru" : `r${i % 10}`]));

  function summary() {
    const sum = (f, i = 3) => overview.funnel.filter(f).reduce((n, line) => n + line[i], 0);
    const isKept = (line) => line[2] === "kept";
    const bad = (line) => line[2].startsWith("unreadable");
    const all = sum(() => true), kept = sum(isKept);
    const tile = (label, value, small) => h("div", { class: "tile" }, h("dt", null, label), h("dd", null, value, small ? h("small", null, small) : null));
    return h("section", { id: "summary", "aria-label": t("summary") },
      h("h1", null, overview.name), h("p", { class: "lead" }, t("summaryLead")),
      overview.show_pii ? h("p", { class: "warning" }, t("piiShown")) : null,
      h("dl", { class: "tiles" },
        tile(t("read"), count(all), t("sources", Object.keys(overview.read).length)),
        tile(t("kept"), count(kept), share(kept, all)),
        tile(t("dropped"), count(all - kept - sum(bad)), share(all - kept - sum(bad), all)),
        tile(t("unreadable"), count(sum(bad))),
        tile(t("size"), mega(sum(isKept, 4))),
        tile(t("tokens"), compact(sum(isKept, 6)), count(sum(isKept, 6))),
        overview.mixture ? tile(t("mixture"), compact(overview.mixture.achieved_tokens), count(overview.mixture.achieved_tokens)) : null));
  }
  /** What the guards found: decisions first, then what only asks for a look. */
  function findings() {
    const box = h("div", null, h("p", { class: "quiet" }, t("counting")));
    accounting().then(({ findings: all }) => box.replaceChildren(...(all.length
      ? all.map((f) => h("div", { class: f.severity }, h("strong", null, t(f.severity)), ` ${f.guard}: `, f.message)) : [h("p", { class: "good" }, t("noFindings"))]))).catch((error) => box.replaceChildren(fault(error)));
    return section("findings", t("findings"), t("findingsLead"), box);
  }
  let unit = 3, grouping = 0;
  function funnel() {
    const reasons = [...new Set([...overview.rules.map((rule) => rule.reason), ...overview.funnel.map((line) => line[2])])].filter((r) => r !== "kept" && overview.funnel.some((line) => line[2] === r));
    const tints = tint(reasons);
    const body = h("div");
    const draw = () => {
      const rows = new Map();
      for (const line of overview.funnel) {
        const row = rows.get(line[grouping]) || new Map();
        row.set(line[2], (row.get(line[2]) || 0) + line[unit]);
        rows.set(line[grouping], row);
      }
      const totals = new Map();
      const bars = [];
      for (const [name, row] of rows) {
        const all = [...row.values()].reduce((a, b) => a + b, 0);
        const stack = h("div", { class: "stack", role: "img", "aria-label": `${name}: ${t("kept")} ${share(row.get("kept") || 0, all)}` });
        for (const reason of ["kept", ...reasons]) {
          const value = row.get(reason) || 0;
          totals.set(reason, (totals.get(reason) || 0) + value);
          if (!value) continue;
          const bar = h("i", { class: reason === "kept" ? "k" : tints.get(reason), title: `${reason}: ${count(value)} (${share(value, all)})` });
          bar.style.flex = `${value} 0 0`;
          stack.append(bar);
        }
        bars.push(h("div", { class: "name" }, name), stack, h("div", { class: "num" }, unit === 3 ? count(all) : mega(all), " · ", share(row.get("kept") || 0, all)));
      }
      const form = unit === 4 ? mega : count;
      const heads = [grouping ? t("component") : t("source"), t("total"), t("kept"), ...reasons];
      const lines = [...rows].map(([name, row]) => [name, form([...row.values()].reduce((a, b) => a + b, 0)), form(row.get("kept") || 0), ...reasons.map((r) => row.get(r) ? form(row.get(r)) : "0")]);
      body.replaceChildren(h("div", { class: "flow" }, bars),
        h("ul", { class: "legend" }, ["kept", ...reasons].map((r) => h("li", null, h("i", { class: r === "kept" ? "k" : tints.get(r) }), r === "kept" ? t("kept") : r, " ", h("b", null, form(totals.get(r) || 0))))),
        h("details", null, h("summary", { class: "quiet" }, t("numbers")), table(t("funnel"), heads, lines)));
    };
    const choose = (label, get, set) => button(label, (event) => { set(); draw(); event.target.parentNode.querySelectorAll("button").forEach((b) => b.setAttribute("aria-pressed", String(b.chosen()))); }, { "aria-pressed": String(get()) });
    const tools = h("div", { class: "tools" });
    for (const [label, get, set] of [[t("bySource"), () => grouping === 0, () => { grouping = 0; }], [t("byComponent"), () => grouping === 1, () => { grouping = 1; }], [t("documents"), () => unit === 3, () => { unit = 3; }], [t("bytes"), () => unit === 4, () => { unit = 4; }]]) {
      const b = choose(label, get, set); b.chosen = get; tools.append(b);
    }
    draw();
    return section("funnel", t("funnel"), t("funnelLead"), tools, body, stages(),
      h("details", null, h("summary", { class: "quiet" }, t("languages")), table(t("languages"), [t("languageColumn"), t("documents"), t("kept"), t("tokenCount")], overview.languages)));
  }
  function stages() {
    const box = h("div", null, h("p", { class: "quiet" }, t("counting")));
    accounting().then(({ stages: sums }) => box.replaceChildren(table(t("byStage"), sums.heads.map((head) => t(head)), sums.rows))).catch((error) => box.replaceChildren(fault(error)));
    return [h("h3", null, t("byStage")), box];
  }
  function shares() {
    const mix = overview.mixture;
    if (!mix) return section("shares", t("shares"), t("noMixture"));
    const meter = (got, want) => {
      const bar = h("i"), line = h("b"), box = h("div", { class: "meter", role: "img", "aria-label": `${t("got")} ${share(got, 1)}, ${t("asked")} ${share(want, 1)}` }, bar, line);
      bar.style.width = `${Math.min(got * 100, 100)}%`; line.style.left = `${Math.min(want * 100, 100)}%`;
      return box;
    };
    const exact = (x) => new Intl.NumberFormat(lang, { style: "percent", minimumFractionDigits: 2, maximumFractionDigits: 3 }).format(x);
    return section("shares", t("shares"), t("sharesLead"),
      table(t("component"), [t("component"), "", t("got"), t("asked"), t("mixture"), t("sequences")], mix.components.map((c) => [c.component, meter(c.achieved_share, c.share), exact(c.achieved_share), exact(c.share), count(c.achieved), count(c.sequences)])),
      table(t("source"), [t("source"), t("component"), t("mixture"), t("got"), t("available"), t("epochs")], mix.sources.filter((s) => s.achieved).map((s) => [s.source, s.component, count(s.achieved), exact(s.achieved / mix.achieved_tokens), count(s.available), number(+(s.achieved / s.available).toFixed(2))])));
  }
  function rules() {
    const figure = (value, label) => h("span", { class: "fig" }, count(value), h("small", null, label));
    const items = overview.rules.map((rule, index) => {
      const body = h("div", { class: "body" });
      const box = h("details", { class: "rule", id: `rule-${index}` },
        h("summary", null, h("span", { class: "cond" }, rule.text, h("small", null, `${rule.reason} · ${rule.step} · ${count(rule.asked)} ${t("documents")}`)),
          figure(rule.first[0], t("first")), figure(rule.breaks[0], t("breaks")), figure(rule.only[0], t("only"))), body);
      box.addEventListener("toggle", () => { if (box.open && !body.firstChild) openRule(index, body, box); });
      return box;
    });
    const square = h("details", null, h("summary", { class: "quiet" }, t("overlap")));
    square.addEventListener("toggle", () => {
      if (square.open && square.childElementCount < 2) { const box = h("div"); square.append(box); fill(box, "overlap", {}, (rows) => {
        const used = rows.map((row, i) => i).filter((i) => rows[i][i]);
        return [h("p", { class: "quiet" }, t("overlapLead")), table(t("overlap"), [t("rule"), ...used.map((i) => overview.rules[i].text)], used.map((i) => [overview.rules[i].text, ...used.map((j) => rows[i][j])]))];
      }); }
    });
    return section("rules", t("rules"), t("rulesLead") + (LIVE ? " " + t("rulesLive") : ""), items, square);
  }
  function openRule(index, body, box) {
    const rule = overview.rules[index];
    const plot = h("div"), docs = h("div");
    body.append(plot, docs);
    if (typeof rule.value === "number" && overview.signals.some((s) => s.name === rule.column)) {
      fill(plot, "signal", { key: rule.column }, (signal) => {
        let component = rule.scope in signal.components ? rule.scope : "*";
        const chart = h("div", { class: "chart" });
        const movable = LIVE && rule.movable;
        const edges = signal.edges, bins = edges.length - 1;
        const slider = h("input", { type: "range", min: 0, max: bins, step: 0.01, "aria-label": `${t("threshold")} ${rule.text}` });
        const exact = h("input", { type: "number", step: "any", "aria-label": `${t("threshold")} ${rule.text}` });
        const show = () => { slider.value = placeOf(edges, valueOf(index)); slider.setAttribute("aria-valuetext", number(valueOf(index))); exact.value = valueOf(index); box.classList.toggle("changed", changes.has(index)); };
        const set = (value) => {
          const fine = signal.edges[1] - signal.edges[0] > 5 || signal.log ? Math.round(value) : +value.toPrecision(3);
          if (fine === rule.value) changes.delete(index); else changes.set(index, fine);
          show(); redraw(); changed();
        };
        slider.addEventListener("input", () => set(valueAt(edges, +slider.value)));
        exact.addEventListener("change", () => { if (exact.value !== "") { const v = +exact.value; if (v === rule.value) changes.delete(index); else changes.set(index, v); show(); redraw(); changed(); } });
        body.showThreshold = show;
        const draw = () => { chart.replaceChildren(); histogram(chart, signal, component, 190, linesOf(signal, component), movable ? set : null); };
        const tools = h("div", { class: "tools" }, ["*", ...Object.keys(signal.components)].map((name) => button(name === "*" ? t("total") : name, (event) => {
          component = name; draw(); tools.querySelectorAll("button").forEach((b) => b.setAttribute("aria-pressed", String(b === event.target)));
        }, { "aria-pressed": String(name === component) })), h("span", { class: "quiet" }, `${count(signal.null)} ${t("nulls")}${signal.log ? ", " + t("log") : ""}`));
        requestAnimationFrame(draw); show();
        const numbers = h("details", null, h("summary", { class: "quiet" }, t("numbers")));
        numbers.addEventListener("toggle", () => { if (numbers.open && numbers.childElementCount < 2) { const { all, kept } = counted(signal, component); numbers.append(table(signal.name, [signal.name, t("allDocs"), t("keptDocs")], all.map((v, i) => [`${number(edges[i])} – ${number(edges[i + 1])}`, v, kept[i]]).filter((row) => row[1]))); } });
        return [tools, chart, movable ? h("div", { class: "slide" }, slider, exact, button(t("reset"), () => set(rule.value))) : null, numbers].filter(Boolean);
      });
    }
    const kinds = [["dropped", "droppedDocs"], ["nearly_kept", "nearly_kept"], ["nearly_dropped", "nearly_dropped"]];
    fill(docs, "samples", { key: index }, (found) => h("div", { class: "kinds" }, kinds.filter(([kind]) => found[kind]).map(([kind, label]) => h("div", null, h("h3", null, t(label)), found[kind].length ? found[kind].map(sample) : h("p", { class: "quiet" }, t("none"))))));
  }
  const sample = (doc) => h("article", { class: "doc" }, h("header", null, h("b", null, number2(doc.value)), h("span", null, [doc.source, doc.lang].filter(Boolean).join(" · ")), h("span", null, doc.origin), doc.url ? h("span", null, doc.url) : null, h("span", null, `${count(doc.length)} ${t("length")}`), openDoc(doc.id)), pieces(doc.excerpt));
  const number2 = (value) => typeof value === "number" ? number(value) : value === null || value === undefined ? "–" : String(value).slice(0, 40);
  function signalCell(name, tall) {
    const box = h("div", { class: "cell" }, h("h3", null, name));
    later(box, () => ask("signal", { key: name }).then((signal) => {
      const chart = h("div", { class: "chart" });
      box.replaceChildren(h("h3", null, name, " ", h("small", null, [signal.null ? `${count(signal.null)} ${t("nulls")}` : "", signal.log ? t("log") : ""].filter(Boolean).join(", "))), chart);
      histogram(chart, signal, "*", tall ? 200 : 120, linesOf(signal, "*"), null);
    }).catch((error) => box.append(fault(error))));
    return box;
  }
  function signals() {
    const ruled = overview.rules.map((rule) => rule.column);
    const shown = ["toxicity", "spam", "quality"].filter((name) => overview.signals.some((s) => s.name === name));
    const rest = overview.signals.filter((s) => !shown.includes(s.name)).sort((a, b) => ruled.includes(b.name) - ruled.includes(a.name));
    return [shown.length ? section("safety", t("safety"), t("safetyLead"), h("div", { class: "grid" }, shown.map((name) => signalCell(name, true)))) : null,
      section("signals", t("signals"), t("signalsLead"), h("div", { class: "grid" }, rest.map((s) => signalCell(s.name))))];
  }
  function duplicates() {
    const box = h("div");
    later(box, () => fill(box, "clusters", {}, (found) => [
      table(t("copies"), [t("kind"), t("copies")], found.kinds), table(t("clusters"), [t("documents"), t("clusters")], found.sizes.slice(0, 12)),
      ...found.largest.map((c) => h("details", { class: "rule" }, h("summary", null, h("span", { class: "cond" }, c.kept.origin, h("small", null, `${c.kept.source} · ${c.copy.source} ${c.copy.origin}`)), h("span", { class: "fig" }, count(c.size), h("small", null, t("documents"))), h("span", { class: "fig" }, c.copy.duplicate_kind || "–", h("small", null, t("kind"))), h("span")),
        h("div", { class: "body" }, h("p", { class: "quiet" }, h("del", null, t("survivor")), " ", h("ins", null, t("copy")), " ", openDoc(c.kept.id), " ", openDoc(c.copy.id)), pieces(c.diff), h("h3", null, t("members")), table(t("members"), ["id", t("source"), "origin", t("kind")], c.members.map((m) => [m.id.slice(0, 12), m.source, m.origin, m.duplicate_kind || t("survivor")])))))]));
    return section("duplicates", t("duplicates"), t("duplicatesLead"), box);
  }
  function pii() {
    const box = h("div");
    later(box, () => fill(box, "pii", {}, (rows) => rows.length ? table(t("pii"), [t("type"), t("source"), t("spans"), t("documents")], rows.map(([source, type, n, docs]) => [type, source, n, docs])) : h("p", { class: "quiet" }, t("noPii"))));
    return section("pii", t("pii"), t("piiLead"), box);
  }
  function tokenizer() {
    const { card, components } = overview.tokenizer;
    if (!components.length) return null;
    return section("tokenizer", t("tokenizer"), `${t("vocabulary")}: ${number(card.vocab_size)}`, table(t("tokenizer"), [t("component"), t("documents"), t("tokenCount"), t("perDoc"), t("bpt"), t("cpt")], components.map(([name, docs, bytes, chars, tokens]) => [name, docs, tokens, number(tokens / docs), (bytes / tokens).toFixed(3), (chars / tokens).toFixed(3)])));
  }
  function costs() {
    const bytes = overview.funnel.reduce((n, line) => n + line[4], 0);
    return section("costs", t("costs"), t("costsLead"), overview.runs.slice().reverse().slice(0, 5).map((run) => [
      h("h3", null, `${run.started} · ${number(run.seconds)} s · ${run.runner.name}, ${run.runner.workers} ${t("workers")} · ${t("peak")} ${mega(run.peak_rss_bytes)}`),
      table(t("costs"), [t("step"), t("seconds"), t("shards"), t("rate")], run.steps.filter((s) => s.ran).map((s) => [s.step, s.seconds, `${s.ran} / ${s.shards}`, s.seconds ? number(bytes / 1e6 / s.seconds) : "–"])),
      h("details", null, h("summary", { class: "quiet" }, t("versions")), table(t("versions"), ["", ""], Object.entries(run.versions)))]));
  }

  // What if (live only)

  const ruleText = (index) => { const rule = overview.rules[index]; const null_ = rule.text.includes(", null: ") ? `, null: ${rule.null}` : ""; return `${rule.scope}.${rule.column}${rule.op}${changes.get(index)}${null_}`; };
  let busy = false, waiting = false;
  async function changed() {
    if (busy) { waiting = true; return; }
    busy = true;
    do { waiting = false; await answer(); } while (waiting);
    busy = false;
  }
  async function answer() {
    const box = document.getElementById("what-if");
    if (!changes.size) { box.hidden = true; box.replaceChildren(); return; }
    const texts = [...changes.keys()].map(ruleText);
    try {
      const found = await ask("what-if", { rule: texts });
      const bounds = [found.kept_after_at_least < found.kept_after ? `${t("atLeast")} ${count(found.kept_after_at_least)}` : "", found.kept_after_at_most > found.kept_after ? `${t("atMost")} ${count(found.kept_after_at_most)}` : ""].filter(Boolean);
      const more = bounds.length ? ` (${bounds.join(", ")})` : "";
      const delta = found.kept_after - found.kept_before;
      const rows = Object.entries(found.sources).map(([name, c]) => [name, count(c.kept_before), `${count(c.newly_dropped)}`, mega(c.newly_dropped_bytes), count(c.newly_dropped_tokens), count(c.newly_kept), mega(c.newly_kept_bytes), (c.newly_kept_tokens ? "≈ " : "") + count(c.newly_kept_tokens), count(c.unknown), count(c.at_risk)]);
      const heads = [t("source"), t("keptBefore"), t("newlyDropped"), t("bytes"), t("tokenCount"), t("newlyKept"), t("bytes"), t("tokenCount"), t("unknown"), t("atRisk")];
      const reasons = Object.entries(found.reasons).filter(([, [a, b]]) => a !== b);
      box.replaceChildren(
        h("div", { class: "row" }, h("strong", null, t("whatIf"), ": ", texts.join(", ")), h("span", { id: "answer", role: "status" }, `${count(found.kept_before)} → ${count(found.kept_after)}${more} `, h("b", { class: delta < 0 ? "bad" : "good" }, (delta > 0 ? "+" : "") + count(delta))),
          h("div", { class: "tools" }, button(t("exportRules"), exportRules, { class: "main" }), button(t("reset"), () => { changes.clear(); document.querySelectorAll(".body").forEach((b) => b.showThreshold?.()); redraw(); changed(); }))),
        table(t("whatIf"), heads, rows), reasons.length ? h("p", { class: "quiet" }, reasons.map(([name, [a, b]]) => `${name} ${count(a)} → ${count(b)}`).join(" · ")) : "", Object.values(found.sources).some((c) => c.newly_kept_tokens) ? h("p", { class: "quiet" }, t("estimated")) : "", found.clusters === "assumed" ? h("p", { class: "quiet" }, t("assumed")) : "");
      box.hidden = false;
      box.dataset.rules = texts.join(" ");
    } catch (error) { box.hidden = false; box.replaceChildren(fault(error)); }
  }
  async function exportRules() {
    const { yaml } = await ask("rules", { rule: [...changes.keys()].map(ruleText) });
    const file = h("a", { href: URL.createObjectURL(new Blob([yaml], { type: "text/yaml" })), download: "rules.yaml" }, "rules.yaml");
    dialog(t("exportRules"), h("pre", { class: "yaml", tabindex: "0" }, yaml), h("p", null, file));
  }

  // One document, and search (live only)

  function dialog(title, ...children) {
    const box = document.getElementById("reader");
    box.setAttribute("aria-label", title);
    box.replaceChildren(h("div", { class: "top" }, h("h2", null, title), button(t("close"), () => box.close(), { autofocus: true })), h("div", null, children));
    if (!box.open) { history.pushState({ dialog: true }, ""); box.showModal(); }
    box.scrollTop = 0;
  }
  async function showDocument(id) {
    try {
      const doc = await ask("document", { id });
      const facts = Object.entries(doc.document).filter(([, v]) => v !== null).map(([k, v]) => [k, h("span", null, String(v))]);
      const broken = doc.rules.find((r) => r.holds === false);
      const path = overview.steps.map((step) => {
        const stops = broken && overview.rules.find((r) => r.text === broken.rule)?.step === step;
        return h("li", { class: stops ? "no" : "ok" }, stops ? `${step}: ${broken.reason}` : step);
      });
      const end = path.findIndex((li) => li.className === "no");
      const placed = doc.placed.length ? table(t("whereTokens"), ["shard", "sequence", "epoch", t("tokenCount")], doc.placed.map((p) => [p.shard, count(p.sequence), p.epoch, `${count(p.first_token)} – ${count(p.first_token + p.tokens)}`])) : h("p", { class: "quiet" }, t("noTokens"));
      dialog(doc.id,
        h("p", null, t("verdict"), ": ", h("strong", { class: doc.verdict === "kept" ? "good" : "bad" }, doc.verdict === "kept" ? t("kept") : doc.verdict), ` · ${count(doc.length)} ${t("length")}`),
        h("ol", { class: "path", "aria-label": t("path") }, end < 0 ? [...path, h("li", { class: doc.placed.length ? "ok" : "" }, `mix: ${doc.placed.length}`)] : path.slice(0, end + 1)),
        pieces(doc.text), table(t("document"), ["", t("value")], facts), placed,
        table(t("rules"), [t("rule"), t("value"), t("holds")], doc.rules.map((r) => [r.rule, number2(r.value), r.holds === null ? t("unmeasured") : r.holds ? t("yes") : h("strong", { class: "bad" }, t("no"))])),
        doc.duplicates.length ? h("p", null, t("sameCluster"), ": ", doc.duplicates.map((d) => [button(d.slice(0, 12), () => showDocument(d), { class: "link" }), " "])) : null,
        h("h3", null, t("signals")), Object.entries(doc.annotations).map(([step, values]) => h("details", null, h("summary", { class: "quiet" }, step), table(step, ["", t("value")], Object.entries(values).filter(([, v]) => v !== null).map(([k, v]) => [k, typeof v === "object" ? JSON.stringify(v) : number2(v)])))));
    } catch (error) { dialog(t("error"), fault(error)); }
  }
  async function search(event) {
    event.preventDefault();
    const words = document.getElementById("query").value;
    try {
      const found = await ask("search", { q: words });
      const shown = found.documents;
      dialog(`${words} · ${found.more ? t("firstFound", count(shown.length)) : `${count(shown.length)} ${t("found")}`}`, shown.length ? shown.map((doc) => h("article", { class: "doc" }, h("header", null, h("b", { class: doc.verdict === "kept" ? "good" : "bad" }, doc.verdict === "kept" ? t("kept") : doc.verdict), h("span", null, [doc.source, doc.lang].filter(Boolean).join(" · ")), h("span", null, doc.origin), doc.url ? h("span", null, doc.url) : null, openDoc(doc.id)), pieces(doc.excerpt))) : h("p", null, t("nothing")));
    } catch (error) { dialog(t("error"), fault(error)); }
  }

  // The page

  function page() {
    root.lang = lang;
    root.classList.toggle("dark", dark);
    root.classList.toggle("live", LIVE);
    document.title = `${overview.name} · Bibim ${t("audit")}`;
    document.querySelector(".skip").textContent = t("skip");
    put(Object.assign(document.getElementById("run-name"), { textContent: "" }), `Bibim ${t("audit")}`);
    const language = document.getElementById("language"), theme = document.getElementById("theme");
    language.textContent = t("language"); language.lang = lang === "en" ? "ko" : "en";
    theme.textContent = t(dark ? "light" : "theme");
    const query = document.getElementById("query");
    query.placeholder = t("search"); query.setAttribute("aria-label", t("search"));
    document.getElementById("search").hidden = !LIVE;
    charts.clear();
    const top = scrollY;
    for (const node of document.querySelectorAll("main details[open]")) { const path = pathOf(node); if (path) wasOpen.add(path); }
    const parts = [summary(), findings(), funnel(), shares(), rules(), signals(), duplicates(), pii(), tokenizer(), costs()].flat().filter(Boolean);
    const contents = document.getElementById("contents");
    contents.setAttribute("aria-label", t("contents"));
    contents.replaceChildren(...parts.slice(1).map((part) => h("a", { href: `#${part.id}` }, part.querySelector("h2").textContent)));
    document.getElementById("main").replaceChildren(...parts);
    reopen();
    if (top) scrollTo(0, top);
    if (changes.size) changed();
  }
  addEventListener("DOMContentLoaded", async () => {
    document.getElementById("language").addEventListener("click", () => { lang = lang === "en" ? "ko" : "en"; keep("bibim-lang", lang); page(); });
    document.getElementById("theme").addEventListener("click", () => { dark = !dark; keep("bibim-theme", dark ? "dark" : "light"); root.classList.toggle("dark", dark); document.getElementById("theme").textContent = t(dark ? "light" : "theme"); redraw(); });
    document.getElementById("search").addEventListener("submit", search);
    root.lang = lang; root.classList.toggle("dark", dark);
    const reader = document.getElementById("reader");
    reader.addEventListener("close", () => { if (history.state?.dialog) history.back(); });
    addEventListener("popstate", () => { if (reader.open && !history.state?.dialog) reader.close(); });
    if (history.state?.dialog) history.replaceState(null, "");
    try {
      overview = await ask("overview"); page(); land();
      new ResizeObserver(() => { if (following) land(); }).observe(document.getElementById("main"));
      setTimeout(() => { following = false; }, 5000);
    } catch (error) { document.getElementById("main").replaceChildren(fault(error)); }
    document.body.dataset.ready = "true";
  });
})();
