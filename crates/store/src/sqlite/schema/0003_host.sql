-- What was learnt of hosts (their pace), as text of the fetcher's own: written in batches, read once at a start.
CREATE TABLE host (
    name  TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX host_at ON host (at);
