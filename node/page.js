// This goes on where page_charts.js ends.

const every = 3 * second; // how often the node is asked
const patience = 5 * second;

["senders", "packets", "loops"].forEach(id => prepare(at(id)));

function renderCharts(stats, samples) {
	const to = Date.parse(stats.Now);
	const young = samples.length === 0 || to - samples[0].at < hour / 4;
	const from = to - (young ? hour / 4 : hour);
	const fine = spans(samples, young ? 10 * second : minute), coarse = spans(samples, young ? minute : 3 * minute);
	const total = sum(samples);
	const period = young ? "Since " + clock(samples[0]?.at ?? to) : "In the last hour";

	const batches = n => n === 1 ? "1 batch" : number(n) + " batches";
	const sets = t => t.batches ? `smallest ${number(t.least)}, mean ${mean(t.mean)}, largest ${number(t.most)}, of ${batches(t.batches)}` : "no batch";
	draw(at("senders"), {
		from, to, spans: fine, top: 4, step: 1, tick: number, say: sets,
		band: s => s.batches ? [s.least, s.most] : null, lines: {mean: s => s.batches ? s.mean : null},
	});
	show(at("senders-text"), period + ": " + sets(total) + ".");

	const flow = t => `${rate(t.in)} in, ${rate(t.out)} out, ${rate(t.gone)} dropped`;
	draw(at("packets"), {from, to, spans: fine, top: 1, tick: short, say: flow, lines: {in: s => s.in, out: s => s.out, gone: s => s.gone}});
	show(at("packets-text"), period + ", per second in the mean: " + flow(total) + ".");

	const loops = t => t.loops || t.lost ? `${number(t.lost)} lost of ${number(t.loops)} (${percent(t.loss)})` : "no loops";
	draw(at("loops"), {from, to, spans: coarse, top: 0.02, tick: percent, say: loops, bars: s => s.loss});
	show(at("loops-text"), period + ": " + loops(total) + ".");

	if (at("hour").open) {
		at("hour-rows").replaceChildren(...spans(samples, 5 * minute).map(s => make("tr", {},
			make("th", {scope: "row"}, clock(s.from)),
			...[rate(s.in), rate(s.out), number(s.dropped), number(s.batches), s.batches ? number(s.least) : "–", s.batches ? mean(s.mean) : "–",
				s.batches ? number(s.most) : "–", number(s.loops), number(s.lost)].map(text => make("td", {class: "n"}, text)))));
	}
}

// The head and the tiles.

const marks = {serving: ["●", "good"], starting: ["◐", ""], unlisted: ["○", "bad"], leaving: ["◑", ""]};

function renderState(mark, words, look) {
	const state = at("state");
	state.className = "state " + look;
	if (state.textContent !== mark + " " + words) state.replaceChildren(make("span", {"aria-hidden": "true"}, mark), " " + words);
	document.title = `${mark} ${words} · ${at("name").textContent.slice(0, 8)} · mixnet`;
}

function renderProblems(problems) {
	const box = at("problems");
	box.hidden = problems.length === 0;
	if (box.dataset.shown === problems.join("\n")) return;
	box.dataset.shown = problems.join("\n");
	box.replaceChildren(...problems.map(text => make("p", {}, "⚠\ufe0e " + text)));
}

function renderTiles(stats, samples) {
	const now = Date.parse(stats.Now);
	const recent = sum(samples.filter(s => s.at > now - minute)), all = sum(samples);
	const tile = (id, figure, more, bad = false) => {
		show(at(id), (bad ? "⚠\ufe0e " : "") + figure);
		at(id).classList.toggle("bad", bad);
		show(at(id === "senders-now" ? "senders-more" : id + "-more"), more);
	};
	tile("in", rate(recent.in) + "\u00a0/s", short(stats.Received) + " since the start");
	tile("out", rate(recent.out) + "\u00a0/s", `${short(stats.Sent)} to mixes, ${short(stats.Served)} to services, ${short(stats.Delivered)} to clients`);
	const bare = recent.batches > 0 && recent.least < 2;
	const sizes = recent.least === recent.most ? number(recent.least) : `${number(recent.least)} to ${number(recent.most)}`;
	tile("senders-now", recent.batches ? mean(recent.mean) : "–", !recent.batches ? "no batch in the last minute"
		: sizes + " in the last minute" + (bare ? "; a batch of one sender hides nobody" : ""), bare);
	const cover = stats.LoopsSent > 0;
	tile("loss", cover ? percent(all.loss) : "–", cover ? `${number(all.lost)} of ${number(all.loops)} in the last hour` : "no loops were sent", all.loss > 0.05);
	tile("dropped", percent(share(all.dropped, all.dropped + all.sent)), `${short(all.dropped)} in the last hour`);
	tile("held", number(stats.Held), bytes(stats.Memory) + " in the node");
}

function renderHead(stats, problems) {
	show(at("name"), /^0+$/.test(stats.Node) ? "without a name yet" : stats.Node);
	show(at("address"), stats.Address);
	show(at("strategy"), stats.Strategy || "–");
	show(at("version"), stats.Version || "–");
	const started = Date.parse(stats.Started);
	show(at("uptime"), started > 0 ? duration(Date.parse(stats.Now) - started) : "–");
	const [mark, look] = marks[stats.State] || ["?", ""];
	if (stats.State === "serving" && problems.length > 0) renderState("▲", "serving, with problems", "bad");
	else renderState(mark, stats.State, look);
	renderProblems(problems);
}

// Keys and the network.

const places = ["previous", "current", "next"];
const keys = places.map(place => {
	const card = {
		title: make("h3"), when: make("p"), tags: make("p"), failed: make("p", {class: "bad"}),
		bar: make("div", {class: "gauge", role: "meter", "aria-valuemin": 0, "aria-valuemax": 100, "aria-label": `Replay tags used of the ${place} key`}, make("div")),
	};
	at("keys").append(make("div", {}, card.title, card.when, card.bar, card.tags, card.failed));
	return card;
});

function renderKeys(stats) {
	const now = Date.parse(stats.Now);
	const found = {};
	for (const epoch of stats.Epochs || []) {
		if (epoch.Current) found.current = epoch;
		else if (Date.parse(epoch.Ends) <= now) found.previous = epoch;
		else found.next ??= epoch;
	}
	places.forEach((place, i) => {
		const epoch = found[place], card = keys[i];
		const begins = Date.parse(epoch?.Begins), ends = Date.parse(epoch?.Ends);
		show(card.title, place[0].toUpperCase() + place.slice(1) + (epoch ? ", epoch " + epoch.Number : ""));
		show(card.when, !epoch ? "no key" : ends <= now ? `ended ${duration(now - ends)} ago` : begins > now ? `begins in ${duration(begins - now)}` : `ends in ${duration(ends - now)}, at ${clock(ends)}`);
		card.when.classList.toggle("none", !epoch);
		card.bar.hidden = card.tags.hidden = !epoch;
		card.failed.hidden = !epoch?.Failed;
		if (!epoch) return;
		const used = share(epoch.Tags, epoch.MaxTags);
		card.bar.firstChild.style.width = 100 * used + "%";
		card.bar.setAttribute("aria-valuenow", Math.round(100 * used));
		show(card.tags, `${number(epoch.Tags)} of ${number(epoch.MaxTags)} replay tags used (${percent(used)})`);
		show(card.failed, "✕ Its replay set is full or cannot be written: every packet for this key is refused.");
	});
}

// until says how long something is good that expires.
function until(expires, now) {
	const left = Date.parse(expires) - now;
	return left > 0 ? "in " + duration(left) : `⚠\ufe0e expired ${duration(-left)} ago`;
}

function renderEvidence(stats) {
	const now = Date.parse(stats.Now), evidence = stats.Attestation;
	at("evidence").hidden = !evidence;
	if (!evidence) return;
	const left = Date.parse(evidence.Until) - now;
	show(at("attestor"), evidence.Kind === "soft" ? "soft, which proves nothing of this machine" : evidence.Kind.toUpperCase());
	show(at("attested-until"), left > 0 ? "for another " + duration(left) : "⚠\ufe0e there is none that is good");
	show(at("log-used"), percent(evidence.LogUsed) + " full" + (evidence.LogUsed > 0.9 ? ": start the machine anew soon" : ""));
	at("evidence-failed").hidden = !evidence.Failure;
	show(at("evidence-failed"), "⚠\ufe0e The last attempt failed: " + evidence.Failure);
}

function renderNetwork(stats) {
	const now = Date.parse(stats.Now), view = stats.View, policy = view?.Policy;
	show(at("view-mixes"), view ? number(view.Mixes) : "no view yet");
	show(at("view-expires"), view ? until(view.Expires, now) : "–");
	show(at("view-published"), view ? duration(now - Date.parse(view.Published)) + " ago" : "–");
	show(at("view-version"), view ? String(view.Version) : "–");
	show(at("view-refused"), view ? number(view.Refused) : "–");
	show(at("policy-version"), policy ? String(policy.Version) : "no policy");
	show(at("policy-expires"), policy ? until(policy.Expires, now) : "–");
	show(at("links-mixes"), number(stats.Links.Mixes));
	show(at("links-others"), number(stats.Links.Others));
}

// Peers.

const heads = [...document.querySelectorAll("#peers thead th")];
const columns = [p => p.Node, p => p.Address, p => p.Connected ? 2 : p.Queue ? 1 : 0, p => p.Queue, p => p.Sent, p => p.Lost, p => share(p.Lost, p.Sent + p.Lost)];
const maxRows = 300; // more take a browser long
const order = {column: 0, down: false};
const rows = new Map(); // by node id
let peers = [];

heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
	order.down = order.column === column ? !order.down : column >= 3;
	order.column = column;
	heads.forEach(h => h.removeAttribute("aria-sort"));
	head.setAttribute("aria-sort", order.down ? "descending" : "ascending");
	renderPeers();
}));

function rowOf(peer) {
	if (!rows.has(peer.Node)) {
		rows.set(peer.Node, make("tr", {}, make("th", {scope: "row", class: "id"}), make("td"), ...columns.slice(2).map((_, i) => make("td", {class: i ? "n" : ""}))));
	}
	const row = rows.get(peer.Node), lost = share(peer.Lost, peer.Sent + peer.Lost), bad = lost > 0.01;
	const link = peer.Connected ? "● up" : peer.Queue ? "◌ dialling" : "○ none";
	[peer.Node, peer.Address, link, number(peer.Queue), number(peer.Sent), number(peer.Lost), (bad ? "⚠\ufe0e " : "") + percent(lost)]
		.forEach((text, i) => show(row.cells[i], text));
	row.cells[6].classList.toggle("bad", bad);
	return row;
}

function renderPeers() {
	const value = columns[order.column], sign = order.down ? -1 : 1;
	const sorted = peers.toSorted((a, b) => sign * (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0)).slice(0, maxRows).map(rowOf);
	const body = at("peers").tBodies[0];
	if (sorted.length !== body.rows.length || sorted.some((row, i) => row !== body.rows[i])) body.replaceChildren(...sorted);
	const listed = new Set(peers.map(p => p.Node));
	for (const id of rows.keys()) if (!listed.has(id)) rows.delete(id);
	const up = peers.filter(p => p.Connected).length;
	show(at("peers-text"), peers.length ? `${number(up)} of ${number(peers.length)} connected` + (peers.length > maxRows ? `; the first ${maxRows} are shown` : "") : "Nothing has been sent to another mix yet.");
}

// Drops.

const reasons = [...document.querySelectorAll("#drops tbody tr")];
let earlier = []; // what was dropped in the last minute's answers, oldest first
let allReasons = false;

at("drops-all").addEventListener("click", () => {
	allReasons = !allReasons;
	renderToggle();
});

function renderToggle() {
	at("drops").classList.toggle("some", !allReasons);
	show(at("drops-all"), allReasons ? "Show only what happened" : `Show all ${reasons.length} reasons`);
}

function renderDrops(stats) {
	const now = Date.parse(stats.Now), dropped = stats.Dropped || {};
	if (earlier.length > 0 && earlier[0].started !== stats.Started) earlier = []; // another run of the node
	earlier.push({now, started: stats.Started, dropped});
	while (earlier.length > 2 && earlier[1].now <= now - minute) earlier.shift();
	const first = earlier[0], known = now - first.now >= second;
	let total = 0;
	for (const row of reasons) {
		const reason = row.dataset.reason, count = dropped[reason] || 0;
		total += count;
		show(row.cells[1], number(count));
		show(row.cells[2], known ? number(count - (first.dropped[reason] || 0)) : "–");
		row.classList.toggle("zero", count === 0);
	}
	show(at("drops").tHead.rows[0].cells[2], known && now - first.now < minute ? `Last ${duration(now - first.now)}` : "Last minute");
	show(at("drops-text"), total ? `${number(total)} packets since the start.` : "No packet has been dropped since the node started.");
	renderToggle();
}

// Asking the node, over and over.

let timer = 0, seen = 0, last = null;

function render() {
	const {stats, problems} = last, samples = samplesOf(stats);
	peers = stats.Peers || [];
	renderHead(stats, problems);
	renderTiles(stats, samples);
	renderCharts(stats, samples);
	renderKeys(stats);
	renderEvidence(stats);
	renderNetwork(stats);
	renderPeers();
	renderDrops(stats);
	show(at("updated"), "As of " + new Date(stats.Now).toLocaleString("en-GB") + ", every " + duration(every));
}

async function ask() {
	const get = path => fetch(path, {signal: AbortSignal.timeout(patience)});
	const [stats, health] = await Promise.all([get("/stats"), get("/healthz")]);
	if (!stats.ok) throw new Error(await stats.text());
	const lines = (await health.text()).trim().split("\n");
	return {stats: await stats.json(), problems: health.ok ? [] : lines};
}

async function turn() {
	clearTimeout(timer);
	try {
		last = await ask();
		seen = Date.now();
	} catch {
		last = null;
	}
	timer = setTimeout(turn, document.hidden ? 10 * every : every);
	document.body.classList.toggle("stale", last === null);
	if (last !== null) return render();
	renderState("✕", "does not answer", "bad");
	renderProblems([seen ? `The node has not answered since ${clock(seen)}. What is below is from then.` : "The node does not answer."]);
}

document.addEventListener("visibilitychange", () => document.hidden || turn());
at("hour").addEventListener("toggle", () => last && render());
turn();
