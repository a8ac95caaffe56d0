#!/usr/bin/env bash
# The Debian packages of the try-out and the tests. deploy/try and tests/run source it; as a program, run by root, it installs
# those that it is told, without their servers being started now or at the next boot.

packages_to_build=(build-essential)
packages_to_run=(kamailio prosody lua-sec lua-dbi-sqlite3 sip-tester)
# promtool, what speaks TLS to the servers and for Kamailio, and phones, one of them in a browser.
packages_to_test=(prometheus openssl kamailio-tls-modules baresip-core linphone-cli chromium-headless-shell)
# What installs that one. It may have come with a Node.js from elsewhere, which Debian's own would not go with.
command -v npm >/dev/null || packages_to_test+=(npm)

# need_packages PACKAGE…: installs those that are missing, as root; otherwise says the one command and ends.
need_packages() {
	local missing
	mapfile -t missing < <(missing_packages "$@")
	if [ ${#missing[@]} -eq 0 ]; then
		echo "all there: $*"
		return
	fi
	if [ "$(id -u)" -ne 0 ]; then
		local this
		this=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/packages.sh
		echo "These Debian packages are missing: ${missing[*]}" >&2
		echo "Install them with this command, which starts no server of theirs, and run this again:" >&2
		echo "    sudo $(printf %q "$this") ${missing[*]}" >&2
		exit 1
	fi
	install_packages "${missing[@]}" || {
		echo "They could not be installed (see above): ${missing[*]}" >&2
		exit 1
	}
}

# missing_packages PACKAGE…: those that are not installed, one a line.
missing_packages() {
	local package
	for package in "$@"; do
		dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || echo "$package"
	done
}

# In a shell of its own, whose end takes the policy away. Ports of this machine are not ours to take: the tests start servers
# themselves, on free ones. A package that is there already is left as its owner has it.
install_packages() (
	mapfile -t missing < <(missing_packages "$@")
	[ ${#missing[@]} -gt 0 ] || exit 0
	echo "installing with apt-get: ${missing[*]}"
	policy=${POLICY_RC_D:-/usr/sbin/policy-rc.d}
	if [ ! -e "$policy" ]; then
		trap 'rm -f "$policy"' EXIT
		printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" || exit
	fi
	apt-get update -qq || exit
	DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends "${missing[@]}" || exit
	command -v systemctl >/dev/null || exit 0
	dpkg-query --listfiles "${missing[@]}" | sed -n 's|.*/systemd/system/\([^/]*[^@]\.service\)$|\1|p' | sort -u |
		while read -r unit; do
			if systemctl disable --quiet "$unit"; then echo "not enabled: $unit"; fi
		done
)

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
	set -euo pipefail
	if [ $# -eq 0 ]; then
		echo "Usage: deploy/packages.sh PACKAGE…   (as root; for example: ${packages_to_run[*]})" >&2
		exit 2
	fi
	install_packages "$@"
fi
