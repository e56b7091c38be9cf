//! `keyward usage`: what keys are used for.

use clap::Args;
use keyward_api::usage::{Point, UsageReport};
use keyward_core::KeyId;

use super::{
    client::Call,
    connection::{CONNECTION_HELP, Connection, InTenant},
    failure::EXIT_CODES,
    keys::KEYS,
    parse,
    show::{line, moment, record, table},
};

const EXAMPLES: &str = "\
Examples:
  keyward usage 0197… --days 7 --interval hour
  keyward usage summary --json";

/// What a key, or all that the asking key sees, was used for.
#[derive(Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{CONNECTION_HELP}\n\n{EXIT_CODES}"))]
pub struct Usage {
    /// A key's id, or `summary` for all keys that the asking key sees.
    #[arg(value_name = "KEY|summary", value_parser = of)]
    of: Of,
    /// Whole days in UTC, today included, 1 to 365; unset: 30.
    #[arg(long)]
    days: Option<u32>,
    /// How fine the series is; by hour for 31 days at most. Unset: `day`.
    #[arg(long, value_parser = ["day", "hour"])]
    interval: Option<String>,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    tenant: InTenant,
}

#[derive(Clone)]
enum Of {
    Key(KeyId),
    Summary,
}

fn of(text: &str) -> Result<Of, String> {
    if text == "summary" { Ok(Of::Summary) } else { parse::key_id(text).map(Of::Key) }
}

impl Usage {
    /// Does it.
    ///
    /// # Errors
    /// With what came in between.
    pub fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        let path = match self.of {
            Of::Key(id) => format!("{KEYS}/{id}/usage"),
            Of::Summary => format!("{KEYS}/analytics/summary"),
        };
        let asked =
            self.days.map(|days| ("days", days.to_string())).into_iter().chain(self.interval.map(|interval| ("interval", interval)));
        client.show(Call::get(path).query(self.tenant.query()).query(asked), |report| shown(&report))
    }
}

fn shown(report: &UsageReport) -> anyhow::Result<()> {
    record([
        ("from", moment(Some(&report.date_range.start))),
        ("to", moment(Some(&report.date_range.end))),
        ("keys used", report.keys_analyzed.to_string()),
        ("requests", format!("{} ({:.1} a day)", report.total_requests, report.avg_requests_per_day)),
        ("refused", format!("{}, of these {} for a limit", report.total_refused, report.rate_limit_hits)),
        ("errors", report.total_errors.to_string()),
        ("bytes", format!("{} in, {} out", report.bytes_in, report.bytes_out)),
        ("cents", report.cost_cents.to_string()),
        ("last used", moment(report.last_used.as_deref())),
    ])?;
    let counts = |of: &str, rows: Vec<(String, u64)>| match rows.is_empty() {
        true => Ok(()),
        false => line("").and_then(|()| table(&[of, "requests"], rows.into_iter().map(|(name, count)| vec![name, count.to_string()]))),
    };
    counts("endpoint", report.most_used_endpoints.iter().map(|one| (one.endpoint.clone(), one.requests)).collect())?;
    counts("outcome", report.outcomes.iter().map(|one| (one.outcome.clone(), one.requests)).collect())?;
    counts("address", report.top_addresses.iter().map(|one| (one.address.clone(), one.requests)).collect())?;
    let nobodys = report.unattributed.iter().flatten();
    counts("nobody's", nobodys.map(|one| (one.outcome.clone(), one.requests)).collect())?;
    // Days without a request say nothing in a table.
    let used = |point: &&Point| point.requests > 0;
    if !report.series.iter().any(|point| used(&point)) {
        return Ok(());
    }
    line("")?;
    let row = |point: &Point| {
        let count = |count: u64| count.to_string();
        vec![
            moment(Some(&point.start)),
            count(point.requests),
            count(point.errors),
            count(point.refused),
            count(point.rate_limit_hits),
            count(point.bytes),
        ]
    };
    table(&["from", "requests", "errors", "refused", "limit hits", "bytes"], report.series.iter().filter(used).map(row))
}
