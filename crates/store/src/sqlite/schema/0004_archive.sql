-- What jobs left in the archive: an object in the bucket of WARC records (bytes), then an index of its pages (index_bytes).
-- `seq` is that of the segment that the same job left, if it left one.
CREATE TABLE archive (
    snapshot    INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    key         TEXT NOT NULL,
    bytes       INTEGER NOT NULL,
    index_bytes INTEGER NOT NULL,
    PRIMARY KEY (snapshot, seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX archive_key ON archive (key);

-- Where the pages are that were asked for by the same digest: part, and place in its index.
CREATE TABLE kept_page (
    snapshot INTEGER NOT NULL,
    asked    BLOB NOT NULL,
    seq      INTEGER NOT NULL,
    n        INTEGER NOT NULL,
    PRIMARY KEY (snapshot, asked, seq, n)
) STRICT, WITHOUT ROWID;
