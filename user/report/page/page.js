// SPDX-License-Identifier: GPL-2.0-or-later
// The report's page. All names in the data come from programs that were watched: they go into text
// nodes and onto the canvas, nowhere else.
'use strict';

const ROW = 18, LABEL = 20, GAP = 8, AXIS = 24, CARDS = 50, FRAMES = 12, NONE = -1;
const NS = { ns: 1, us: 1e3, ms: 1e6, s: 1e9, min: 6e10, h: 3.6e12 };

const byId = (id) => document.getElementById(id);

function make(tag, style, ...children) {
	const node = document.createElement(tag);
	if (style) node.className = style;
	for (const child of children)
		node.append(child instanceof Node ? child : document.createTextNode(String(child)));
	return node;
}

async function unpack() {
	const node = byId('data'), text = atob(node.textContent.trim());
	const bytes = new Uint8Array(text.length);
	for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
	const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
	node.remove();
	return new Response(stream).json();
}

// A column of differences as one of values.
function sums(column) {
	const out = new Float64Array(column.length);
	let sum = 0;
	for (let i = 0; i < column.length; i++) out[i] = sum += column[i];
	return out;
}

function duration(ns) {
	if (ns === 0) return '0';
	const size = Math.abs(ns);
	const unit = size < NS.us ? 'ns' : size < NS.ms ? 'us' : size < NS.s ? 'ms' : size < 10 * NS.min ? 's' : size < 10 * NS.h ? 'min' : 'h';
	return `${+(ns / NS[unit]).toPrecision(4)} ${unit === 'us' ? '\u00b5s' : unit}`;
}

const plural = (count, one, many) => `${count.toLocaleString('en')} ${count === 1 ? one : many}`;

const clock = (time) => time.slice(0, 19).replace('T', ' ');

// What is needed again and again, from the columns of the data.
function prepare(data) {
	const { traces, changes, marks } = data;
	data.traceBegin = sums(traces.begin);
	data.traceId = sums(traces.id);
	data.changeTrace = sums(changes.trace);
	data.changeTime = new Float64Array(changes.time.length);
	data.changeOff = new Float64Array(changes.time.length);
	data.firstChange = new Int32Array(traces.begin.length + 1).fill(changes.time.length);
	for (let i = 0; i < changes.time.length; i++) {
		const trace = data.changeTrace[i], again = i > 0 && data.changeTrace[i - 1] === trace;
		data.changeTime[i] = (again ? data.changeTime[i - 1] : data.traceBegin[trace]) + changes.time[i];
		if (!again) data.firstChange[trace] = i;
	}
	for (let i = traces.begin.length - 1; i >= 0; i--)
		data.firstChange[i] = Math.min(data.firstChange[i], data.firstChange[i + 1]);
	for (let i = 0; i < changes.time.length; i++)
		data.changeOff[i] = changes.off[i] === NONE ? data.changeTime[i + 1] - data.changeTime[i] : changes.off[i];
	data.markTime = sums(marks.time);
	data.findingOf = new Map(data.findings.map((finding, i) => [finding.fingerprint, i]));
	data.text = [];
	for (let i = 0; i < data.frames.length; i += 4)
		data.text.push(`${data.names[data.frames[i]]}:${data.frames[i + 2]} ${data.names[data.frames[i + 1]]}`);
	data.lower = data.text.map((text) => text.toLowerCase());
	data.eventsOf = new Uint32Array(data.stacks.length);
	for (const column of [traces.stack, changes.stack, marks.stack])
		for (const stack of column) if (stack !== NONE) data.eventsOf[stack]++;
	let end = 1;
	for (let i = 0; i < traces.begin.length; i++) end = Math.max(end, data.traceBegin[i] + traces.length[i]);
	for (let i = 0; i < marks.time.length; i++) end = Math.max(end, data.markTime[i] + marks.duration[i]);
	data.end = end;
}

// A thread's part of each array, its lanes, and how much was wrong in it.
function threadsOf(data) {
	const threads = [];
	for (let i = 0; i < data.threads.length; i += 6) {
		const [run, host, comm, pid, tid] = data.threads.slice(i, i + 5);
		threads.push({ run, host, comm, pid, tid, traces: [0, 0], marks: [0, 0], lanes: 1, alarms: 0 });
	}
	const place = (name, column) => {
		for (let i = 0; i < column.length; i++) {
			const part = threads[column[i]][name];
			if (part[1] === 0) part[0] = i;
			part[1] = i + 1;
		}
	};
	place('traces', data.traces.thread);
	place('marks', data.marks.thread);
	data.traces.lane.forEach((lane, i) => {
		const thread = threads[data.traces.thread[i]];
		thread.lanes = Math.max(thread.lanes, lane + 1);
	});
	data.marks.severity.forEach((severity, i) => { threads[data.marks.thread[i]].alarms += severity <= 1; });
	const shown = threads.filter((thread) => thread.traces[1] || thread.marks[1]);
	shown.sort((one, other) => other.alarms - one.alarms);
	let top = AXIS;
	for (const thread of shown) {
		thread.top = top;
		thread.height = LABEL + thread.lanes * ROW + GAP;
		top += thread.height;
	}
	return { shown, height: top + 4 };
}

function stackList(data, stack, cut) {
	const list = make('ol', 'stack');
	if (stack === NONE || stack === undefined) {
		list.append(make('li', '', 'no stack'));
		return list;
	}
	for (const frame of data.stacks[stack]) {
		const [file, name, line, whose] = data.frames.slice(4 * frame, 4 * frame + 4);
		list.append(make('li', whose === 0 ? 'user' : '', make('span', 'where', data.names[file] + (line ? `:${line}` : '')), ' in ', data.names[name]));
	}
	if (cut) list.append(make('li', '', 'outer frames are cut off'));
	return list;
}

// --- the parts of the page ---------------------------------------------------------------------

function showVerdict(data) {
	const count = (severity) => data.findings.filter((finding) => finding.severity === severity).length;
	const violations = count('violation'), low = count('low'), notes = count('note');
	const parts = [];
	if (violations) parts.push(`violations at ${plural(violations, 'place', 'places')}`);
	if (low) parts.push(plural(low, 'empty scope', 'empty scopes'));
	if (notes) parts.push(plural(notes, 'note', 'notes'));
	const clean = data.verdict.find((line) => line.startsWith('clean:'));
	const text = parts.join(', ') || clean || 'no finding is shown';
	const title = text[0].toUpperCase() + text.slice(1);
	byId('verdict').append(make('p', violations ? 'large bad' : 'large', title));
	byId('verdict').append(make('p', '', data.totals[0] || ''));
	for (const line of data.verdict)
		if (line !== clean) byId('notices').append(make('p', 'warning', line));
	const left = data.left_out, missing = [];
	if (data.findings_left_out) missing.push(plural(data.findings_left_out, 'finding', 'findings'));
	if (left.traces) missing.push(plural(left.traces, 'trace', 'traces'));
	if (left.changes) missing.push(plural(left.changes, 'change', 'changes'));
	if (left.marks) missing.push(plural(left.marks, 'mark of a finding', 'marks of findings'));
	if (left.stacks) missing.push(plural(left.stacks, 'stack', 'stacks'));
	if (missing.length)
		byId('notices').append(make('p', 'warning', `Left out of this page, as it would be too large: ${missing.join(', ')}. The counts above are of the whole log.`));
	document.title = `${title} - gradwatch report`;
}

function card(data, finding, show) {
	const node = make('article', `card ${finding.severity}`);
	const top = make('div', 'top', make('span', 'title', finding.title), make('span', 'count', plural(finding.count, 'time', 'times')));
	if (finding.change) top.append(make('span', finding.change === 'new' ? 'tag new' : 'tag', finding.change));
	top.append(make('span', 'tag', finding.kind), make('span', 'soft mono', finding.fingerprint));
	node.append(top);
	const place = (finding.line ? `${finding.file}:${finding.line}` : finding.file) + (finding.function ? ` in ${finding.function}` : '');
	if (place) node.append(make('div', 'place mono', place));
	const body = make('div', 'body');
	for (const line of finding.body)
		if (line !== finding.advice && !(line && place.endsWith(line))) body.append(make('p', '', line));
	node.append(body);
	if (finding.advice && finding.body.includes(finding.advice)) node.append(make('p', 'advice', finding.advice));
	node.append(make('div', 'soft', `in ${plural(finding.processes, 'process', 'processes')}`
		+ (finding.runs > 1 ? ` of ${finding.runs} runs` : '')
		+ `, first in ${finding.comm}[${finding.pid}] on ${finding.host}, torch ${finding.torch || 'of unknown version'}, ${clock(finding.first)}${clock(finding.last) === clock(finding.first) ? '' : ` to ${clock(finding.last)}`} UTC`));
	const fold = make('details', '', make('summary', '', 'Stack, innermost first'));
	fold.addEventListener('toggle', () => {
		if (fold.open && fold.children.length === 1) fold.append(stackList(data, finding.stack, finding.cut));
	});
	const button = make('button', '', 'Show in time line');
	button.type = 'button';
	button.addEventListener('click', () => show(finding));
	node.append(make('div', 'foot', fold, button));
	return node;
}

function showFindings(data, show) {
	const list = byId('findings'), more = byId('more');
	let wanted = data.findings, shown = 0;
	const add = () => {
		for (const finding of wanted.slice(shown, shown + CARDS)) list.append(card(data, finding, show));
		shown = Math.min(wanted.length, shown + CARDS);
		more.hidden = shown === wanted.length;
		more.textContent = `Show ${Math.min(CARDS, wanted.length - shown)} more of ${wanted.length - shown}`;
	};
	const set = (findings) => {
		wanted = findings;
		shown = 0;
		list.replaceChildren();
		if (!wanted.length) list.append(make('p', 'soft', data.findings.length ? 'No finding fits the search.' : 'No finding is in the log.'));
		add();
	};
	more.addEventListener('click', add);
	set(wanted);
	return set;
}

function showBasis(data) {
	for (const line of [...data.totals.slice(1), ...data.basis]) byId('basis').append(make('p', '', line));
	const table = make('table', '', make('tr', '', ...['Run', 'Machine', 'From', 'To', 'gradwatch', 'Kernel'].map((name) => make('th', '', name))));
	for (const run of data.runs)
		table.append(make('tr', '', make('td', 'mono', run.id.slice(0, 12) || '-'), make('td', '', run.host || '-'),
			make('td', '', clock(run.first)), make('td', '', clock(run.last)), make('td', '', run.gradwatch || '-'), make('td', '', run.kernel || '-')));
	byId('basis').append(table, make('p', 'soft', 'Times are UTC.'));
}

// --- search ---------------------------------------------------------------------------------------

// Which stacks have all words; null: all stacks are asked for.
function searchStacks(data, text) {
	const words = text.toLowerCase().split(/\s+/).filter(Boolean);
	if (!words.length) return null;
	const has = words.map((word) => data.lower.map((frame) => frame.includes(word)));
	const stacks = new Uint8Array(data.stacks.length);
	data.stacks.forEach((frames, i) => {
		stacks[i] = has.every((frame) => frames.some((number) => frame[number])) ? 1 : 0;
	});
	return { words, has, stacks };
}

function search(data, text) {
	const found = searchStacks(data, text);
	if (!found) return { found, findings: data.findings, events: 0, frames: [] };
	const fits = data.lower.map((_, frame) => found.has.some((has) => has[frame]));
	const ofFrame = new Float64Array(fits.length), last = new Int32Array(fits.length).fill(NONE);
	let events = 0;
	data.stacks.forEach((stack, i) => {
		if (!found.stacks[i]) return;
		events += data.eventsOf[i];
		for (const frame of stack) {
			if (!fits[frame] || last[frame] === i) continue; // once for each stack
			last[frame] = i;
			ofFrame[frame] += data.eventsOf[i];
		}
	});
	const frames = [...ofFrame.keys()].filter((frame) => ofFrame[frame]).sort((one, other) => ofFrame[other] - ofFrame[one])
		.map((frame) => [frame, ofFrame[frame]]);
	const findings = data.findings.filter((finding) => {
		if (finding.stack !== NONE && found.stacks[finding.stack]) return true;
		const own = [finding.title, finding.kind, finding.fingerprint, finding.file, finding.comm, finding.host, ...finding.body].join(' ').toLowerCase();
		return found.words.every((word) => own.includes(word));
	});
	return { found, findings, events, frames };
}

function showSearch(data, setFindings, line) {
	const input = byId('search');
	let last = '';
	const run = () => {
		const text = input.value.trim();
		if (text === last) return;
		last = text;
		const result = search(data, text);
		line.stacks = result.found && result.found.stacks;
		line.draw();
		setFindings(result.findings);
		byId('search-result').textContent = result.found
			? `${plural(result.findings.length, 'finding', 'findings')}, ${plural(result.events, 'event', 'events')}${result.events ? '; these are bright in the time line' : ''}` : '';
		byId('search-frames').replaceChildren(...result.frames.slice(0, FRAMES).map(([frame, count]) =>
			make('li', 'mono', make('b', '', count.toLocaleString('en')), make('span', '', data.text[frame]))));
	};
	input.addEventListener('input', run);
}

// --- time line ------------------------------------------------------------------------------------

class TimeLine {
	constructor(data) {
		this.data = data;
		this.canvas = byId('canvas');
		this.scroller = byId('scroller');
		this.pen = this.canvas.getContext('2d');
		this.stacks = null; // set of stacks that are bright; null: all
		this.selected = null;
		Object.assign(this, threadsOf(data));
		this.order = [...data.markTime.keys()].filter((i) => data.marks.severity[i] <= 2);
		this.order.sort((one, other) => data.markTime[one] - data.markTime[other]);
		this.place = NONE; // in order
		byId('spacer').style.height = `${this.height}px`;
		this.fit();
		this.listen();
		new ResizeObserver(() => this.resize()).observe(this.scroller);
		this.resize();
	}

	fit() {
		const margin = this.data.end * 0.01;
		this.from = -margin;
		this.to = this.data.end + margin;
	}

	colours() {
		const style = getComputedStyle(document.documentElement);
		const names = ['card', 'ink', 'soft', 'line', 'trace', 'off', 'violation', 'low', 'note', 'info', 'select'];
		this.colour = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
		this.markColour = [this.colour.violation, this.colour.low, this.colour.note, this.colour.info, this.colour.info];
	}

	resize() {
		this.width = Math.max(100, this.scroller.clientWidth);
		this.viewHeight = Math.min(this.height, this.scroller.clientHeight || this.height);
		const ratio = devicePixelRatio || 1;
		this.canvas.width = this.width * ratio;
		this.canvas.height = this.viewHeight * ratio;
		this.canvas.style.width = `${this.width}px`;
		this.canvas.style.height = `${this.viewHeight}px`;
		this.pen.setTransform(ratio, 0, 0, ratio, 0, 0);
		this.draw();
	}

	x(time) {
		return (time - this.from) / (this.to - this.from) * this.width;
	}

	time(x) {
		return this.from + x / this.width * (this.to - this.from);
	}

	// Drawn when the next picture is, however often it is asked for.
	draw() {
		if (this.asked) return;
		this.asked = true;
		requestAnimationFrame(() => {
			this.asked = false;
			this.paint();
		});
	}

	paint() {
		this.colours();
		const { pen } = this, top = this.scroller.scrollTop;
		pen.clearRect(0, 0, this.width, this.viewHeight);
		for (const thread of this.shown) {
			const y = thread.top - top;
			if (y + thread.height < AXIS || y > this.viewHeight) continue;
			this.paintThread(thread, y);
		}
		this.paintAxis();
	}

	isBright(stack) {
		return !this.stacks || (stack !== NONE && this.stacks[stack] === 1);
	}

	bar(begin, length, y, height, colour, smallest) {
		const left = Math.max(-1, this.x(begin));
		const right = Math.min(this.width + 1, this.x(begin + length));
		if (right < 0 || left > this.width) return;
		this.pen.fillStyle = colour;
		this.pen.fillRect(left, y, Math.max(smallest, right - left), height);
	}

	// Whether something that ends at x is to be seen: not behind what is drawn there already.
	isSeen(drawn, x, width, bright) {
		if (x - drawn.any < width && !(this.stacks && bright && x - drawn.bright >= width)) return false;
		drawn.any = Math.max(drawn.any, x);
		if (bright) drawn.bright = x;
		return true;
	}

	paintThread(thread, y) {
		const { pen, data } = this, { traces, marks } = data, nothing = { any: -1e9, bright: -1e9 };
		const lanes = Array.from({ length: thread.lanes }, () => ({ trace: { ...nothing }, off: { ...nothing }, mark: { ...nothing } }));
		const rows = y + LABEL;
		pen.globalAlpha = 1;
		pen.fillStyle = this.colour.line;
		for (let lane = 0; lane < thread.lanes; lane++)
			pen.fillRect(0, rows + lane * ROW + ROW / 2, this.width, 0.5);
		for (let i = thread.traces[0]; i < thread.traces[1]; i++) {
			const begin = data.traceBegin[i], end = begin + traces.length[i];
			if (end < this.from || begin > this.to) continue;
			const lane = traces.lane[i], right = Math.max(this.x(end), this.x(begin) + 1);
			const row = rows + lane * ROW + 2, bright = this.isBright(traces.stack[i]);
			if (this.isSeen(lanes[lane].trace, right, 0.5, bright)) {
				pen.globalAlpha = bright ? 1 : 0.35;
				this.bar(begin, traces.length[i], row, ROW - 4, this.colour.trace, 1);
				pen.globalAlpha = this.stacks ? 0.35 : 1;
				if (traces.off[i]) this.bar(begin, traces.off[i], row + 3, ROW - 10, this.colour.off, 0);
			}
			this.paintChanges(i, row, lanes[lane].off);
		}
		// Those that fit the search come last, above the others.
		for (const pass of this.stacks ? [false, true] : [true])
			for (let i = thread.marks[0]; i < thread.marks[1]; i++) {
				const x = this.x(data.markTime[i]), bright = this.isBright(marks.stack[i]);
				if (bright !== pass || x < -6 || x > this.width + 6) continue;
				const lane = marks.trace[i] === NONE ? 0 : traces.lane[marks.trace[i]];
				if (!this.isSeen(lanes[lane].mark, x, 1, bright)) continue;
				pen.globalAlpha = bright ? 1 : 0.25;
				this.paintMark(x, rows + lane * ROW, this.markColour[marks.severity[i]], false);
			}
		pen.globalAlpha = 1;
		this.paintSelected(thread, rows);
		pen.fillStyle = this.colour.card;
		pen.fillRect(0, y, this.width, LABEL - 3);
		pen.fillStyle = this.colour.ink;
		pen.font = '12px system-ui, "DejaVu Sans", sans-serif';
		pen.fillText(this.label(thread), 8, y + 13);
	}

	paintSelected(thread, rows) {
		const { pen, data, selected } = this, { traces, marks } = data;
		if (!selected || selected.thread !== thread) return;
		const lane = selected.trace === NONE ? 0 : traces.lane[selected.trace], row = rows + lane * ROW;
		if (selected.trace !== NONE) {
			const left = Math.max(-9, this.x(data.traceBegin[selected.trace]));
			const right = Math.min(this.width + 9, this.x(data.traceBegin[selected.trace] + traces.length[selected.trace]));
			pen.strokeStyle = this.colour.select;
			pen.lineWidth = 2;
			pen.strokeRect(left, row + 1, Math.max(2, right - left), ROW - 2);
		}
		if (selected.mark !== undefined)
			this.paintMark(this.x(data.markTime[selected.mark]), row, this.markColour[marks.severity[selected.mark]], true);
	}

	label(thread) {
		const { names } = this.data, host = names[thread.host];
		return `${names[thread.comm]}[${thread.pid}]${thread.tid === thread.pid ? '' : ` thread ${thread.tid}`} on ${host}`
			+ (thread.alarms ? `, ${plural(thread.alarms, 'violation', 'violations')}` : '');
	}

	paintChanges(trace, row, drawn) {
		const { data } = this, { changes } = data;
		for (let i = data.firstChange[trace]; i < data.firstChange[trace + 1]; i++) {
			if (!data.changeOff[i]) continue;
			const right = Math.max(this.x(data.changeTime[i] + data.changeOff[i]), this.x(data.changeTime[i]) + 1);
			const bright = this.isBright(changes.stack[i]);
			if (!this.isSeen(drawn, right, 0.5, bright)) continue;
			this.pen.globalAlpha = bright ? 1 : 0.25;
			this.bar(data.changeTime[i], data.changeOff[i], row + 3, ROW - 10, this.colour.off, 1);
		}
	}

	paintMark(x, y, colour, selected) {
		const { pen } = this, size = selected ? 7 : 5;
		pen.fillStyle = colour;
		pen.beginPath();
		pen.moveTo(x - size, y - 3);
		pen.lineTo(x + size, y - 3);
		pen.lineTo(x, y + size + 1);
		pen.closePath();
		pen.fill();
		if (!selected) return;
		pen.strokeStyle = this.colour.select;
		pen.lineWidth = 2;
		pen.stroke();
	}

	paintAxis() {
		const { pen } = this, span = this.to - this.from;
		const rough = span / Math.max(2, this.width / 110), power = 10 ** Math.floor(Math.log10(rough));
		const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= rough);
		pen.fillStyle = this.colour.card;
		pen.fillRect(0, 0, this.width, AXIS - 2);
		pen.fillStyle = this.colour.soft;
		pen.font = '11px system-ui, "DejaVu Sans", sans-serif';
		for (let time = Math.ceil(this.from / step) * step; time <= this.to; time += step) {
			const x = this.x(time);
			pen.fillRect(x, AXIS - 7, 1, 5);
			const text = duration(Math.round(time)), wide = pen.measureText(text).width;
			pen.fillText(text, Math.min(Math.max(3, x - wide / 2), this.width - wide - 3), AXIS - 10);
		}
		pen.fillStyle = this.colour.line;
		pen.fillRect(0, AXIS - 2, this.width, 1);
	}

	zoom(factor, x = this.width / 2) {
		const at = this.time(x), part = x / this.width;
		const span = Math.min(Math.max((this.to - this.from) * factor, 100), this.data.end * 1.2 + 100);
		this.from = at - part * span;
		this.to = this.from + span;
		this.limit();
	}

	pan(pixels) {
		const shift = pixels / this.width * (this.to - this.from);
		this.from += shift;
		this.to += shift;
		this.limit();
	}

	// Something of the run stays in sight.
	limit() {
		const span = this.to - this.from;
		this.from = Math.min(Math.max(this.from, -span * 0.9), this.data.end - span * 0.1);
		this.to = this.from + span;
		this.draw();
	}

	// The mark, change or trace at a place.
	hit(x, y) {
		const { data } = this, { traces, marks } = data, at = this.time(x);
		const near = 8 / this.width * (this.to - this.from);
		const thread = this.shown.find((one) => y >= one.top && y < one.top + one.height);
		if (!thread || y < AXIS + this.scroller.scrollTop) return null;
		const lane = Math.min(thread.lanes - 1, Math.max(0, Math.floor((y - thread.top - LABEL + 3) / ROW)));
		let best = null, distance = near;
		for (let i = thread.marks[0]; i < thread.marks[1]; i++) {
			const off = Math.abs(data.markTime[i] - at);
			if (off <= distance && (marks.trace[i] === NONE || traces.lane[marks.trace[i]] === lane)) {
				best = i;
				distance = off;
			}
		}
		if (best !== null) return { mark: best, trace: marks.trace[best], thread };
		for (let i = thread.traces[0]; i < thread.traces[1]; i++) {
			const begin = data.traceBegin[i];
			if (traces.lane[i] !== lane || at < begin - near / 4 || at > begin + traces.length[i] + near / 4) continue;
			for (let j = data.firstChange[i]; j < data.firstChange[i + 1]; j++)
				if (data.changeOff[j] && at >= data.changeTime[j] && at <= data.changeTime[j] + data.changeOff[j])
					return { change: j, trace: i, thread };
			return { trace: i, thread };
		}
		return null;
	}

	select(hit) {
		this.selected = hit;
		this.draw();
		const detail = byId('detail');
		detail.replaceChildren();
		if (!hit) return;
		const { data } = this, { traces, changes, marks } = data;
		const add = (text) => detail.append(make('p', 'soft', text));
		let stack;
		if (hit.mark !== undefined) {
			const finding = data.findings[data.findingOf.get(data.names[marks.fingerprint[hit.mark]])];
			detail.append(make('h3', '', finding ? `${finding.title}: ${finding.body[0] || ''}` : `Finding ${data.names[marks.fingerprint[hit.mark]] || ''}`));
			add(`at ${duration(data.markTime[hit.mark])}` + (marks.duration[hit.mark] ? `, for ${duration(marks.duration[hit.mark])}` : ''));
			stack = marks.stack[hit.mark];
		} else if (hit.change !== undefined) {
			detail.append(make('h3', '', `Grad off for ${duration(data.changeOff[hit.change])}`));
			add(`from ${duration(data.changeTime[hit.change])} on` + (changes.flags[hit.change] & 4 ? ', for information' : ''));
			stack = changes.stack[hit.change];
		}
		if (hit.trace !== NONE) {
			const trace = hit.trace, flags = traces.flags[trace];
			const text = `trace ${data.traceId[trace]}, ${data.kinds[traces.kind[trace]]}, ${plural(traces.operators[trace], 'operator', 'operators')}, from ${duration(data.traceBegin[trace])} for ${duration(traces.length[trace])}`
				+ (flags & 1 ? '' : ', its begin is not in the log') + (flags & 2 ? '' : ', its end is not in the log');
			if (stack === undefined) {
				detail.append(make('h3', '', text));
				stack = traces.stack[trace];
			} else {
				add(text);
			}
		}
		add(this.label(hit.thread));
		detail.append(stackList(data, stack));
	}

	// To a mark, with its trace around it.
	go(mark) {
		const { data } = this, { traces, marks } = data, trace = marks.trace[mark];
		const thread = this.shown.find((one) => mark >= one.marks[0] && mark < one.marks[1]);
		const begin = trace === NONE ? data.markTime[mark] : data.traceBegin[trace];
		const length = Math.max(1000, trace === NONE ? marks.duration[mark] : traces.length[trace]);
		this.from = begin - length * 0.15;
		this.to = begin + length * 1.15;
		this.scroller.scrollTop = Math.max(0, thread.top - AXIS - 4);
		this.select({ mark, trace, thread });
		this.limit();
	}

	step(by) {
		if (!this.order.length) return;
		this.place = this.place === NONE ? (by > 0 ? 0 : this.order.length - 1) : (this.place + by + this.order.length) % this.order.length;
		this.go(this.order[this.place]);
	}

	show(finding) {
		const place = this.order.findIndex((mark) => this.data.names[this.data.marks.fingerprint[mark]] === finding.fingerprint);
		const mark = place >= 0 ? this.order[place]
			: this.data.marks.fingerprint.findIndex((name) => this.data.names[name] === finding.fingerprint);
		byId('time-section').scrollIntoView({ behavior: 'instant' });
		if (mark < 0) {
			byId('detail').replaceChildren(make('p', '', 'This finding has no mark in the time line.'));
			return;
		}
		this.place = place;
		this.go(mark);
	}

	act(what) {
		({
			in: () => this.zoom(0.5),
			out: () => this.zoom(2),
			fit: () => { this.fit(); this.draw(); },
			next: () => this.step(1),
			previous: () => this.step(-1),
		})[what]();
	}

	listen() {
		const { scroller } = this;
		byId('tools').addEventListener('click', (event) => {
			if (event.target.dataset.do) this.act(event.target.dataset.do);
		});
		scroller.addEventListener('scroll', () => this.draw());
		scroller.addEventListener('wheel', (event) => {
			if (event.ctrlKey || event.metaKey) this.zoom(event.deltaY > 0 ? 1.25 : 0.8, event.offsetX);
			else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) this.pan(event.deltaX || event.deltaY);
			else return;
			event.preventDefault();
		}, { passive: false });
		scroller.addEventListener('keydown', (event) => {
			const keys = {
				'+': () => this.act('in'), '=': () => this.act('in'), '-': () => this.act('out'), '0': () => this.act('fit'),
				n: () => this.act('next'), p: () => this.act('previous'),
				ArrowLeft: () => this.pan(-this.width / 8), ArrowRight: () => this.pan(this.width / 8),
			};
			if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
			keys[event.key]();
			event.preventDefault();
		});
		this.listenToPointers();
	}

	// One pointer drags, two zoom, one that has not moved selects.
	listenToPointers() {
		const { scroller } = this, pointers = new Map();
		let moved = 0;
		scroller.addEventListener('pointerdown', (event) => {
			if (event.offsetX > scroller.clientWidth) return; // the scroll bar
			pointers.set(event.pointerId, event.clientX);
			moved = 0;
		});
		addEventListener('pointermove', (event) => {
			if (!pointers.has(event.pointerId)) return;
			const left = scroller.getBoundingClientRect().left, before = [...pointers.values()];
			pointers.set(event.pointerId, event.clientX);
			const now = [...pointers.values()];
			if (now.length === 2) {
				const spread = (pair) => Math.max(10, Math.abs(pair[0] - pair[1]));
				this.zoom(spread(before) / spread(now), (now[0] + now[1]) / 2 - left);
				moved = 100;
			} else {
				moved += Math.abs(now[0] - before[0]);
				if (moved > 4) this.pan(before[0] - now[0]);
			}
		});
		const end = (event) => pointers.delete(event.pointerId);
		addEventListener('pointerup', end);
		addEventListener('pointercancel', end);
		scroller.addEventListener('click', (event) => {
			const box = this.canvas.getBoundingClientRect();
			if (moved <= 4) this.select(this.hit(event.clientX - box.left, event.clientY - box.top + scroller.scrollTop));
		});
	}
}

// --- all of it ------------------------------------------------------------------------------------

function listenToTheme(line) {
	const button = byId('theme'), root = document.documentElement;
	const isDark = () => root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
	const name = () => { button.textContent = isDark() ? 'Light' : 'Dark'; };
	button.addEventListener('click', () => {
		root.dataset.theme = isDark() ? 'light' : 'dark';
		name();
		line.draw();
	});
	matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { name(); line.draw(); });
	name();
}

async function begin() {
	const data = await unpack();
	prepare(data);
	showVerdict(data);
	for (const id of ['summary', 'search-section', 'findings-section', 'time-section', 'basis-section']) byId(id).hidden = false;
	const line = new TimeLine(data);
	const setFindings = showFindings(data, (finding) => line.show(finding));
	showSearch(data, setFindings, line);
	showBasis(data);
	listenToTheme(line);
	byId('state').hidden = true;
	document.documentElement.dataset.ready = String(Math.round(performance.now()));
}

begin().catch((error) => {
	byId('state').textContent = typeof DecompressionStream === 'undefined'
		? 'This browser cannot read the page: it has no DecompressionStream. Chrome 80, Firefox 113 and Safari 16.4 have it.'
		: `The page's data cannot be read: ${error.message}`;
});
