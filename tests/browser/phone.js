// One JsSIP phone: the address of the page says whose, the test says what to do, and hears what happens.
// It speaks with one tone, and tells which tone is the loudest in all that it gets.

const JsSIP = require("jssip");
const settings = Object.fromEntries(new URLSearchParams(location.search));

// In order.
let said = Promise.resolve();
function say(event, more = {}) {
	said = said.then(() => fetch("/events", { method: "POST", body: JSON.stringify({ event, ...more }) }));
}
addEventListener("error", (error) => say("error", { cause: error.message }));
addEventListener("unhandledrejection", (rejection) => say("error", { cause: String(rejection.reason) }));

const audio = new AudioContext();
function tone() {
	const oscillator = new OscillatorNode(audio, { frequency: Number(settings.hertz) });
	const stream = new MediaStreamAudioDestinationNode(audio);
	oscillator.connect(stream);
	oscillator.start();
	return stream.stream;
}

const analyser = new AnalyserNode(audio, { fftSize: 8192, smoothingTimeConstant: 0 });
function listen(stream) {
	// COMPAT(Chromium): a stream that no element plays brings no audio.
	const element = new Audio();
	element.srcObject = stream;
	element.muted = true;
	element.play();
	new MediaStreamAudioSourceNode(audio, { mediaStream: stream }).connect(analyser);
}

let heard = 0;
const decibels = new Float32Array(analyser.frequencyBinCount);
setInterval(() => {
	analyser.getFloatFrequencyData(decibels);
	const loudest = decibels.indexOf(Math.max(...decibels));
	const hertz = decibels[loudest] > -50 ? Math.round((loudest * audio.sampleRate) / analyser.fftSize) : 0;
	if (hertz !== heard) say("hears", { hertz });
	heard = hertz;
}, 100);

function watch(connection) {
	connection.addEventListener("track", ({ streams }) => listen(streams[0]));
}

const media = () => ({ mediaStream: tone(), pcConfig: { iceServers: [] } });
let session;
const phone = new JsSIP.UA({
	sockets: [new JsSIP.WebSocketInterface(settings.edge)],
	uri: settings.uri,
	password: settings.password,
	session_timers: false,
});
phone.on("connected", () => say("connected"));
phone.on("disconnected", () => say("disconnected"));
phone.on("registered", () => say("registered"));
phone.on("registrationFailed", ({ cause }) => say("error", { cause }));
phone.on("newRTCSession", ({ originator, request, session: current }) => {
	session = current;
	if (current.connection) watch(current.connection);
	else current.on("peerconnection", ({ peerconnection }) => watch(peerconnection));
	current.on("progress", () => say("progress"));
	current.on("confirmed", () => say("confirmed"));
	current.on("hold", ({ originator }) => say("hold", { originator }));
	current.on("unhold", ({ originator }) => say("unhold", { originator }));
	current.on("ended", ({ originator, cause }) => say("ended", { originator, cause }));
	current.on("failed", ({ originator, cause, message }) => say("failed", { originator, cause, status: message?.status_code }));
	current.on("refer", ({ accept }) => accept(undefined, media()));
	if (originator === "remote") say("incoming", { call_info: request.getHeader("Call-Info") });
});

const commands = {
	call: ({ target }) => phone.call(target, media()),
	answer: () => session.answer(media()),
	hold: (options) => session.hold(options, () => say("holding")),
	unhold: (options) => session.unhold(options, () => say("resumed")),
	transfer: ({ target }) => session.refer(target).on("accepted", () => say("transferred")),
	hang_up: () => session.terminate(),
};

async function obey() {
	for (;;) {
		const command = await (await fetch("/commands")).json();
		if (commands[command.do](command) === false) say("error", { cause: `not now: ${command.do}` });
	}
}

phone.start();
obey();
