-- What this process must remember over a restart and no other server may read.

CREATE TABLE secret (
    purpose  TEXT NOT NULL PRIMARY KEY,
    current  BLOB NOT NULL,
    previous BLOB
);

CREATE TABLE restriction (
    room TEXT NOT NULL,
    jid  TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('ban', 'mute')),
    PRIMARY KEY (room, jid, kind)
);
