DROP INDEX idx_pending_reserved;
ALTER TABLE pending_generations DROP COLUMN reservation;
DROP TABLE usage_limits;
