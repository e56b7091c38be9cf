-- Once for a Postgres, as its superuser: psql -f deploy/roles.sql
-- Give both logins passwords of their own afterwards: \password keyward_owner, \password keyward_server

-- Owns the database and migrates it (`keyward migrate`). It makes the two roles that a server takes on.
CREATE ROLE keyward_owner LOGIN CREATEROLE;
-- What `keyward serve` logs in as: it owns nothing, and row-level security holds for it.
CREATE ROLE keyward_server LOGIN NOINHERIT;
CREATE DATABASE keyward OWNER keyward_owner;
