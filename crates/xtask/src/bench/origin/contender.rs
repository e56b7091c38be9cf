//! Who answers for keys, and their turns.
//!
//! An origin answers at once and adds up later what it has counted, together with what comes after (decision 0111). That is
//! work of its answers all the same, and nobody else's turn may be disturbed by it. So an origin is started for its turn and
//! ended after it, when it does all that it has put off; what its end takes longer than that of one that was asked nothing
//! counts as time in which it has answered.

use std::{net::SocketAddr, time::Instant};

use anyhow::{Context, Result, bail};
use keyward_tests::Origin;

use super::{CONNECTIONS, WARM_UP_SECONDS};
use crate::bench::{
    load::{Answered, Load, Requests},
    median,
};

/// Ends of an origin that was asked nothing.
const IDLE_ENDS: usize = 5;
/// Ends in which all that was put off gets done, be the machine ever so busy.
const MOST_ENDS: usize = 10;

/// What an origin says when it begins to end, and of what goes wrong.
const ENDING: &str = r#""message":"ending""#;
const WARNING: &str = r#""level":"WARN""#;

/// An origin that runs in its own turns only.
pub(super) struct Ours<'a> {
    origin: &'a mut Origin,
    /// Seconds that its end takes where there is nothing left to do.
    idle: f64,
}

impl<'a> Ours<'a> {
    /// Ends one that was started.
    pub(super) async fn new(origin: &'a mut Origin) -> Result<Self> {
        origin.end().await?;
        let mut idle = Vec::new();
        for _ in 0..IDLE_ENDS {
            origin.restart().await?;
            let start = Instant::now();
            origin.end().await?;
            idle.push(start.elapsed().as_secs_f64());
        }
        Ok(Self { origin, idle: median(idle) })
    }

    async fn begin(&mut self) -> Result<SocketAddr> {
        self.origin.restart().await?;
        Ok(self.origin.address())
    }

    /// Ends it, and returns how many seconds it had put off.
    async fn end(&mut self) -> Result<f64> {
        let start = Instant::now();
        self.origin.end().await?;
        let mut took = start.elapsed().as_secs_f64();
        let log = self.origin.log();
        let (_, last) = log.rsplit_once(ENDING).context("it doesn't say that it ends")?;
        for warning in last.lines().filter(|line| line.contains(WARNING)) {
            eprintln!("an origin could not do all of it before its end: {warning}");
        }
        // An end takes some seconds at most; what hasn't been added by then is left to the next server, which does so when it starts.
        for _ in 0..MOST_ENDS {
            if self.waiting()? == 0 {
                return Ok((took - self.idle).max(0.0));
            }
            let start = Instant::now();
            self.origin.restart().await?;
            self.origin.end().await?;
            took += start.elapsed().as_secs_f64();
        }
        bail!("after {took:.0} s there is still something to be added")
    }

    /// How many batches wait to be added.
    fn waiting(&self) -> Result<u64> {
        let postgres = self.origin.postgres.as_ref().context("its database")?;
        Ok(postgres.query("SELECT count(*) FROM usage_waiting")?.parse()?)
    }
}

/// Who is asked.
#[derive(Clone, Copy)]
pub(super) enum Server {
    /// An origin, by its number.
    Ours(usize),
    /// Somebody who puts nothing off.
    Peer(SocketAddr),
}

/// What somebody is asked, and what came of it.
pub(super) struct Contender {
    server: Server,
    requests: Requests,
    /// Seconds of a turn.
    seconds: u32,
    /// Answers a second, one for each turn.
    rates: Vec<f64>,
    /// Milliseconds within which 99 of 100 were answered.
    p99: Vec<f64>,
    /// For each second of answering, the seconds of it that were put off.
    put_off: Vec<f64>,
}

impl Contender {
    pub(super) const fn new(server: Server, requests: Requests, seconds: u32) -> Self {
        Self { server, requests, seconds, rates: Vec::new(), p99: Vec::new(), put_off: Vec::new() }
    }

    pub(super) async fn turn(&mut self, load: &Load, ours: &mut [Ours<'_>]) -> Result<()> {
        let address = match self.server {
            Server::Ours(number) => ours[number].begin().await?,
            Server::Peer(address) => address,
        };
        let warmed = self.ask(load, address, WARM_UP_SECONDS).await?;
        let answered = self.ask(load, address, self.seconds).await?;
        let put_off = match self.server {
            // Those that don't count have put off their part.
            Server::Ours(number) => ours[number].end().await? * answered.count / (warmed.count + answered.count),
            Server::Peer(_) => 0.0,
        };
        self.rates.push(answered.count / (answered.seconds + put_off));
        self.p99.push(answered.p99);
        self.put_off.push(put_off / answered.seconds);
        Ok(())
    }

    async fn ask(&mut self, load: &Load, address: SocketAddr, seconds: u32) -> Result<Answered> {
        load.run(address, &mut self.requests, CONNECTIONS, true, seconds).await
    }

    /// Answers a second.
    pub(super) fn rate(&self) -> f64 {
        median(self.rates.clone())
    }

    /// Milliseconds within which 99 of 100 were answered.
    pub(super) fn p99(&self) -> f64 {
        median(self.p99.clone())
    }

    /// The part of its work that it puts off, as a share of the time in which it answers.
    pub(super) fn put_off(&self) -> f64 {
        median(self.put_off.clone())
    }
}
