//! A private Postgres with the migrations applied, for developing.
//!
//! Prints its URL and runs until interrupted. It reads the migrations at run time and depends on nothing of the
//! origin, because the origin doesn't compile without a database (or `.sqlx`) that knows its queries:
//!
//! ```sh
//! cargo run -p keyward-postgres --example dev_database -- --dir .keyward/dev   # prints the URL
//! DATABASE_URL=… SQLX_OFFLINE=false SQLX_OFFLINE_DIR=$PWD/.sqlx cargo check -p keyward-origin
//! ```

use std::path::PathBuf;

use clap::Parser;
use keyward_postgres::{Options, PrivatePostgres};
use sqlx::{Connection, PgConnection, migrate::Migrator};

/// Runs a private Postgres with migrations applied, prints its URL, and ends with an interrupt.
#[derive(Parser)]
struct Arguments {
    /// The cluster's directory; made if missing.
    #[arg(long)]
    dir: PathBuf,
    /// The directory with the migrations.
    #[arg(long, default_value = "crates/origin/migrations")]
    migrations: PathBuf,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let postgres = PrivatePostgres::start(&Options {
        dir: arguments.dir,
        durable: false,
        binaries: std::env::var_os("KEYWARD_PG_BIN").map(Into::into),
    })?;
    let mut connection = PgConnection::connect(postgres.url()).await?;
    Migrator::new(arguments.migrations).await?.run(&mut connection).await?;
    connection.close().await?;
    println!("{}", postgres.url());
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
