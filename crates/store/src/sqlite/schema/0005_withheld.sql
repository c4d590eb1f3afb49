-- Runs that give only what changed: records that were read but not given, counted, and kept in a third part of segments.
ALTER TABLE snapshot ADD COLUMN unchanged INTEGER NOT NULL DEFAULT 0;
ALTER TABLE segment ADD COLUMN withheld INTEGER NOT NULL DEFAULT 0;
ALTER TABLE segment ADD COLUMN withheld_bytes INTEGER NOT NULL DEFAULT 0;
