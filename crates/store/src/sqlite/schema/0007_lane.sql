-- Which node works for a host now: whoever holds a lease on a job of that host, in any run. Without leased jobs no row.
CREATE TABLE host_lane (
    host   TEXT PRIMARY KEY,
    node   TEXT NOT NULL,
    -- Leased jobs of the host.
    leased INTEGER NOT NULL,
    -- When the last of its leases ends.
    until  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO host_lane
    SELECT lane.host, max(job.node), count(*), max(job.lease_until)
    FROM job INDEXED BY job_leased JOIN lane ON lane.k = job.lane WHERE job.state = 2 GROUP BY lane.host;
