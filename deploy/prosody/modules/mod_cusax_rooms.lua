-- Publishes where a room's conference is called: `audio-video-uri` in the room's muc#roominfo (RFC 7081 §4).
--
--   Component "conference.example.com" "muc"
--     modules_enabled = { "cusax_rooms" }
--     cusax_conference_domain = "conference.example.com"   -- as in cusax.toml; default: the host itself

local jid_node = require "util.jid".node;

local conference_domain = module:get_option_string("cusax_conference_domain", module.host);

-- RFC 3261 §25.1, user: every byte that is neither unreserved nor user-unreserved is escaped.
local function sip_user(node)
	return (node:gsub("[^%w%-_%.!~%*'%(%)&=%+%$,;%?/]", function (byte)
		return ("%%%02X"):format(byte:byte());
	end));
end

module:hook("muc-disco#info", function (event)
	table.insert(event.form, {
		name = "audio-video-uri";
		type = "text-single";
		label = "SIP URI of the audio and video conference";
	});
	event.formdata["audio-video-uri"] = "sip:" .. sip_user(jid_node(event.room.jid)) .. "@" .. conference_domain;
end);
