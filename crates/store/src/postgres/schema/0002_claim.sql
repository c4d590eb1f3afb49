-- Handing out jobs, and giving a host's lane back, each in one round trip. Every statement walks one index to its first
-- entry. See claim.rs for the rules.

-- The advisory lock of a host's lane.
CREATE FUNCTION trawl_host_lock(host text) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN hashtextextended(host, 1953653110);

-- Leases up to p_jobs jobs to p_node: a row each, in the order handed out. The last row has no run; its `n` is when the
-- next job that is not due yet becomes due. One row without run and job, and with an epoch, says that leases have ended,
-- which must be taken back first. Tells the other processes (those without p_tag) of the runs. A lane of a host in
-- p_pass_over that would be next rests for p_rest milliseconds instead; its run loses no turn.
--
-- Locks: the run first, then the host. A claim waits for a run only while it holds nothing, and never for a host, so it
-- is part of no deadlock. A run that another transaction holds right now is passed over, unless p_patient, or unless
-- nothing else is there.
CREATE FUNCTION trawl_claim(p_jobs bigint, p_express boolean, p_node text, p_now bigint, p_until bigint, p_patient boolean, p_tag text,
    p_pass_over text[], p_rest bigint)
RETURNS TABLE (run bigint, job bigint, n bigint, epoch bigint, records bigint, limit_total bigint, root_records bigint, blob bytea)
LANGUAGE plpgsql
SET enable_sort = off SET enable_incremental_sort = off
AS $$
#variable_conflict use_column
DECLARE
    v_patient boolean := p_patient;
    v_count bigint := 0;
    v_skipped bigint[] := '{}';
    v_busy bigint[] := '{}';
    v_apart bigint[] := '{}';
    v_locked bigint[] := '{}';
    v_told bigint[] := '{}';
    v_run bigint;
    v_turn bigint;
    v_time bigint;
    v_lane bigint;
    v_host text;
    v_due bigint;
    v_job bigint;
    v_n bigint;
    v_epoch bigint;
    v_root bigint;
    v_next_due bigint;
    v_next_job bigint;
    v_low_at bigint;
    v_low_lane bigint;
    v_rested bigint := 0;
    v_row run%ROWTYPE;
BEGIN
    IF EXISTS (SELECT 1 FROM job j WHERE j.state = 2 AND j.lease_until <= p_now) THEN
        epoch := 1;
        RETURN NEXT;
        RETURN;
    END IF;
    WHILE v_count < p_jobs LOOP
        -- The run whose turn it is, of those that have something for this node.
        IF p_express THEN
            SELECT q.k INTO v_run
            FROM (SELECT w.k, w.turn, w.ready_at FROM ready w WHERE w.express AND w.ready_at <= p_now
                      AND w.k <> ALL (v_skipped) ORDER BY w.turn, w.ready_at LIMIT 256) q
            WHERE (SELECT true FROM run r, lane l
                   WHERE r.k = q.k AND l.snapshot = r.k AND l.leased < 2 AND l.ready_at <= p_now
                       AND (l.ready_at, l.k) >= (r.low_at, r.low_lane)
                       AND coalesce((SELECT h.node FROM host_lane h WHERE h.host = l.host), p_node) = p_node
                   LIMIT 1)
            ORDER BY q.turn, q.ready_at LIMIT 1;
        ELSE
            SELECT q.k INTO v_run
            FROM (SELECT w.k, w.turn, w.ready_at FROM ready w WHERE w.ready_at <= p_now
                      AND w.k <> ALL (v_skipped) ORDER BY w.turn, w.ready_at LIMIT 256) q
            WHERE (SELECT true FROM run r, lane l
                   WHERE r.k = q.k AND l.snapshot = r.k AND l.leased < 2 AND l.ready_at <= p_now
                       AND (l.ready_at, l.k) >= (r.low_at, r.low_lane)
                       AND coalesce((SELECT h.node FROM host_lane h WHERE h.host = l.host), p_node) = p_node
                   LIMIT 1)
            ORDER BY q.turn, q.ready_at LIMIT 1;
        END IF;
        IF v_run IS NULL THEN
            EXIT WHEN v_count > 0 OR v_patient OR cardinality(v_skipped) = 0;
            -- All that is ready is held by others right now: wait for the first of them.
            v_patient := true;
            v_skipped := '{}';
            CONTINUE;
        END IF;

        IF v_run = ANY (v_locked) THEN
            SELECT * INTO v_row FROM run r WHERE r.k = v_run;
        ELSE
            IF v_patient AND cardinality(v_locked) = 0 THEN
                SELECT * INTO v_row FROM run r WHERE r.k = v_run FOR UPDATE;
            ELSE
                SELECT * INTO v_row FROM run r WHERE r.k = v_run FOR UPDATE SKIP LOCKED;
            END IF;
            IF v_row.k IS NULL THEN
                v_skipped := v_skipped || v_run;
                CONTINUE;
            END IF;
            v_locked := v_locked || v_run;
        END IF;

        -- Seen anew, now that nobody else can change it.
        SELECT q.turn, l.k, l.host, l.first_due, l.first_job
        INTO v_turn, v_lane, v_host, v_due, v_job
        FROM ready q, lane l
        WHERE q.k = v_run AND q.ready_at <= p_now
            AND l.snapshot = v_run AND l.leased < 2 AND l.ready_at <= p_now
            AND (l.ready_at, l.k) >= (v_row.low_at, v_row.low_lane) AND l.k <> ALL (v_busy || v_apart)
            AND coalesce((SELECT h.node FROM host_lane h WHERE h.host = l.host), p_node) = p_node
        ORDER BY l.ready_at, l.k LIMIT 1;
        IF v_lane IS NULL THEN
            v_skipped := v_skipped || v_run;
            CONTINUE;
        END IF;
        IF v_host = ANY (p_pass_over) AND position('#' IN v_host) > 0 THEN
            -- A shard: another node may take it at once.
            v_apart := v_apart || v_lane;
            CONTINUE;
        END IF;
        IF v_host = ANY (p_pass_over) THEN
            UPDATE lane l SET served_at = p_now + p_rest, ready_at = greatest(v_due, p_now + p_rest) WHERE l.k = v_lane;
            SELECT l.ready_at, l.k INTO v_low_at, v_low_lane FROM lane l
                WHERE l.snapshot = v_run AND l.ready_at IS NOT NULL AND l.leased < 2
                    AND (l.ready_at, l.k) >= (v_row.low_at, v_row.low_lane)
                ORDER BY l.ready_at, l.k LIMIT 1;
            UPDATE run r SET low_at = v_low_at, low_lane = v_low_lane WHERE r.k = v_run;
            UPDATE ready q SET ready_at = v_low_at WHERE q.k = v_run;
            v_rested := v_rested + 1;
            EXIT WHEN v_rested = 256;
            CONTINUE;
        END IF;
        IF NOT pg_try_advisory_xact_lock(trawl_host_lock(v_host)) THEN
            v_busy := v_busy || v_lane;
            CONTINUE;
        END IF;
        INSERT INTO host_lane AS h VALUES (v_host, p_node, 1)
            ON CONFLICT (host) DO UPDATE SET leased = h.leased + 1 WHERE h.node = p_node;
        IF NOT FOUND THEN
            v_busy := v_busy || v_lane;
            CONTINUE;
        END IF;

        UPDATE job j SET state = 2, epoch = j.epoch + 1, lease_until = p_until, node = p_node
            WHERE j.id = v_job AND j.state = 1 RETURNING j.n, j.epoch, j.root INTO v_n, v_epoch, v_root;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'lane % says that job % waits', v_lane, v_job USING ERRCODE = 'data_corrupted';
        END IF;
        -- The first of the lane has gone; the next one stands right behind it.
        SELECT j.due, j.id INTO v_next_due, v_next_job FROM job j
            WHERE j.lane = v_lane AND j.state = 1 AND (j.due, j.id) > (v_due, v_job)
            ORDER BY j.due, j.id LIMIT 1;
        UPDATE lane l SET leased = l.leased + 1, served_at = p_now, first_due = v_next_due, first_job = v_next_job,
                ready_at = CASE WHEN v_next_job IS NOT NULL THEN greatest(v_next_due, p_now) END
            WHERE l.k = v_lane;
        SELECT l.ready_at, l.k INTO v_low_at, v_low_lane FROM lane l
            WHERE l.snapshot = v_run AND l.ready_at IS NOT NULL AND l.leased < 2
                AND (l.ready_at, l.k) >= (v_row.low_at, v_row.low_lane)
            ORDER BY l.ready_at, l.k LIMIT 1;
        UPDATE run r SET waiting = r.waiting - v_n, leased = r.leased + v_n,
                low_at = coalesce(v_low_at, 9223372036854775807),
                low_lane = coalesce(v_low_lane, 9223372036854775807)
            WHERE r.k = v_run;
        SELECT t.last_value INTO v_time FROM turn t;
        IF v_turn > v_time THEN
            PERFORM setval('turn', v_turn);
        END IF;
        IF v_row.records + v_row.leased + v_n >= v_row.limit_total THEN
            v_low_at := NULL;
        END IF;
        UPDATE ready q SET turn = greatest(v_turn, v_time) + v_n, ready_at = v_low_at WHERE q.k = v_run;

        IF v_run <> ALL (v_told) THEN
            v_told := v_told || v_run;
        END IF;
        v_count := v_count + 1;
        run := v_run;
        job := v_job;
        n := v_n;
        epoch := v_epoch;
        records := v_row.records;
        limit_total := v_row.limit_total;
        root_records := CASE WHEN v_row.limit_root IS NOT NULL
            THEN coalesce((SELECT o.records FROM root o WHERE o.snapshot = v_run AND o.root = v_root), 0) END;
        blob := (SELECT s.blob FROM slice s WHERE s.job = v_job);
        RETURN NEXT;
    END LOOP;

    -- A text may have 8,000 bytes.
    WHILE cardinality(v_told) > 0 LOOP
        PERFORM pg_notify('trawl', p_tag || string_agg(' S' || s.id, '')) FROM snapshot s WHERE s.k = ANY (v_told[:100]);
        v_told := v_told[101:];
    END LOOP;

    SELECT q.ready_at INTO v_due FROM ready q
        WHERE q.express AND q.ready_at > p_now ORDER BY q.express, q.ready_at LIMIT 1;
    IF NOT p_express THEN
        v_due := least(v_due, (SELECT q.ready_at FROM ready q
            WHERE NOT q.express AND q.ready_at > p_now ORDER BY q.express, q.ready_at LIMIT 1));
    END IF;
    IF v_count < p_jobs THEN
        -- Of runs that seem ready but have nothing for this node now: when their next lane is.
        v_due := least(v_due, (SELECT min((SELECT l.ready_at FROM lane l WHERE l.snapshot = q.k AND l.leased < 2
                AND l.ready_at > p_now ORDER BY l.ready_at, l.k LIMIT 1))
            FROM (SELECT w.k FROM ready w WHERE w.ready_at <= p_now AND (w.express OR NOT p_express)
                  ORDER BY w.turn, w.ready_at LIMIT 256) q));
    END IF;
    IF v_count < p_jobs AND cardinality(v_apart) > 0 THEN
        v_due := least(v_due, p_now + p_rest);
    END IF;
    IF v_rested = 256 THEN
        -- There may be more that is due, but not in this transaction.
        v_due := p_now;
    END IF;
    IF v_count = 0 AND cardinality(v_busy) > 0 THEN
        -- A host that changes hands at this very moment.
        v_due := least(v_due, p_now + 1);
    END IF;
    run := NULL;
    job := NULL;
    epoch := NULL;
    n := v_due;
    RETURN NEXT;
END
$$;

-- p_n leases on jobs of that lane's host have ended. With the host's last one it is free; true if somebody should hear
-- of that, because something is ready: it may be of other runs, which nothing else would wake.
CREATE FUNCTION trawl_let_go(p_lane bigint, p_n bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_host text := (SELECT l.host FROM lane l WHERE l.k = p_lane);
    v_left bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(trawl_host_lock(v_host));
    UPDATE host_lane h SET leased = h.leased - p_n WHERE h.host = v_host RETURNING h.leased INTO v_left;
    IF v_left > 0 THEN
        RETURN false;
    END IF;
    DELETE FROM host_lane h WHERE h.host = v_host;
    RETURN EXISTS (SELECT 1 FROM ready q WHERE q.ready_at IS NOT NULL);
END
$$;
