"use strict";

// What the node says is set as text or as an attribute, never as HTML. The page's policy has the browser see to that.

const second = 1000, minute = 60 * second, hour = 60 * minute;

const at = id => document.getElementById(id);

// show changes a text only where it differs, so that screen readers do not say it again.
function show(node, text) {
	if (node.textContent !== text) node.textContent = text;
}

function make(tag, attributes = {}, ...content) {
	const node = document.createElement(tag);
	for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
	node.append(...content);
	return node;
}

// Numbers and times for people.

const number = n => n.toLocaleString("en");
const short = n => n < 10000 ? number(n) : n.toLocaleString("en", {notation: "compact", maximumFractionDigits: 1});
const rate = n => n.toLocaleString("en", {maximumFractionDigits: n < 10 ? 1 : 0});
const mean = n => n.toLocaleString("en", {minimumFractionDigits: 1, maximumFractionDigits: 1});
const clock = ms => new Date(ms).toLocaleTimeString("en-GB", {hour: "2-digit", minute: "2-digit"});
const share = (part, all) => all > 0 ? part / all : 0;

function percent(x) {
	if (x > 0 && x < 0.001) return "<0.1\u00a0%";
	return (100 * x).toLocaleString("en", {maximumFractionDigits: x < 0.1 ? 1 : 0}) + "\u00a0%";
}

function bytes(n) {
	for (const unit of ["bytes", "KiB", "MiB"]) {
		if (n < 1024) return (n < 10 && unit !== "bytes" ? n.toFixed(1) : Math.round(n)) + " " + unit;
		n /= 1024;
	}
	return n.toFixed(1) + " GiB";
}

function duration(ms) {
	const s = Math.max(0, Math.round(ms / second));
	const parts = [[Math.floor(s / 86400), "d"], [Math.floor(s / 3600) % 24, "h"], [Math.floor(s / 60) % 60, "min"], [s % 60, "s"]];
	const first = parts.findIndex(([n]) => n > 0);
	if (first < 0) return "0 s";
	return parts.slice(first, first + 2).filter(([n]) => n > 0).map(([n, unit]) => n + " " + unit).join(" ");
}

// The history, added up in spans of equal length.

// A node that has nothing to do takes no samples. What the one before counts is taken to have come at its beginning.
const idle = {Received: 0, Sent: 0, Dropped: 0, Batches: 0, LoopsSent: 0, LoopsLost: 0};
const samplePeriod = 10 * second;

function samplesOf(stats) {
	const now = Date.parse(stats.Now), all = [];
	for (const [i, s] of (stats.History || []).entries()) {
		const from = Date.parse(s.At), to = i + 1 < stats.History.length ? Date.parse(stats.History[i + 1].At) : now;
		for (let at = from; at === from || at + samplePeriod < to; at = Math.max(at + samplePeriod, now - hour)) {
			const ms = to - at < 2 * samplePeriod ? to - at : samplePeriod;
			all.push({...(at === from ? s : idle), at, ms: Math.max(1, ms)});
		}
	}
	return all.filter(s => s.at > now - hour && s.at <= now);
}

function sum(samples) {
	const total = {ms: 0, received: 0, sent: 0, dropped: 0, batches: 0, senders: 0, least: 0, most: 0, loops: 0, lost: 0};
	for (const s of samples) {
		total.ms += s.ms;
		total.received += s.Received;
		total.sent += s.Sent;
		total.dropped += s.Dropped;
		total.loops += s.LoopsSent;
		total.lost += s.LoopsLost;
		if (s.Batches === 0) continue;
		total.least = total.batches === 0 ? s.MinSenders : Math.min(total.least, s.MinSenders);
		total.most = Math.max(total.most, s.MaxSenders);
		total.batches += s.Batches;
		total.senders += s.Batches * s.MeanSenders;
	}
	total.mean = share(total.senders, total.batches);
	total.in = total.received / Math.max(total.ms, 1) * second;
	total.out = total.sent / Math.max(total.ms, 1) * second;
	total.gone = total.dropped / Math.max(total.ms, 1) * second;
	total.loss = share(total.lost, Math.max(total.loops, total.lost)); // what is lost may have been sent a span earlier
	return total;
}

function spans(samples, width) {
	const groups = Map.groupBy(samples, s => Math.floor(s.at / width) * width);
	const all = [...groups].map(([from, group]) => ({from, width, ...sum(group)}));
	// What is cut off, by the hour before or by now, is too short to tell a rate.
	if (all.length > 1 && all[0].ms < width / 2) all.shift();
	if (all.length > 1 && all.at(-1).ms < 5 * second) all.pop();
	return all;
}

// Charts.

const margin = {left: 44, right: 8, top: 10, bottom: 22};
const charts = new Map(); // what was drawn last, by its svg

function shape(tag, attributes, text) {
	const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
	for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
	if (text !== undefined) node.textContent = text;
	return node;
}

function roundStep(least) {
	const power = 10 ** Math.floor(Math.log10(least));
	return [1, 2, 5, 10].find(n => n * power >= least * 0.999) * power;
}

// runs splits spans where one has no value, or more than one is missing: samples begin when something happens, and now and
// then one begins so late that it skips a span.
function runs(all, value) {
	const found = [];
	let last = null;
	for (const span of all) {
		if (value(span) === null) {
			last = null;
			continue;
		}
		if (last === null || span.from - last.from > 2 * span.width) found.push([]);
		found.at(-1).push(span);
		last = span;
	}
	return found;
}

// draw fills an svg. A chart has the times from and to, spans, and functions of a span: lines by their class, a band, or
// bars, null where there is no value; the top that its axis has at least; tick, a label of that axis; say, words.
function draw(svg, chart) {
	charts.set(svg, chart);
	const width = svg.clientWidth, height = svg.clientHeight;
	if (width === 0) return;
	const {from, to, lines = {}, band, bars} = chart;
	const values = chart.spans.flatMap(s => [...Object.values(lines).map(f => f(s)), band ? band(s)?.[1] : 0, bars ? bars(s) : 0]);
	const highest = Math.max(chart.top, ...values.map(v => v ?? 0));
	const step = Math.max(roundStep(highest / 4), chart.step ?? 0), top = Math.ceil(highest / step - 1e-9) * step;
	const x = ms => margin.left + (ms - from) / (to - from) * (width - margin.left - margin.right);
	const y = v => height - margin.bottom - v / top * (height - margin.top - margin.bottom);
	const middle = s => Math.min(s.from + s.width / 2, to);
	const parts = [];

	for (let v = 0; v <= top + step / 2; v += step) {
		parts.push(shape("line", {class: "grid", x1: margin.left, x2: width - margin.right, y1: y(v), y2: y(v)}));
		parts.push(shape("text", {x: margin.left - 6, y: y(v) + 4, "text-anchor": "end"}, chart.tick(v)));
	}
	const ticks = (to - from) / (to - from < hour ? 5 : width < 420 ? 3 : 6);
	for (let ms = Math.ceil(from / ticks) * ticks; ms <= to; ms += ticks) {
		if (x(ms) > width - 24) continue;
		parts.push(shape("line", {class: "grid", x1: x(ms), x2: x(ms), y1: height - margin.bottom, y2: height - margin.bottom + 4}));
		parts.push(shape("text", {x: x(ms), y: height - 4, "text-anchor": "middle"}, clock(ms)));
	}
	// A run of one span is drawn as wide as the span is.
	const corners = run => run.length > 1 ? run.map(s => [x(middle(s)), s]) : [[x(run[0].from), run[0]], [x(run[0].from + run[0].width), run[0]]];
	const path = points => "M" + points.map(([px, py]) => px.toFixed(1) + " " + py.toFixed(1)).join("L");
	if (band) {
		for (const run of runs(chart.spans, band)) {
			const upper = corners(run).map(([px, s]) => [px, y(band(s)[1])]);
			const lower = corners(run).map(([px, s]) => [px, y(band(s)[0])]);
			parts.push(shape("path", {class: "band", d: path([...upper, ...lower.reverse()]) + "Z"}));
		}
	}
	if (bars) {
		for (const s of chart.spans) {
			const left = Math.max(x(s.from), margin.left), right = Math.min(x(s.from + s.width), width - margin.right);
			if (bars(s) > 0) parts.push(shape("rect", {class: "bar", x: left + 1, y: y(bars(s)), width: Math.max(right - left - 2, 1), height: y(0) - y(bars(s))}));
		}
	}
	for (const [name, value] of Object.entries(lines)) {
		for (const run of runs(chart.spans, value)) {
			parts.push(shape("path", {class: name, d: path(corners(run).map(([px, s]) => [px, y(value(s))]))}));
		}
	}
	// What the pointer is on.
	let read = "";
	const pointed = svg.dataset.pointer && chart.spans.find(s => x(s.from) <= svg.dataset.pointer && svg.dataset.pointer < x(s.from + s.width));
	if (pointed) {
		parts.push(shape("line", {class: "cursor", x1: x(middle(pointed)), x2: x(middle(pointed)), y1: margin.top, y2: height - margin.bottom}));
		read = clock(pointed.from) + (pointed.width < minute ? ":" + String(pointed.from / second % 60).padStart(2, "0") : "") + " – " + chart.say(pointed);
	}
	show(at(svg.id + "-read"), read);
	svg.replaceChildren(...parts);
}

function prepare(svg) {
	const point = event => {
		svg.dataset.pointer = event.clientX - svg.getBoundingClientRect().left;
		if (charts.has(svg)) draw(svg, charts.get(svg));
	};
	svg.addEventListener("pointermove", point);
	svg.addEventListener("pointerdown", point);
	svg.addEventListener("pointerleave", () => {
		delete svg.dataset.pointer;
		if (charts.has(svg)) draw(svg, charts.get(svg));
	});
	new ResizeObserver(() => charts.has(svg) && draw(svg, charts.get(svg))).observe(svg);
}
