//! The pages in a real browser, served by a real origin on a real Postgres.

mod acting;
mod audit;
mod denied;
mod inspector;
mod keys;
mod lost;
mod overview;
mod reference;
mod routes;
mod served;
mod sessions;
mod settings;
mod shell;
mod signing;
mod speed;
mod support;
mod tenants;
mod tokens;
mod unkept;
