-- Accounts. A password is never here: only what SIP digest (RFC 3261, RFC 8760) and SCRAM (RFC 5802, RFC 7677) derive from it.
-- Nothing here needs a newer SQLite than the servers that read this file bring along (no STRICT, no generated columns).

CREATE TABLE cusax_account (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given twice: logs and traces name accounts by it
    sip_user     TEXT    NOT NULL,
    sip_domain   TEXT    NOT NULL,                   -- also the digest realm
    xmpp_user    TEXT    NOT NULL,
    xmpp_domain  TEXT    NOT NULL,
    display_name TEXT,
    language     TEXT,
    enabled      INTEGER NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
    created      INTEGER NOT NULL,                   -- seconds since 1970-01-01 UTC
    changed      INTEGER NOT NULL,
    UNIQUE (sip_domain, sip_user),
    UNIQUE (xmpp_domain, xmpp_user)
);

CREATE TABLE cusax_number (
    number     TEXT    NOT NULL PRIMARY KEY,         -- E.164 with its plus sign
    account_id INTEGER NOT NULL REFERENCES cusax_account (id) ON DELETE CASCADE
);
CREATE INDEX cusax_number_account ON cusax_number (account_id);

-- HA1 is as good as the password for its realm: whoever may read this table may call as its users.
CREATE TABLE cusax_credential (
    account_id              INTEGER NOT NULL PRIMARY KEY REFERENCES cusax_account (id) ON DELETE CASCADE,
    ha1_md5                 TEXT    NOT NULL,        -- H(user:realm:password), lower-case hex
    ha1_sha256              TEXT    NOT NULL,
    ha1_sha512_256          TEXT    NOT NULL,
    ha1b_md5                TEXT    NOT NULL,        -- H(user@realm:realm:password)
    ha1b_sha256             TEXT    NOT NULL,
    ha1b_sha512_256         TEXT    NOT NULL,
    scram_salt              TEXT    NOT NULL,        -- ASCII; the salt is these very bytes
    scram_iterations        INTEGER NOT NULL,
    scram_sha1_stored       TEXT    NOT NULL,        -- hex, for Prosody
    scram_sha1_server       TEXT    NOT NULL,
    scram_sha256_stored     TEXT    NOT NULL,
    scram_sha256_server     TEXT    NOT NULL,
    scram_salt_b64          TEXT    NOT NULL,        -- base64, for ejabberd: SQLite has no function that makes it of the hex
    scram_sha1_stored_b64   TEXT    NOT NULL,
    scram_sha1_server_b64   TEXT    NOT NULL,
    scram_sha256_stored_b64 TEXT    NOT NULL,
    scram_sha256_server_b64 TEXT    NOT NULL
);
