// JsSIP comes as CommonJS: loads its files as Node does, each when it is first asked for.

const modules = new Map();

function read(path) {
	const request = new XMLHttpRequest();
	request.open("GET", path, false);
	request.send();
	if (request.status !== 200) throw new Error(`${path}: ${request.status}`);
	return request.responseText;
}

function file(name, from) {
	let path = name;
	if (!name.startsWith(".")) {
		const description = JSON.parse(read(`/node_modules/${name}/package.json`));
		from = `/node_modules/${name}/`;
		path = description.browser ?? description.main;
	}
	if (path.endsWith("/")) path += "index.js";
	if (!/\.js(on)?$/.test(path)) path += ".js";
	return new URL(path, new URL(from, location)).pathname;
}

function require(name, from = "/") {
	const path = file(name, from);
	if (!modules.has(path)) {
		const module = { exports: {} };
		modules.set(path, module);
		if (path.endsWith(".json")) module.exports = JSON.parse(read(path));
		else Function("require", "module", "exports", read(path))((name) => require(name, path), module, module.exports);
	}
	return modules.get(path).exports;
}
