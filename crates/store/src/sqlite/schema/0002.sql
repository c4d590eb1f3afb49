-- What the records of a run are like (model's Profile as JSON): merged by each finish.
CREATE TABLE profile (
    snapshot INTEGER PRIMARY KEY,
    profile  TEXT NOT NULL
) STRICT;

-- The verdict on a run that ended with something to judge.
CREATE TABLE verdict (
    snapshot INTEGER PRIMARY KEY,
    -- Runs with the same words here are compared with each other.
    alike    TEXT NOT NULL,
    grade    TEXT NOT NULL,
    -- Grade and reasons as JSON.
    quality  TEXT NOT NULL,
    -- Whether later runs are compared with it.
    good     INTEGER NOT NULL
) STRICT;
CREATE INDEX verdict_good ON verdict (alike, snapshot) WHERE good = 1;
CREATE INDEX verdict_grade ON verdict (grade);

-- The run that an operator took as the new normal: later ones are compared with it and what follows it.
CREATE TABLE normal (
    alike TEXT PRIMARY KEY,
    since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
