-- A superseded policy stands in a list that all edges hold, until no key can be used under it (keys/release.rs). Then it is released:
-- it stays superseded for ever, and out of that list.
ALTER TABLE policies ADD COLUMN superseded_at timestamptz, ADD COLUMN released_at timestamptz;
UPDATE policies SET superseded_at = now() WHERE superseded_by IS NOT NULL;
