-- Of a batch its id matters, and how it was answered: nobody reads with which key it came, and how old one is stands in the id.
ALTER TABLE usage_batches DROP COLUMN edge, DROP COLUMN received_at;
ALTER TABLE decision_batches DROP COLUMN edge;
