import { digest, noise } from "./noise.js";

const log = document.querySelector("#log");
const paint = (id, colour) => (document.querySelector(id).style.background = colour);

async function readJSON() {
	const answer = await (await fetch("colours.json")).json();
	paint("#json", answer.colour);
	return answer.text;
}

async function post() {
	const body = noise(300000);
	const answer = await fetch("digest", { method: "POST", body });
	const [here, there] = [digest(body), await answer.text()];
	if (here !== there) throw new Error(`sent ${here}, and ${there} came`);
	paint("#post", "rgb(160, 60, 140)");
	return here;
}

function echo(messages) {
	return new Promise((done, failed) => {
		const socket = new WebSocket(`ws://${location.host}/echo`);
		socket.binaryType = "arraybuffer";
		const message = (i) => noise(1 + 37 * i);
		let returned = 0;
		socket.onopen = () => {
			for (let i = 0; i < messages; i++) socket.send(message(i));
		};
		socket.onmessage = ({ data }) => {
			const [sent, came] = [message(returned), new Uint8Array(data)];
			if (sent.length !== came.length || sent.some((byte, i) => byte !== came[i])) failed(new Error(`message ${returned} is another`));
			if (++returned === messages) socket.close();
		};
		socket.onclose = () => {
			if (returned !== messages) failed(new Error(`${returned} messages came back`));
			paint("#socket", "rgb(70, 150, 60)");
			done(returned);
		};
	});
}

try {
	const [text, sent, returned] = await Promise.all([readJSON(), post(), echo(100)]);
	await Promise.all([...document.images].map((image) => image.decode()));
	log.textContent = `JSON: ${text}\nPOST: ${sent}\nWebSocket: ${returned}\nat: ${location.host}`;
	document.title = "done";
} catch (failure) {
	log.textContent = failure.stack;
	document.title = "failed";
}
