//! All parts, connected as in a deployment, with a relay between the edges and the origin.

use anyhow::Result;
use keyward_tests::{
    Edge, EdgeConfig, Origin, OriginConfig, Relay, Upstream, eventually,
    http::{Request, Response},
};

use super::{Metrics, SOON};

/// What shows the edges' counters.
pub(crate) const METRICS_TOKEN: &str = "the-token-of-these-tests";

/// What the upstream offers. The rest of its paths has no route.
pub(crate) const ROUTES: &str = "\
GET /v1/me -> authenticated
POST /v1/chat/** -> llm:gpt-4
/v1/search -> rag:search
/files/** -> authenticated
/a -> authenticated
/a/** -> authenticated
/b/** -> authenticated";

/// An origin, edges that follow it, and the service behind them.
pub(crate) struct Stack {
    // First, so that nobody asks an origin that is already gone.
    pub(crate) edges: Vec<Edge>,
    pub(crate) relay: Relay,
    pub(crate) upstream: Upstream,
    pub(crate) origin: Origin,
}

impl Stack {
    /// One of everything.
    pub(crate) async fn start() -> Result<Self> {
        Self::with_edges(1, |config| config).await
    }

    /// So many workerd processes, each with a hub of its own, configured alike.
    pub(crate) async fn with_edges(edges: usize, configure: impl Fn(EdgeConfig) -> EdgeConfig) -> Result<Self> {
        Self::start_with(OriginConfig::default(), edges, configure).await
    }

    /// As [`Stack::with_edges`], with an origin configured otherwise.
    pub(crate) async fn start_with(origin: OriginConfig, edges: usize, configure: impl Fn(EdgeConfig) -> EdgeConfig) -> Result<Self> {
        let origin = Origin::start_with(origin).await?;
        let upstream = Upstream::start().await?;
        let relay = Relay::start(origin.address()).await?;
        let mut stack = Self { edges: Vec::new(), relay, upstream, origin };
        for _ in 0..edges {
            let config = configure(stack.edge_config()?);
            stack.edges.push(Edge::start(config).await?);
        }
        for at in 0..edges {
            stack.warm(at).await?;
        }
        Ok(stack)
    }

    /// How the edges are configured unless a test says otherwise.
    pub(crate) fn edge_config(&self) -> Result<EdgeConfig> {
        let config = EdgeConfig::between(&self.relay.url(), &self.upstream.url(), &self.origin)?;
        Ok(common(config))
    }

    /// Waits until an edge has caught up with the origin. An edge does nothing without requests, so it is sent some.
    pub(crate) async fn warm(&self, at: usize) -> Result<()> {
        let admin = self.origin.admin_key()?;
        eventually("the edge follows the origin", SOON, async || {
            let answer = self.get(at, "/v1/me", &admin).await.ok()?;
            (answer.status == 200).then_some(())
        })
        .await
    }

    /// Sends a request to an edge.
    pub(crate) async fn send(&self, at: usize, request: &Request) -> Result<Response> {
        self.edges[at].send(0, request).await
    }

    /// GETs `target` through an edge with `key`.
    pub(crate) async fn get(&self, at: usize, target: &str, key: &str) -> Result<Response> {
        self.send(at, &Request::get(target).bearer(key)).await
    }

    /// An edge's counters.
    pub(crate) async fn metrics(&self, at: usize) -> Result<Metrics> {
        Metrics::of(&self.edges[at], 0).await
    }

    /// Waits until each edge answers `target` with `status` for `key`.
    pub(crate) async fn all_answer(&self, target: &str, key: &str, status: u16) -> Result<()> {
        for at in 0..self.edges.len() {
            let what = format!("edge {at} answers {target} with {status}");
            eventually(&what, SOON, async || {
                let answer = self.get(at, target, key).await.ok()?;
                (answer.status == status).then_some(())
            })
            .await?;
        }
        Ok(())
    }
}

/// What every edge here has.
pub(crate) fn common(config: EdgeConfig) -> EdgeConfig {
    config
        .var("KEYWARD_ROUTES", ROUTES)
        .var("KEYWARD_METRICS_TOKEN", METRICS_TOKEN)
        // Plain HTTP on loopback stands for the TLS in front of a deployed edge.
        .var("KEYWARD_ASSUME_TLS", "1")
}
