-- Of a batch its id matters, and how it was answered: nobody reads with which key it came, and how old one is stands in the id.
-- Servers of the last version still write both, and go on working while they are replaced; so the columns go with a later migration.
ALTER TABLE usage_batches ALTER COLUMN edge DROP NOT NULL, ALTER COLUMN received_at DROP NOT NULL;
ALTER TABLE decision_batches ALTER COLUMN edge DROP NOT NULL;
