-- What other servers read, each in its own schema; a disabled account is in none of them.

-- Prosody: mod_storage_sql, store "accounts", authentication "internal_hashed", password_hash "SHA-256", sql_manage_tables false.
CREATE VIEW prosody ("host", "user", "store", "key", "type", "value") AS
    SELECT a.xmpp_domain, a.xmpp_user, 'accounts', 'salt', 'string', c.scram_salt
        FROM cusax_account a JOIN cusax_credential c ON c.account_id = a.id WHERE a.enabled = 1
    UNION ALL
    SELECT a.xmpp_domain, a.xmpp_user, 'accounts', 'iteration_count', 'number', CAST(c.scram_iterations AS TEXT)
        FROM cusax_account a JOIN cusax_credential c ON c.account_id = a.id WHERE a.enabled = 1
    UNION ALL
    SELECT a.xmpp_domain, a.xmpp_user, 'accounts', 'stored_key', 'string', c.scram_sha256_stored
        FROM cusax_account a JOIN cusax_credential c ON c.account_id = a.id WHERE a.enabled = 1
    UNION ALL
    SELECT a.xmpp_domain, a.xmpp_user, 'accounts', 'server_key', 'string', c.scram_sha256_server
        FROM cusax_account a JOIN cusax_credential c ON c.account_id = a.id WHERE a.enabled = 1;

-- ejabberd: auth_method sql, auth_password_format scram, auth_scram_hash sha256. Its old schema knows no domain and fits a directory
-- with one XMPP domain only; with several, new_sql_schema true selects by server_host.
CREATE VIEW users (username, server_host, password, serverkey, salt, iterationcount, created_at) AS
    SELECT a.xmpp_user, a.xmpp_domain, 'sha256:' || c.scram_sha256_stored_b64, c.scram_sha256_server_b64, c.scram_salt_b64,
           c.scram_iterations, datetime(a.created, 'unixepoch')
        FROM cusax_account a JOIN cusax_credential c ON c.account_id = a.id WHERE a.enabled = 1;

-- Kamailio and OpenSIPS: auth_db with calculate_ha1 0; both look up the version of the table that they use.
CREATE VIEW subscriber (id, username, domain, password, ha1, ha1b) AS
    SELECT a.id, a.sip_user, a.sip_domain, '', c.ha1_md5, c.ha1b_md5
        FROM cusax_account a JOIN cusax_credential c ON c.account_id = a.id WHERE a.enabled = 1;
CREATE TABLE version (table_name TEXT NOT NULL PRIMARY KEY, table_version INTEGER NOT NULL);
INSERT INTO version (table_name, table_version) VALUES ('subscriber', 7);

-- Asterisk: realtime ps_auths; an endpoint names its row by id.
CREATE VIEW ps_auths (id, auth_type, md5_cred, password, realm, username) AS
    SELECT a.sip_user, 'md5', c.ha1_md5, NULL, a.sip_domain, a.sip_user
        FROM cusax_account a JOIN cusax_credential c ON c.account_id = a.id WHERE a.enabled = 1;
