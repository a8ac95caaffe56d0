-- An existing XMPP server (Prosody 0.12 and later) beside cusax: users, rooms and the component port of one domain.
--
-- Users log in with the password of their cusax account: Prosody reads the SCRAM keys from a view in cusax's directory, also
-- while cusax is stopped. Each value below can be changed here or given in the environment (systemctl edit prosody).

local domain    = ENV_CUSAX_XMPP_DOMAIN or "example.com"
local rooms     = ENV_CUSAX_XMPP_ROOMS or "conference." .. domain
local component = ENV_CUSAX_XMPP_COMPONENT or "cusax." .. domain
local focus     = (ENV_CUSAX_XMPP_FOCUS or "focus") .. "@" .. component

-- "loopback": a try-out on one machine. Clients log in without TLS, on 127.0.0.1 only, no other server is spoken to, and root
-- may run it. Leave it unset anywhere else.
local tryout = ENV_CUSAX_TRYOUT == "loopback"

-- One line, as cusax reads it (`secret_file` in cusax.toml).
local function secret_of_component()
	local path = ENV_CUSAX_COMPONENT_SECRET_FILE or "/etc/cusax/component.secret"
	local file, problem = io.open(path)
	if not file then error("the component's secret: " .. problem, 0) end
	local secret = file:read("l")
	file:close()
	secret = secret and secret:match("^%s*(.-)%s*$")
	if not secret or secret == "" then error("the component's secret: " .. path .. " is empty", 0) end
	return secret
end

data_path = ENV_CUSAX_PROSODY_DATA or "/var/lib/prosody"
plugin_paths = { ENV_CUSAX_PROSODY_MODULES or "/usr/share/cusax/prosody" }
certificates = ENV_CUSAX_XMPP_CERTIFICATES or "/etc/prosody/certs"
run_as_root = tryout
log = { info = "*console" }

modules_enabled = {
	"blocklist"; "bookmarks"; "carbons"; "dialback"; "disco"; "pep"; "ping"; "posix"; "private"; "roster"; "saslauth"; "smacks";
	"tls"; "vcard4";
}
modules_disabled = { tryout and "s2s" or nil }

interfaces = { tryout and "127.0.0.1" or ENV_CUSAX_XMPP_ADDRESS or "*" }
c2s_ports = { tonumber(ENV_CUSAX_XMPP_CLIENT_PORT or 5222) }
s2s_ports = { tonumber(ENV_CUSAX_XMPP_SERVER_PORT or 5269) }
c2s_require_encryption = not tryout
s2s_secure_auth = true

-- The component protocol has no TLS (XEP-0114): keep it on this machine or inside a tunnel.
component_interfaces = { ENV_CUSAX_XMPP_COMPONENT_ADDRESS or "127.0.0.1" }
component_ports = { tonumber(ENV_CUSAX_XMPP_COMPONENT_PORT or 5347) }

VirtualHost(domain)
	authentication = "internal_hashed"
	password_hash = "SHA-256"
	storage = { accounts = "sql" }
	sql = { driver = "SQLite3", database = ENV_CUSAX_DIRECTORY or "/var/lib/cusax/cusax.db" }
	-- The table is a view, and it is cusax's: passwords are changed by `cusax account set-password`.
	sql_manage_tables = false
	allow_registration = false

Component(rooms) "muc"
	modules_enabled = { "cusax_rooms" }
	-- The focus sees real addresses and gives or takes voice. One address, not the component: phone callers shown in rooms
	-- (cusax.toml: `puppets`) have addresses there too and must not be owners.
	admins = { focus }
	component_admins_as_room_owners = true
	restrict_room_creation = false
	-- A new room is open at once; phones may call in while its owner still fills in the form.
	muc_room_locking = false
	cusax_conference_domain = ENV_CUSAX_CONFERENCE_DOMAIN or rooms

Component(component)
	component_secret = secret_of_component()
	-- After a broken connection cusax comes back before the old one has timed out.
	component_conflict_resolve = "kick_old"
