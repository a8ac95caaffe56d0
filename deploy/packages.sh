# The Debian packages of the try-out and the tests; sourced by deploy/try and tests/run.

packages_to_build=(build-essential)
packages_to_run=(kamailio prosody lua-sec lua-dbi-sqlite3 sip-tester)
packages_to_test=(baresip-core linphone-cli)

# need_packages PACKAGE…: installs those that are missing, as root; otherwise says the one command and ends.
need_packages() {
	local missing=() package
	for package in "$@"; do
		dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
	done
	if [ ${#missing[@]} -eq 0 ]; then
		echo "all there: $*"
		return
	fi
	if [ "$(id -u)" -ne 0 ]; then
		echo "These Debian packages are missing: ${missing[*]}" >&2
		echo "Install them, and run this again:" >&2
		echo "    sudo apt-get install --no-install-recommends ${missing[*]}" >&2
		exit 1
	fi
	echo "installing with apt-get: ${missing[*]}"
	install_packages "${missing[@]}" || {
		echo "apt-get failed (see above); the packages are: ${missing[*]}" >&2
		exit 1
	}
}

# In a shell of its own, whose end takes the policy away: the packages must not start servers, which the tests do themselves.
install_packages() (
	policy=/usr/sbin/policy-rc.d
	if [ ! -e "$policy" ]; then
		trap 'rm -f "$policy"' EXIT
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 755 "$policy"
	fi
	apt-get update -qq &&
		DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends "$@"
)
