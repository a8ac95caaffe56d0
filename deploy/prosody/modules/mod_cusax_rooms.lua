-- Publishes where a room's conference is called: `audio-video-uri` in the room's muc#roominfo (RFC 7081 §4).
--
--   Component "conference.example.com" "muc"
--     modules_enabled = { "cusax_rooms" }
--     cusax_conference_domain = "conference.example.com"   -- as in cusax.toml; default: the host itself

local jid = require "util.jid";

local conference_domain = module:get_option_string("cusax_conference_domain", module.host);

-- The room's name as people write it (XEP-0106), in the escapes of a SIP user part: RFC 3261 §25.1 lets unreserved and
-- user-unreserved bytes stand.
local function sip_user(node)
	return (jid.unescape(node):gsub("[^%w%-_%.!~%*'%(%)&=%+%$,;%?/]", function (byte)
		return ("%%%02X"):format(byte:byte());
	end));
end

module:hook("muc-disco#info", function (event)
	table.insert(event.form, {
		name = "audio-video-uri";
		type = "text-single";
		label = "SIP URI of the audio and video conference";
	});
	event.formdata["audio-video-uri"] = "sip:" .. sip_user(jid.node(event.room.jid)) .. "@" .. conference_domain;
end);
