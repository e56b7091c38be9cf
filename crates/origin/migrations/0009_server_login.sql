-- A server whose login owns nothing sees whether it is as new as the database.
GRANT SELECT ON _sqlx_migrations TO keyward_system;
